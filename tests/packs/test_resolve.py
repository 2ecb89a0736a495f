"""A pack is found by its name or by its path, and one is never taken for the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from face_service.errors import PackError
from face_service.packs import store
from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.packs.store import resolve


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no model pack named 'nope'"):
        resolve("nope", tmp_path)


@pytest.mark.parametrize("model", ["./nope", "../nope", "/nope/nope", "~/nope-nope", "a/b"])
def test_path_is_never_taken_for_a_name(tmp_path: Path, model: str) -> None:
    with pytest.raises(PackError, match="is not a folder"):
        resolve(model, tmp_path)


def test_starter_is_what_the_catalogue_says(starter: Pack) -> None:
    assert starter.name == "starter"
    assert set(starter.models) == {Role.DETECTION, Role.RECOGNITION, Role.AGE, Role.GENDER}
    assert all(store.sha256_of(m.path) == m.sha256 for m in starter.models.values())


def test_starter_by_its_path(starter: Pack, tmp_path: Path) -> None:
    """A copy of a known pack is prepared exactly as the pack itself."""
    local = resolve(str(starter.directory.absolute()), tmp_path)
    assert {role: m.normalization for role, m in local.models.items()} == {
        role: m.normalization for role, m in starter.models.items()
    }
    assert local.dimension == starter.dimension
