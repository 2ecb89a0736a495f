"""Several services behind HAProxy: `python -m benchmarks.fleet`."""
