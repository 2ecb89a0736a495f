"""Programs compiled in processes of their own, before the first request.

A compiler that crashes takes its process along, one that hangs keeps it for ever. `python -m
face_service.runtime.compiling` is that process (see child_process): its request says what to
compile, and it ends with status 0 when the program is in its folder.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from filelock import FileLock

from face_service.errors import ProviderError

from .child_process import end_with_parent, python_module, requests, run_until
from .programs import SessionSpec
from .providers import PROVIDERS, CompiledModel, RuntimeConfig
from .session import open_session

logger = logging.getLogger(__name__)

COMMAND = python_module("face_service.runtime.compiling")
COMPLETE = "complete"
"""The file that says a program is whole; it is written last."""
LOG = "compile.log"


def compile_missing(
    orders: Sequence[SessionSpec], providers: Sequence[str], setup: RuntimeConfig
) -> None:
    """Compile every program that is not there, one after the other.

    Raises ProviderError if one crashes, fails, or takes longer than COMPILE_TIMEOUT_S.
    """
    missing = [order for order in orders if not (_folder(order) / COMPLETE).exists()]
    setup.progress.begin(len(missing))
    try:
        for order in missing:
            setup.progress.compiling(order.label)
            with FileLock(_folder(order) / "lock"):  # another process may want the same
                if not (_folder(order) / COMPLETE).exists():
                    with order.file() as path:
                        compile_one(path, order, providers, setup)
                    _mark(order, providers[0])
    finally:
        setup.progress.end()


def compile_one(
    path: Path, order: SessionSpec, providers: Sequence[str], setup: RuntimeConfig
) -> None:
    """Compile one program in a child process."""
    log_path = _folder(order) / LOG
    what = f"{providers[0]}: compiling {order.label}"
    line = json.dumps(as_json(path, order, providers, setup))
    with log_path.open("wb") as log:
        status = run_until(COMMAND, line, setup.compile_timeout, log, log)
    if status is None:
        raise ProviderError(
            f"{what} did not end within COMPILE_TIMEOUT_S={setup.compile_timeout:g}. "
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
    path: Path, order: SessionSpec, providers: Sequence[str], setup: RuntimeConfig
) -> dict[str, Any]:
    """An order for the child."""
    return {
        "path": str(path),
        "providers": list(providers),
        "setup": {
            "threads": setup.threads,
            "precision": setup.precision,
            "device": setup.device,
            "memory_limit": setup.memory_limit,
            "overrides": {name: dict(options) for name, options in setup.overrides.items()},
            "cache": str(setup.cache),
        },
        "input_name": order.program.input_name,
        "shapes": order.program.shapes,
        "folder": str(order.program.folder),
    }


def compile_here(content: dict[str, Any]) -> None:
    """In the child: load the network and run it once on every shape."""
    setup = RuntimeConfig(**{**content["setup"], "cache": Path(content["setup"]["cache"])})
    shapes = tuple(tuple(shape) for shape in content["shapes"])
    program = CompiledModel(content["input_name"], shapes, Path(content["folder"]))
    providers = content["providers"]
    PROVIDERS[providers[0]].prepare()
    opened = open_session(Path(content["path"]), providers, setup, program)
    for shape in shapes:
        opened.session.run(None, {program.input_name: np.zeros(shape, np.float32)})


def main() -> int:
    """Compile the program of the order on stdin. The last line said is the reason."""
    content = next(requests())
    end_with_parent()
    try:
        compile_here(content)
    except Exception as error:
        sys.stderr.write(f"{error}".strip().replace("\n", " ") + "\n")
        return 1
    return 0


def _mark(order: SessionSpec, provider: str) -> None:
    """Say that the program is complete, and whether there is one."""
    folder = _folder(order)
    if {path.name for path in folder.iterdir()} <= {"lock", LOG}:
        logger.warning(
            "%s has left nothing in %s: %s is compiled once more, in this process",
            provider,
            folder,
            order.label,
        )
    (folder / COMPLETE).touch()


def _folder(order: SessionSpec) -> Path:
    return cast(Path, order.program.folder)  # a provider that compiles has one


if __name__ == "__main__":
    sys.exit(main())
