"""One network from fp32 to int8: static quantisation, written as QDQ.

QDQ: the file keeps its operators and gains QuantizeLinear and DequantizeLinear around
them; every execution provider fuses those that it has int8 kernels for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from face_service.runtime.graph import UINT8
from face_service.runtime.network import Input
from face_service.vision.blob import Blob

logger = logging.getLogger(__name__)

ERRORS_ALONE = 3
"""A severity of ONNX Runtime's log."""
PER_CHANNEL_OPSET = 13
"""The first opset whose DequantizeLinear has an axis."""


def quantize_network(
    source: Path, target: Path, samples: Iterable[Blob], operators: tuple[str, ...] | None
) -> None:
    """Write the int8 form of the network in `source` to `target`.

    samples: inputs as the service makes them, float32 [n, 3, height, width], whole numbers where
    the network takes uint8; the range of every activation is that which they reach. operators:
    ONNX operators to quantise, None for all that have an int8 form. Activations are uint8; weights
    are int8 of 7 bits, -64 to 64, one scale for each output channel (`packs.pack.QUANTIZATION`).
    """
    import onnx
    import onnxruntime
    from onnx import version_converter
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # Else ONNX Runtime warns, on every canvas, of each output whose size the file states otherwise.
    onnxruntime.set_default_logger_severity(ERRORS_ALONE)
    model = onnx.load(source)
    opset = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if opset < PER_CHANNEL_OPSET:
        model = version_converter.convert_version(model, PER_CHANNEL_OPSET)
    with TemporaryDirectory() as work:
        raised, prepared = Path(work, "raised.onnx"), Path(work, "prepared.onnx")
        onnx.save(model, raised)
        # Folds batch normalisation into convolutions. Symbolic shapes would need sympy.
        quant_pre_process(raised, prepared, skip_symbolic_shape=True)
        weights = {tensor.name for tensor in model.graph.initializer}
        given = next(item for item in model.graph.input if item.name not in weights)
        pixels = given.type.tensor_type.elem_type == UINT8
        quantize_static(
            prepared,
            target,
            Samples(given.name, samples, pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=operators and list(operators),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Processors without VNNI add two products in 16 bits and saturate: 255 · 127 · 2 is
            # too much, 255 · 64 · 2 is not (docs/decisions/0011-precision.md).
            reduce_range=True,
        )


class Samples:
    """Calibration inputs in the shape of `onnxruntime.quantization.CalibrationDataReader`."""

    def __init__(self, name: str, samples: Iterable[Blob], pixels: bool) -> None:
        self._name = name
        self._pixels = pixels
        self._samples: Iterator[Blob] = iter(samples)

    def get_next(self) -> dict[str, Input] | None:
        """The next input by name, uint8 or float32 as the network takes it; None after the last."""
        sample = next(self._samples, None)
        if sample is None:
            return None
        return {self._name: sample.astype(np.uint8) if self._pixels else sample}
