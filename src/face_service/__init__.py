"""Face recognition over HTTP: an image in, every face out."""

__version__ = "0.1.0"
