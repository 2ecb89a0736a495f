"""Archives from a real HTTP server, from pip and from npm; hashes decide."""

from __future__ import annotations

import base64
import hashlib
import io
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs import sources
from face_service.packs.catalog import CATALOG
from face_service.packs.entries import CatalogPack, HttpsArchive, NpmPackage, PypiPackage, Source
from face_service.packs.sources import describe, fetch


def https_of(demo: CatalogPack) -> HttpsArchive:
    source = demo.files[0].source
    assert isinstance(source, HttpsArchive)
    return source


def npm_of_the_starter() -> NpmPackage:
    return next(f.source for f in CATALOG["starter"].files if isinstance(f.source, NpmPackage))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_https_archive(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    archive = fetch(https_of(demo), tmp_path)
    assert archive == tmp_path / "demo.zip"
    assert archive.read_bytes() == server.files["/v0/demo.zip"]
    assert list(tmp_path.iterdir()) == [archive]


def test_https_archive_resumes(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.breaks = [400_000]
    archive = fetch(https_of(demo), tmp_path)
    assert sha256(archive) == https_of(demo).sha256
    assert [request.status for request in server.requests] == [200, 206]


def test_archive_that_is_here_is_not_fetched(
    server: Any, demo: CatalogPack, tmp_path: Path
) -> None:
    (tmp_path / "demo.zip").write_bytes(server.files["/v0/demo.zip"])
    fetch(https_of(demo), tmp_path)
    assert server.requests == []


def test_wrong_hash_is_fetched_once_more_and_then_an_error(
    server: Any, demo: CatalogPack, tmp_path: Path
) -> None:
    server.files["/v0/demo.zip"] = b"something else"
    with pytest.raises(PackError) as caught:
        fetch(https_of(demo), tmp_path)
    assert https_of(demo).sha256 in str(caught.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert [request.range for request in server.requests] == [None, None]
    assert list(tmp_path.iterdir()) == [], "a wrong archive, or a part of one, is left"


def test_poisoned_part_is_replaced(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    """A part that is not of this file, though the server takes it for one."""
    whole = server.files["/v0/demo.zip"]
    (tmp_path / "demo.zip.part").write_bytes(bytes(1000))
    (tmp_path / "demo.zip.part.etag").write_text(f'"{hashlib.sha256(whole).hexdigest()[:16]}"')
    archive = fetch(https_of(demo), tmp_path)
    assert archive.read_bytes() == whole
    assert [request.status for request in server.requests] == [206, 200]


@pytest.mark.parametrize("slash", ["", "/"])
def test_mirror_replaces_all_but_the_last_segment(
    server: Any, demo: CatalogPack, tmp_path: Path, slash: str
) -> None:
    server.files["/deep/mirror/demo.zip"] = server.files.pop("/v0/demo.zip")
    mirror = f"{server.url}/deep/mirror{slash}"
    fetch(https_of(demo), tmp_path, mirror)
    assert [request.path for request in server.requests] == ["/deep/mirror/demo.zip"]
    assert describe(https_of(demo), mirror) == f"{server.url}/deep/mirror/demo.zip"


@pytest.mark.parametrize("statuses", [[], [503], [404]])
def test_a_mirrors_password_is_sent_and_never_said(
    server: Any,
    demo: CatalogPack,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    statuses: list[int],
) -> None:
    server.files["/demo.zip"] = server.files.pop("/v0/demo.zip")
    server.statuses = list(statuses)
    mirror = server.url.replace("://", "://frames:s%40cret@")
    caplog.set_level("DEBUG")
    if 404 in statuses:
        with pytest.raises(PackError, match="404") as caught:
            fetch(https_of(demo), tmp_path, mirror)
        assert "cret" not in str(caught.value)
    else:
        fetch(https_of(demo), tmp_path, mirror)
    sent = {request.authorization for request in server.requests}
    assert sent == {f"Basic {base64.b64encode(b'frames:s@cret').decode()}"}
    assert "cret" not in caplog.text + describe(https_of(demo), mirror)


def sdist(folder: Path, marker: Path) -> Path:
    """A source package whose build backend leaves a mark when it is run."""
    backend = f"""
import pathlib
pathlib.Path({str(marker)!r}).write_text("ran")
def prepare_metadata_for_build_wheel(directory, settings=None):
    info = pathlib.Path(directory) / "marked-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: marked\\nVersion: 1.0\\n")
    return info.name
def build_wheel(*args): raise NotImplementedError
"""
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project += '[project]\nname = "marked"\nversion = "1.0"\n'
    path = folder / "marked-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            ("PKG-INFO", "Metadata-Version: 2.1\nName: marked\nVersion: 1.0\n"),
            ("pyproject.toml", project),
            ("backend.py", backend),
        ):
            info = tarfile.TarInfo(f"marked-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip sees of the world."""
    (folder := tmp_path / "shelf").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_sdist_through_pip(shelf: Path, tmp_path: Path) -> None:
    archive = sdist(shelf, tmp_path / "marker")
    (out := tmp_path / "out").mkdir()
    fetched = fetch(PypiPackage("marked", "1.0", sdist=True, sha256=sha256(archive)), out)
    assert fetched == out / archive.name
    assert fetched.read_bytes() == archive.read_bytes()
    assert list(out.iterdir()) == [fetched]
    assert (tmp_path / "marker").exists(), "the next test would prove nothing"


def test_a_relative_folder_is_the_callers_not_the_clients(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sdist(shelf, tmp_path / "marker")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    package = PypiPackage("marked", "1.0", sdist=True, sha256=sha256(archive))
    assert fetch(package, Path("models")) == tmp_path / "models" / archive.name


def test_sdist_with_a_wrong_hash_runs_no_code(shelf: Path, tmp_path: Path) -> None:
    sdist(shelf, tmp_path / "marker")
    (out := tmp_path / "out").mkdir()
    with pytest.raises(PackError, match="HASHES") as caught:
        fetch(PypiPackage("marked", "1.0", sdist=True, sha256="0" * 64), out)
    assert "0" * 64 in str(caught.value)
    assert not (tmp_path / "marker").exists()
    assert list(out.iterdir()) == []


def test_only_the_wanted_kind_of_package_is_taken(shelf: Path, tmp_path: Path) -> None:
    archive = sdist(shelf, tmp_path / "marker")
    with pytest.raises(PackError, match="No matching distribution"):
        fetch(PypiPackage("marked", "1.0", sdist=False, sha256=sha256(archive)), tmp_path)
    assert not (tmp_path / "marker").exists()


def test_failure_holds_the_last_lines_of_the_client(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(
        PackError, match=r"status 1:\n(?s:.*)No matching distribution.*absent==1\.0"
    ):
        fetch(PypiPackage("absent", "1.0", sdist=True, sha256="0" * 64), tmp_path)


def test_client_that_hangs_is_given_up(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CLIENT_TIMEOUT", 0.01)
    with pytest.raises(PackError, match=r"did not finish within 0\.01 s"):
        fetch(PypiPackage("absent", "1.0", sdist=True, sha256="0" * 64), tmp_path)


def put_npm(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script on the PATH as npm."""
    (bin_ := tmp_path / "bin").mkdir()
    for name in ("npm", "node"):
        script = bin_ / name
        script.write_text(f"#!/bin/sh\n{does}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(bin_), prepend=":")


def test_npm_speaks_of_nothing_but_its_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its news came last, and were what was shown where the disk was full."""
    put_npm('echo "$@"; exit 3', tmp_path, monkeypatch)
    with pytest.raises(PackError, match=r"(?s)status 3:.*--no-update-notifier --logs-max 0"):
        fetch(NpmPackage("x", "1", sha256="0" * 64), tmp_path)


def test_hash_is_checked_whatever_npm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_npm('echo tampered > "$5"/x-1.tgz', tmp_path, monkeypatch)
    (out := tmp_path / "out").mkdir()
    with pytest.raises(PackError, match=r"x-1\.tgz has SHA-256 [0-9a-f]{64}, 0{64} was expected"):
        fetch(NpmPackage("x", "1", sha256="0" * 64), out)
    assert list(out.iterdir()) == []


def test_npm_package_where_there_is_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, with an npm borrowed from a wheel: nothing at all is on the PATH."""
    (empty := tmp_path / "empty").mkdir()
    (out := tmp_path / "out").mkdir()
    monkeypatch.setenv("PATH", str(empty))
    source = npm_of_the_starter()
    archive = fetch(source, out)
    assert sha256(archive) == source.sha256
    assert list(out.iterdir()) == [archive], "the borrowed npm is left behind"


@pytest.mark.parametrize(
    "source",
    dict.fromkeys(file.source for file in CATALOG["starter"].files),
    ids=lambda source: source.name,
)
def test_package_sources_are_named_with_version_and_client(source: Source) -> None:
    assert not isinstance(source, HttpsArchive)
    assert source.name in describe(source, mirror="unused")
    assert source.version in describe(source)
    assert "pip" in describe(source) or "npm pack" in describe(source)
