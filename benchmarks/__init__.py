"""The benchmarks. Some run where face_service is not installed, so this stands here, too."""

import os

# Before any import of ONNX Runtime, as in face_service/__init__.py.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
