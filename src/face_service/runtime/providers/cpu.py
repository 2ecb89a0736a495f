"""The CPU: ONNX Runtime's own kernels, in every build."""

from __future__ import annotations

from ..policy import DYNAMIC
from .base import Provider, RuntimeConfig


class Cpu(Provider):
    """Any shape; one image a turn: faces in a batch are hardly faster (72 → 67 ms a face), and the
    first image of a batch would wait for the last."""

    name = "CPUExecutionProvider"
    package = "onnxruntime"
    known_options = frozenset()  # ONNX Runtime overlooks what it is given
    shapes = DYNAMIC
    max_batch_images = 1

    def card(self, setup: RuntimeConfig) -> str | None:
        return None
