"""A network in fp16, as a file: for providers that have no option for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from face_service.errors import ProviderError

from .files import publish_file
from .providers import RuntimeConfig


def half_precision(path: Path, sha256: str, config: RuntimeConfig) -> Path:
    """The network in `path` with weights and arithmetic in fp16, inputs and outputs in fp32.

    Made once, by the converter in ONNX Runtime's package, and kept beside the compiled programs.
    Operators that have no fp16 kernel keep fp32 behind casts (its DEFAULT_OP_BLOCK_LIST).

    sha256: of the file `path`. Raises ProviderError where the package `onnx` is missing or the file
    cannot be written.
    """
    folder = config.cache / "fp16"
    half = folder / f"{path.stem}-{sha256[:16]}-{onnxruntime.__version__}.onnx"
    if half.exists():
        return half
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as error:
        raise ProviderError(
            f"PRECISION=fp16 needs the package onnx to make {half.name} ({error}): "
            "pip install onnx, or set PRECISION=fp32"
        ) from error
    model = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    drop_repeated_nodes(model.graph)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        publish_file(half, model.SerializeToString())
    except OSError as error:
        raise ProviderError(f"{half} cannot be written: {error.strerror}") from error
    return half


def drop_repeated_nodes(graph: Any) -> None:
    """Remove from a GraphProto each node whose outputs earlier nodes have already.

    The converter of 1.26 casts a value once for every operator that keeps fp32 and takes it, under
    one name; ONNX Runtime then refuses the network ("two nodes with same node name"). Retired when
    every supported build has the shared cast of 1.32: findings/onnxruntime-fp16-same-cast.sh.
    """
    given: set[str] = set()
    kept = []
    for node in graph.node:
        if not given.issuperset(node.output):
            kept.append(node)
        given.update(node.output)
    del graph.node[:]
    graph.node.extend(kept)
