"""Programs compiled in processes of their own, before the first request.

A compiler that crashes takes its process along, one that hangs keeps it for ever. `python -m
face_service.runtime.compiling` is that process (see child_process): its request names what to
compile, and it ends with status 0 when the program is in its folder.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from filelock import FileLock

from face_service.errors import ProviderError

from .child_process import end_with_parent, exit_status, python_module, requests, run_until
from .programs import SessionSpec
from .providers import PROVIDERS, ProgramSpec, RuntimeConfig
from .session import open_session

logger = logging.getLogger(__name__)

COMMAND = python_module("face_service.runtime.compiling")
COMPLETE = "complete"
"""An empty file that is written last: the program in this folder is complete."""
LOG = "compile.log"
"""What the child process has written, in the program's folder."""


def compile_missing(
    specs: Sequence[SessionSpec], providers: Sequence[str], config: RuntimeConfig
) -> None:
    """Compile every program that is not in its folder yet, one after the other, and report it to
    `config.progress`. Processes that share a cache compile each program once.

    Raises ProviderError if one crashes, fails, or takes longer than COMPILE_TIMEOUT_S; OSError
    where a program's folder cannot be written, or the child process not be started.
    """
    missing = [spec for spec in specs if not (_folder(spec) / COMPLETE).exists()]
    config.progress.begin(len(missing))
    try:
        for spec in missing:
            config.progress.compiling(spec.label)
            with FileLock(_folder(spec) / "lock"):  # another process may want the same
                if not (_folder(spec) / COMPLETE).exists():
                    with spec.file() as path:
                        compile_one(path, spec, providers, config)
                    _mark(spec, providers[0])
    finally:
        config.progress.end()


def compile_one(
    path: Path, spec: SessionSpec, providers: Sequence[str], config: RuntimeConfig
) -> None:
    """Compile one program in a child process. Its output goes to LOG in the program's folder.

    path: the ONNX file, with the input fixed where the provider wants that. Raises as
    `compile_missing`.
    """
    log_path = _folder(spec) / LOG
    what = f"{providers[0]}: compiling {spec.label}"
    line = json.dumps(as_json(path, spec, providers, config))
    with log_path.open("wb") as log:
        status = run_until(COMMAND, line, config.compile_timeout, log, log)
    if status is None:
        raise ProviderError(
            f"{what} did not end within COMPILE_TIMEOUT_S={config.compile_timeout:g}. "
            f"What it said is in {log_path}"
        )
    if status < 0:
        raise ProviderError(
            f"{what} crashed ({signal.Signals(-status).name}). What it said is in {log_path}"
        )
    if status:
        said = log_path.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise ProviderError(f"{what} failed: {said[-1]}")


def as_json(
    path: Path, spec: SessionSpec, providers: Sequence[str], config: RuntimeConfig
) -> dict[str, Any]:
    """The request to the child."""
    return {
        "path": str(path),
        "providers": list(providers),
        "config": {
            "threads": config.threads,
            "precision": config.precision,
            "device": config.device,
            "memory_limit": config.memory_limit,
            "overrides": {name: dict(options) for name, options in config.overrides.items()},
            "cache": str(config.cache),
        },
        "input_name": spec.program.input_name,
        "shapes": spec.program.shapes,
        "folder": str(spec.program.folder),
        "dtype": spec.program.dtype,
    }


def compile_here(content: dict[str, Any]) -> None:
    """In the child: load the network and run it once on every shape, by which providers compile.

    content: what `as_json` returns. Raises ProviderError where the network does not load, and what
    a run raises.
    """
    config = RuntimeConfig(**{**content["config"], "cache": Path(content["config"]["cache"])})
    shapes = tuple(tuple(shape) for shape in content["shapes"])
    folder, dtype = Path(content["folder"]), content["dtype"]
    program = ProgramSpec(content["input_name"], shapes, folder, dtype)
    providers = content["providers"]
    PROVIDERS[providers[0]].prepare()
    opened = open_session(Path(content["path"]), providers, config, program)
    for shape in shapes:
        opened.session.run(None, {program.input_name: np.zeros(shape, dtype)})


def main() -> int:
    """Compile what the request on stdin names. Returns the exit status; where it is not 0, the last
    line on stderr is the reason."""
    content = next(requests())
    end_with_parent()
    return exit_status(partial(compile_here, content))


def _mark(spec: SessionSpec, provider: str) -> None:
    """Mark the program as complete; warn where the provider has left no file."""
    folder = _folder(spec)
    if {path.name for path in folder.iterdir()} <= {"lock", LOG}:
        logger.warning(
            "%s has left nothing in %s: %s is compiled once more, in this process",
            provider,
            folder,
            spec.label,
        )
    (folder / COMPLETE).touch()


def _folder(spec: SessionSpec) -> Path:
    return cast(Path, spec.program.folder)  # a provider that compiles has one


if __name__ == "__main__":
    sys.exit(main())
