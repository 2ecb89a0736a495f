"""The CPU: ONNX Runtime's own kernels, in every build."""

from __future__ import annotations

from ..policy import DYNAMIC
from .base import Provider, RuntimeConfig


class Cpu(Provider):
    """Any shape; one image or face a run. On one thread a batch is no faster; on several, its faces
    are run side by side instead. So an embedding has the same bits whoever else is in the picture.
    """

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
