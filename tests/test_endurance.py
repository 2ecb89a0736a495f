"""The long runs of tests/README.md, short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.mixed import drive

from face_service.packs.pack import Pack
from face_service.tools.bench.server import running
from tests.chaos import disturb


def variables(open_pack: Pack) -> dict[str, str]:
    return {
        "INSIGHTFACE_MODEL": open_pack.name,
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
        "LOG_LEVEL": "ERROR",
    }


def test_after_chaos_one_request_is_right(
    open_pack: Pack, four_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(variables(open_pack)) as server:
        assert disturb(server, four_faces.read_bytes(), seconds=5) is None


def test_mixed_requests_leave_nothing_behind(with_edgeface: Callable[[str], Path]) -> None:
    small = {"INSIGHTFACE_MODEL": str(with_edgeface("det_500m")), "DET_SIZE": "320"}
    with running(small | {"LOG_LEVEL": "ERROR"}) as server:
        assert drive(server, 400, rest=0.5) == []
