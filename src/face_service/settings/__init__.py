"""Parts of config.py: sources of values, former names, and the sentences for bad values."""
