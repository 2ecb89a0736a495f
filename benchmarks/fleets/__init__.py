"""Several services behind HAProxy, for `python -m benchmarks.fleet`."""
