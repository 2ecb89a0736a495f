"""Face recognition over HTTP: an image in, every face out."""

import os

# ONNX Runtime's own builds for the CPU send reports to Microsoft from 1.29 on, and do so while
# they are imported: this stands before any import of it (SECURITY.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Products of large matrices (`grouping/`) run on threads of this service, of a low priority and as
# many as the container's quota allows. OpenBLAS reads this when NumPy is imported; its own threads,
# one for each core of the host, would get in the way of the networks'.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
