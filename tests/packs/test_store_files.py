"""Packs whose files come from a hub, one by one; folders that take none."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs import store
from face_service.packs.catalog import CATALOG
from face_service.packs.entries import CatalogPack, HttpsFile
from face_service.packs.local import load_folder
from face_service.packs.store import ensure, missing, pull, verify


def test_a_file_that_is_no_archive_is_pulled_as_it_is(
    demo: CatalogPack, server: Any, tmp_path: Path
) -> None:
    """As AuraFace is, from a public hub, which sends its callers elsewhere: broken off, resumed,
    hashed, named by the catalogue."""
    entry = CATALOG["auraface"].files[1]
    content = random.Random(0).randbytes(400_000)
    digest = hashlib.sha256(content).hexdigest()
    server.moved["/hub/resolve/abc/glintr100.onnx"] = "/cdn/1f/2e?signed=once"
    server.files["/cdn/1f/2e?signed=once"] = content
    server.breaks = [10**9, 100_000]  # of the archive, of the file
    source = HttpsFile(f"{server.url}/hub/resolve/abc/glintr100.onnx", digest)
    single = replace(entry, sha256=digest, source=source)
    pack = pull(replace(demo, files=(demo.files[0], single)), tmp_path)
    assert (pack.directory / "auraface.onnx").read_bytes() == content
    assert {path.name for path in pack.directory.iterdir()} == {"det.onnx", "auraface.onnx"}
    statuses = [request.status for request in server.requests if "zip" not in request.path]
    assert statuses == [302, 200, 302, 206]


def test_a_mirror_has_single_files_by_their_last_segment(
    demo: CatalogPack, server: Any, tmp_path: Path
) -> None:
    entry = CATALOG["auraface"].files[1]
    server.files["/mirror/glintr100.onnx"] = b"not the file"
    said = r"(?s)/mirror/glintr100\.onnx: .*hash.*place auraface\.onnx \(there glintr100\.onnx\)"
    with pytest.raises(PackError, match=said):
        pull(replace(demo, files=(entry,)), tmp_path, f"{server.url}/mirror")
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_is_full_or_read_only_has_a_way_out(
    reason: int, demo: CatalogPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extract(*_: object) -> None:
        raise OSError(reason, os.strerror(reason), "det.onnx")

    monkeypatch.setattr(store, "extract", extract)
    with pytest.raises(PackError) as raised:
        pull(demo, tmp_path)
    assert f"[Errno {reason}] {os.strerror(reason)}" in str(raised.value)
    assert "1. set MODEL_CACHE_DIR to a folder that may be written to" in str(raised.value)
    assert "2. place det.onnx, rec.onnx by hand" in str(raised.value)


def test_a_file_that_cannot_be_read_is_named_and_pulled_again(
    demo: CatalogPack, tmp_path: Path
) -> None:
    path = pull(demo, tmp_path).directory / "det.onnx"
    path.unlink()
    path.symlink_to("/proc/self/mem")  # not even root can read its beginning
    if not path.is_file():
        pytest.skip("no /proc here")
    with pytest.raises(PackError, match=r"det\.onnx cannot be read: Input/output error") as raised:
        verify(demo, tmp_path)
    assert "rec.onnx" not in str(raised.value)
    assert pull(demo, tmp_path) == verify(demo, tmp_path)
    assert not path.is_symlink()


@pytest.fixture
def unsearchable() -> Iterator[Path]:
    """A folder in which nothing may be looked at: not by root either, who is nobody meanwhile."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as outer:
        (folder := Path(outer, "demo")).mkdir(0)
        Path(outer).chmod(0o755)
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda _, folder: load_folder(folder), id="own folder"),
        pytest.param(lambda _, folder: load_folder(folder / "mine"), id="below"),
        *(
            pytest.param(lambda pack, folder, do=do: do(pack, folder.parent), id=do.__name__)
            for do in (ensure, missing, pull, verify)
        ),
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_an_error_of_the_pack(
    look: Callable[..., object], demo: CatalogPack, unsearchable: Path
) -> None:
    with pytest.raises(PackError, match=r"demo.* (cannot be read: Permission|is not a folder)"):
        look(demo, unsearchable)
