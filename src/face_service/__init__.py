"""Face recognition over HTTP: an image in, every face out."""

import os

# ONNX Runtime's own builds for the CPU send reports to Microsoft from 1.29 on, and do so while
# they are imported: this stands before any import of it (SECURITY.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
