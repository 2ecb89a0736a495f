"""What the engines of a process share, and what is imported while the first of them loads."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from face_service.config import Settings
from face_service.engine_factory import loader
from face_service.engine_factory.loader import EngineLoader
from face_service.errors import StartupError
from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack


def settings(pack: Path) -> Settings:
    """Two workers on two threads, without a gate."""
    return Settings(
        _env_file=None,
        insightface_model=str(pack),
        det_gate="off",
        intra_op_threads=2,
        workers=2,
    )


def sessions(engine: FaceEngine, width: int) -> list[object]:
    """The sessions of one number of threads, of every network."""
    return [each for network in engine.networks for each in network._sessions[width].values()]


def test_the_first_engines_share_a_pack_and_sessions_and_one_that_replaces_another_does_not(
    starter: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    find = loader.find_pack

    def counted(settings: Settings) -> Pack:
        read.append(threading.current_thread().name)
        return find(settings)

    monkeypatch.setattr(loader, "find_pack", counted)
    monkeypatch.setattr("face_service.engine_factory.find_pack", counted)
    engines = EngineLoader(settings(starter.directory))
    engines.begin()
    first, second = engines.load(0), engines.load(1)
    assert read == ["loader"]
    assert sessions(first, 1) == sessions(second, 1)
    assert not any(network.new_widths for network in (*first.networks, *second.networks))
    again = engines.load(0)
    assert len(read) == 2
    assert not {*map(id, sessions(again, 1))} & {*map(id, sessions(first, 1))}
    assert not any(network.new_widths for network in again.networks)


def test_engines_that_are_loaded_after_all_were_released_share_sessions_again(
    starter: Pack,
) -> None:
    engines = EngineLoader(settings(starter.directory))
    first, second = engines.load(0), engines.load(1)
    known = [weakref.ref(each) for each in sessions(first, 1)]
    first.release()
    assert all(each() for each in known), "the other engine has them"
    second.release()
    assert not any(each() for each in known)
    third, fourth = engines.load(0), engines.load(1)
    assert sessions(third, 1) == sessions(fourth, 1)


def test_what_stops_the_first_is_raised_to_whoever_asks_for_it(tmp_path: Path) -> None:
    engines = EngineLoader(settings(tmp_path))
    engines.begin()
    with pytest.raises(StartupError, match="holds no detection network"):
        engines.load(0)


def test_http_is_imported_after_the_first_engine_has_begun_to_load() -> None:
    """rich: structlog would import it, and then never use it here."""
    program = (
        "import sys, face_service.main\n"
        "print({'fastapi', 'uvicorn', 'face_service.app', 'rich'} & {*sys.modules})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "set()"
