"""The parts as the benchmarks start them."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from benchmarks.platform_parts import parts

from face_service.packs.pack import Pack


def test_where_the_backend_does_not_start_nothing_is_left_running(
    bun: Path, starter: Pack, shared: Path
) -> None:
    """Here because of its database's address."""
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(AssertionError), parts(DATABASE_URL="postgres://nobody@127.0.0.1:1/none"):
        pytest.fail("it has started")
    assert set(psutil.Process().children(recursive=True)) <= before
