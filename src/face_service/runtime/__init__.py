"""ONNX Runtime behind a seam: which providers, how many threads, one object per network."""
