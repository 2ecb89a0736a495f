"""The CPU: ONNX Runtime's own kernels, in every build."""

from __future__ import annotations

from ..policy import DYNAMIC
from .base import Provider, Setup


class Cpu(Provider):
    """Any shape; one image a turn: faces in a batch are hardly faster (72 → 67 ms a face), and the
    first image of a batch would wait for the last."""

    name = "CPUExecutionProvider"
    package = "onnxruntime"
    known_options = frozenset()  # ONNX Runtime overlooks what it is given
    shapes = DYNAMIC
    images_per_turn = 1
    on_gpu = False

    def card(self, setup: Setup) -> str | None:
        return None
