"""Mapped networks: what ONNX Runtime makes of a network for the processor, saved once.

A session on the CPU copies a network's weights and rearranges them for the processor's
instructions, which holds twice the size of the file. Saved after that, as an optimised graph with
its weights in a file of their own, a network is opened in a tenth of the time, and the weights are
mapped: the sessions of all processes share their pages. The answers are the same bit by bit.

What is saved holds for one build of ONNX Runtime and one kind of processor, which are part of its
folder's name: models/.compiled/cpu/<the network's SHA-256>/any/<ONNX Runtime, processor>/
`python -m face_service.runtime.mapped` is the process that makes it: see child_process.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import onnxruntime
from filelock import FileLock

from .child_process import end_with_parent, python_module, requests, run
from .files import publish_file, sync_folder
from .graph import without_denormals
from .processor import fingerprint
from .providers import CPU, RuntimeConfig

logger = logging.getLogger(__name__)

COMMAND = python_module("face_service.runtime.mapped")
GRAPH, WEIGHTS = "network.onnx", "weights.bin"
SIZES = "sizes.json"
"""Written last: the size in bytes of every other file. Where they differ, all is made again."""

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
        if not is_complete(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.parent / "lock"):
                if not is_complete(folder):  # another process may have made it meanwhile
                    make(path, folder, config)
    except (OSError, RuntimeError) as error:
        logger.warning("The weights of %s are copied into memory, not mapped: %s", path.name, error)
        return None
    return folder / GRAPH


def folder_of(sha256: str, config: RuntimeConfig) -> Path:
    """The folder of a saved network: graph and weights depend on the network, on the build of ONNX
    Runtime, and on the instructions for which its kernels arrange weights."""
    facts = [onnxruntime.get_build_info(), fingerprint()]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return config.cache / "cpu" / sha256[:16] / "any" / f"{onnxruntime.__version__}-{digest}"


def is_complete(folder: Path) -> bool:
    """Whether all files of a saved network are there, whole."""
    try:
        sizes = json.loads((folder / SIZES).read_bytes())
        return bool(sizes) and sizes == sizes_of(folder)
    except (OSError, ValueError):
        return False


def discard(saved: Path) -> None:
    """Have the network of the graph `saved`, which does not open, made again at the next start."""
    with suppress(OSError):
        (saved.parent / SIZES).unlink()


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes by name of the files of a saved network that are there."""
    paths = [folder / name for name in (GRAPH, WEIGHTS)]
    return {path.name: path.stat().st_size for path in paths if path.exists()}


def make(path: Path, folder: Path, config: RuntimeConfig) -> None:
    """Save a network in `folder`, whole or not at all, by a child process, whose memory is gone
    with it. Raises OSError, and RuntimeError where the child fails."""
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        line = json.dumps({"path": str(path.resolve()), "folder": str(scratch)})
        ended = run(COMMAND, config.compile_timeout, line)
        if ended is None or ended.status != 0:
            said = ended.err.strip().splitlines()[-1:] if ended else []
            raise RuntimeError(said[0] if said else "the process that saves them has ended")
        publish_file(scratch / SIZES, json.dumps(sizes_of(scratch)).encode())
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)  # what is there is not complete
        scratch.replace(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def save(path: Path, folder: Path) -> None:
    """In the child: load the network, and write graph and weights into `folder`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / GRAPH)
    for key, value in EXTERNAL.items():
        options.add_session_config_entry(key, value)
    onnxruntime.InferenceSession(without_denormals(path) or path, options, providers=[CPU])
    for name in sizes_of(folder):
        descriptor = os.open(folder / name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        (folder / name).chmod(0o644)


def main() -> int:
    """Save what the request on stdin names. Returns the exit status; where it is not 0, the last
    line on stderr is the reason."""
    content = next(requests())
    end_with_parent()
    try:
        save(Path(content["path"]), Path(content["folder"]))
    except Exception as error:
        sys.stderr.write(f"{error}".strip().replace("\n", " ") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
