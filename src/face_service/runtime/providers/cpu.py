"""The CPU: ONNX Runtime's own kernels, in every build."""

from __future__ import annotations

from ..policy import DYNAMIC
from .base import Provider, RuntimeConfig


class Cpu(Provider):
    """Any shape; batches of one image: faces in a batch are hardly faster (72 → 67 ms a face), and
    the first image would wait for the last."""

    name = "CPUExecutionProvider"
    experimental = False
    package = "onnxruntime"
    known_options = frozenset()  # ONNX Runtime ignores any
    shapes = DYNAMIC
    max_batch_images = 1
    maps_weights = True

    def card(self, config: RuntimeConfig) -> str | None:
        """None: there is no card."""
        return None
