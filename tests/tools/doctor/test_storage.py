"""What is said of the pack and of its folder; and that nothing is fetched or left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from face_service.errors import PackError
from face_service.packs import store
from face_service.packs.catalog import find
from face_service.packs.pack import Pack
from face_service.tools.doctor import storage
from face_service.tools.doctor.probing import Failed
from face_service.tools.doctor.storage import CacheState, PackState, cache_state, pack_state, stored


@pytest.fixture(autouse=True)
def nothing_is_fetched(starter: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(*_: object) -> Pack:
        raise AssertionError("fetched")

    monkeypatch.setattr(store, "pull", pull)


@pytest.fixture
def copy(starter: Pack, tmp_path: Path) -> Path:
    """A cache that holds a starter pack of its own."""
    shutil.copytree(starter.directory, tmp_path / "models" / "starter")
    return tmp_path / "models"


def test_a_whole_pack(starter: Pack) -> None:
    found = pack_state("starter", starter.directory.parent)
    assert found.state == "whole" and found.fetched
    assert found.folder == starter.directory
    assert found.files == tuple(
        (role, model.path.name, model.sha256) for role, model in starter.models.items()
    )


def test_an_absent_pack(tmp_path: Path) -> None:
    found = pack_state("buffalo_l", tmp_path)
    assert found.state == "absent"
    assert all(file.name in found.trouble for file in find("buffalo_l").files)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_without_one_of_its_files(copy: Path) -> None:
    (copy / "starter" / "age-v1.onnx").unlink()
    found = pack_state("starter", copy)
    assert found.state == "broken"
    assert "age-v1.onnx is missing" in found.trouble


def test_a_pack_with_a_changed_file(copy: Path) -> None:
    with (copy / "starter" / "age-v1.onnx").open("r+b") as file:
        file.write(b"?")
    found = pack_state("starter", copy)
    assert found.state == "broken"
    assert "age-v1.onnx has SHA-256" in found.trouble


def test_another_process_finds_the_same(starter: Pack, tmp_path: Path) -> None:
    cache_dir = starter.directory.parent
    pack, cache = stored("starter", cache_dir)
    assert isinstance(pack, PackState) and isinstance(cache, CacheState)
    assert pack.folder == starter.directory and pack.state == "whole"
    assert [tuple(file) for file in pack.files] == list(pack_state("starter", cache_dir).files)
    assert cache.folder == cache_dir and cache.trouble is None
    pack, cache = stored("buffalo_xl", tmp_path)
    assert isinstance(pack, Failed) and pack.ours
    assert isinstance(cache, CacheState)


def test_a_folder_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "manifest.json")  # who reads it waits for who writes it
    monkeypatch.setattr(storage, "READING_S", 5.0)
    given_up = Failed("no answer within 5 s")
    assert stored(f"{tmp_path}/", tmp_path) == (given_up, given_up)


def test_a_folder_is_a_pack_that_nobody_fetches(starter: Pack, tmp_path: Path) -> None:
    found = pack_state(f"{starter.directory.absolute()}/", tmp_path)
    assert (found.name, found.state, found.fetched) == ("starter", "whole", False)
    found = pack_state(f"{tmp_path}/", tmp_path)
    assert (found.state, found.fetched) == ("broken", False)
    assert "holds no detection network" in found.trouble


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no model pack named 'buffalo_xl'"):
        pack_state("buffalo_xl", tmp_path)


def test_a_folder_that_can_be_written(tmp_path: Path) -> None:
    found = cache_state(tmp_path)
    assert found.trouble is None
    assert found.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert cache_state(tmp_path / "a" / "b").trouble is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    assert cache_state(tmp_path / "models").trouble == f"{tmp_path}/models: Not a directory"


def test_compiled_programs_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".compiled").write_text("")
    assert cache_state(tmp_path).trouble == f"{tmp_path}/.compiled: Not a directory"


def test_a_folder_in_which_not_even_root_can_write() -> None:
    trouble = cache_state(Path("/proc/face-service/models")).trouble
    assert trouble is not None and trouble.startswith("/proc: ")
