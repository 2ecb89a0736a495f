"""Unpacking: exactly what was asked for, in exactly the place that was named."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs.archive import extract


def tar(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """A .tgz; a member without content is a symbolic link to /etc/hostname."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return path


def test_zip_gives_only_what_is_asked_for(tmp_path: Path, make: Any) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(make.zip({"in/a.onnx": b"A", "b.onnx": b"B", "../../x": b"X"}))
    out = tmp_path / "deep" / "er"
    out.mkdir(parents=True)
    extract(archive, {"in/a.onnx": out / "a.onnx"})
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {archive, out / "a.onnx"}
    assert (out / "a.onnx").read_bytes() == b"A"


def test_tar_gives_only_what_is_asked_for(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tgz", ("../x", b"X"), ("package/a.onnx", b"A"))
    (out := tmp_path / "out").mkdir()
    extract(archive, {"package/a.onnx": out / "a.onnx"})
    assert [p.read_bytes() for p in out.iterdir()] == [b"A"]
    assert not (tmp_path / "x").exists()


def test_even_a_member_named_outside_lands_where_it_is_told(tmp_path: Path, make: Any) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(make.zip({"../../x": b"X"}))
    (out := tmp_path / "a" / "b").mkdir(parents=True)
    extract(archive, {"../../x": out / "x"})
    assert (out / "x").read_bytes() == b"X"
    assert not (tmp_path / "x").exists()


def test_missing_member(tmp_path: Path, make: Any) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(make.zip({"a": b"A"}))
    with pytest.raises(PackError, match=r"a\.zip lacks a file.*b\.onnx"):
        extract(archive, {"b.onnx": tmp_path / "b"})
    with pytest.raises(PackError, match=r"t\.tgz lacks a file.*b\.onnx"):
        extract(tar(tmp_path / "t.tgz", ("a", b"A")), {"b.onnx": tmp_path / "b"})


def test_bomb_stops_at_the_limit(tmp_path: Path, make: Any) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(make.zip({"a": bytes(50 << 20)}))
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(PackError, match="more than 3145728 bytes"):
        extract(archive, {"a": tmp_path / "out"}, limit=3 << 20)
    assert (tmp_path / "out").stat().st_size <= 3 << 20


def test_link_is_refused(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tgz", ("a.onnx", None))
    with pytest.raises(PackError, match="not a plain file"):
        extract(archive, {"a.onnx": tmp_path / "out"})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x1f\x8b\x08 not a tgz"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (archive := tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(PackError, match=r"a\.zip cannot be unpacked"):
        extract(archive, {"a": tmp_path / "out"})


def test_damaged_member(tmp_path: Path, make: Any) -> None:
    content = bytearray(make.zip({"a": make.network(112, 512)}))
    content[400] ^= 0xFF
    (archive := tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(PackError, match=r"a\.zip cannot be unpacked"):
        extract(archive, {"a": tmp_path / "out"})


@pytest.mark.parametrize(
    ("mark", "place"),
    [
        pytest.param(b"PK\x03\x04", 31, id="what does not inflate"),
        pytest.param(b"PK\x01\x02", 8, id="encrypted, by its flags"),
        pytest.param(b"PK\x01\x02", 10, id="compressed in a way that nobody knows"),
    ],
)
def test_damaged_compression(tmp_path: Path, make: Any, mark: bytes, place: int) -> None:
    content = bytearray(make.zip({"a": b"text" * 1000}))
    content[content.index(mark) + place] ^= 0xFF
    (archive := tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(PackError, match=r"a\.zip cannot be unpacked"):
        extract(archive, {"a": tmp_path / "out"})
