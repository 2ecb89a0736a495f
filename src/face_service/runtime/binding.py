"""Runs of a session on buffers that stay: memory on the card for every shape of the input, taken
once.

`session.run` takes memory on the card for the input of every run, and copies there by way of a
buffer of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .graph import Shape


class FixedBuffers:
    """The buffers of one session, whose input is called `input_name`.

    device_type, device: as onnxruntime.OrtValue takes them, `cuda` and a card's number, from 0. One
    run at a time.
    """

    def __init__(self, session: Any, input_name: str, device_type: str, device: int) -> None:
        self._session = session
        self._input_name = input_name
        self._device = device_type, device
        self._bound: dict[Shape, tuple[Any, Any]] = {}

    def run(self, blob: NDArray[Any], *options: Any) -> list[NDArray[np.float32]]:
        """`session.run` for all outputs, which are copies. blob: of the input's type; every new
        shape takes memory that stays. options: onnxruntime.RunOptions, or none."""
        bound = self._bound.get(blob.shape)
        if bound is None:
            bound = self._bound[blob.shape] = self._bind(blob)
        binding, value = bound
        value.update_inplace(blob)
        self._session.run_with_iobinding(binding, *options)
        outputs: list[NDArray[np.float32]] = binding.copy_outputs_to_cpu()
        return outputs

    def _bind(self, blob: NDArray[Any]) -> tuple[Any, Any]:
        """A binding for inputs of the shape and type of `blob`, and its memory on the card."""
        # Not `ortvalue_from_numpy`: what that makes for a processor is the array itself.
        value = empty(blob.shape, blob.dtype, *self._device)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input_name, value)
        for output in self._session.get_outputs():
            binding.bind_output(output.name)  # in the processor's memory, where they are read
        return binding, value


def why_no_buffers(device_type: str, device: int) -> str | None:
    """Why this build of ONNX Runtime gives no memory on the card; None where it does."""
    try:
        empty((1,), np.dtype(np.uint8), device_type, device)
    except Exception as error:
        return str(error)
    return None


def empty(shape: Shape, dtype: np.dtype[Any], device_type: str, device: int) -> Any:
    """An onnxruntime.OrtValue whose content is not set."""
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, device_type, device)
