"""The tests. Importing them sets what must be set before ONNX Runtime is imported."""

import face_service  # noqa: F401
