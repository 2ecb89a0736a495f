"""Mapped networks: what ONNX Runtime makes of a network for the processor, saved once.

A session on the CPU copies a network's weights and rearranges them for the processor's
instructions, which holds twice the size of the file. Saved after that, as an optimised graph with
its weights in a file of their own, a network is opened in about half the time, and the weights are
mapped: the sessions of all processes share their pages. The answers are the same bit by bit
(docs/decisions/0023-mapped-weights.md).

What is saved holds for one build of ONNX Runtime and one kind of processor, which are part of its
folder's name: models/.compiled/cpu/<16 digits of SHA-256>/any/<ONNX Runtime, processor>/
`python -m face_service.runtime.mapped` is the process that makes it: see child_process.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnxruntime

from .child_folder import fill_as_asked, fill_once
from .child_process import python_module
from .editing import EditableGraph
from .graph import without_denormals
from .prelu import replace_prelus
from .processor import fingerprint, processor
from .providers import CPU, RuntimeConfig

logger = logging.getLogger(__name__)

COMMAND = python_module("face_service.runtime.mapped")
GRAPH, WEIGHTS = "network.onnx", "weights.bin"
EDITION = 2
"""Version of what `save` writes, part of its folder's name: to be raised with every change of it.
"""

EXTERNAL = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS,
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
    "session.save_external_prepacked_constant_initializers": "1",
}
"""onnxruntime_session_options_config_keys.h. Without the last, every session makes a copy of its
own of what its kernels rearrange: a quarter of the weights of a ResNet-50."""


def mapped_network(path: Path, sha256: str, config: RuntimeConfig) -> Path | None:
    """The saved graph of the network in the file `path`, of SHA-256 `sha256`; made where it is not
    there yet, once by the processes that share a cache. To be opened without optimisations.

    None where it cannot be made: on a disk that is full or read-only, or where ONNX Runtime fails.
    """
    folder = folder_of(sha256, config)
    try:
        fill_once(folder, COMMAND, {"path": str(path.resolve())}, config.compile_timeout)
    except (OSError, RuntimeError) as error:
        logger.warning("The weights of %s are copied into memory, not mapped: %s", path.name, error)
        return None
    return folder / GRAPH


def folder_of(sha256: str, config: RuntimeConfig) -> Path:
    """The folder of a saved network: graph and weights depend on the network, on the build of ONNX
    Runtime, and on the instructions for which its kernels arrange weights."""
    return config.cache / "cpu" / sha256[:16] / "any" / build_key(EDITION)


def build_key(*facts: object) -> str:
    """A name for a folder, which is another one for another build of ONNX Runtime, another kind of
    processor, or other facts. facts: what JSON can hold."""
    content = [onnxruntime.get_build_info(), fingerprint(), *facts]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return f"{onnxruntime.__version__}-{digest}"


def save(request: Mapping[str, Any], folder: Path) -> None:
    """In the child: load the network in the file `request["path"]`, and write graph and weights
    into `folder`."""
    path = Path(request["path"])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / GRAPH)
    for key, value in EXTERNAL.items():
        options.add_session_config_entry(key, value)
    onnxruntime.InferenceSession(edited(path) or path, options, providers=[CPU])


def edited(path: Path) -> bytes | None:
    """The network in the file `path` without denormal weights (`without_denormals`), and without
    PRelu (`replace_prelus`) where it has one input; None where nothing is changed."""
    content = without_denormals(path)
    with suppress(ValueError, IndexError):  # several inputs, or no network
        graph = EditableGraph(content or path.read_bytes())
        if replace_prelus(graph, in_blocks="avx2" in processor().instruction_sets):
            return graph.to_bytes()
    return content


if __name__ == "__main__":
    sys.exit(fill_as_asked(save))
