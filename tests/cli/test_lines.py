"""The file of --out: never a line too many, never one too few, never somebody else's file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import orjson
import pytest

from face_service.cli.lines import Lines
from face_service.errors import FaceServiceError

SAME = {"model": {"pack": "starter"}, "options": {"min_score": 0.5, "max_faces": None}}


def line(name: str, error: object = None, **other: object) -> bytes:
    return orjson.dumps({"file": name, "faces": [], "error": error, **SAME, **other})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faces.jsonl"


def test_lines_are_there_as_soon_as_they_are_written(path: Path) -> None:
    with closing(Lines(path, SAME)) as lines:
        lines.write(line("a"))
        assert path.read_bytes() == line("a") + b"\n"
        lines.write(line("b"))
    assert path.read_bytes() == line("a") + b"\n" + line("b") + b"\n"


def test_what_is_done_is_known(path: Path) -> None:
    path.write_bytes(line("a") + b"\n" + line("ü", {"code": "invalid_image"}) + b"\n")
    with closing(Lines(path, SAME)) as lines:
        assert lines.done == {"a", "ü"}
        assert lines.failed == 1


def test_a_last_line_cut_off_anywhere_is_taken_away(path: Path) -> None:
    whole, last = line("a") + b"\n", line("b", {"code": "é"})
    for length in range(len(last) + 1):  # the whole of it too: its newline is missing
        path.write_bytes(whole + last[:length])
        with closing(Lines(path, SAME)) as lines:
            assert lines.done == {"a"}
            lines.write(line("b"))
        assert path.read_bytes() == whole + line("b") + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0 a photo without a line break",
        b"a, letter\nof two lines",
        b'{"other": "json"}\n',
        b"[1, 2]\n",
        line("a") + b'\nrubbish\n{"file":"b',
        line("a") + b"\nsome note",
    ],
)
def test_somebody_elses_file_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(FaceServiceError, match=r"line [12] was not written by face-service"):
        Lines(path, SAME)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"model": {"pack": "buffalo_l"}}, "another model: pack buffalo_l there, starter here"),
        (
            {"options": {"min_score": 0.8, "max_faces": None}},
            "another options: min_score 0.8 there, 0.5 here",
        ),
        ({"options": None}, "another options"),
    ],
)
def test_lines_of_another_pack_or_of_other_options_do_not_mix(
    path: Path, other: dict[str, object], words: str
) -> None:
    content = line("a") + b"\n" + line("b", **other) + b'\n{"file":"c'
    path.write_bytes(content)
    with pytest.raises(FaceServiceError, match=f"line 2 has {words}"):
        Lines(path, SAME)
    assert path.read_bytes() == content


def test_two_processes_do_not_write_one_file(path: Path) -> None:
    with (
        closing(Lines(path, SAME)),
        pytest.raises(FaceServiceError, match="another process is writing it"),
    ):
        Lines(path, SAME)
    Lines(path, SAME).close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is no file"),
        ("/dev/null", "is no file; --json prints the lines"),
        ("nowhere/faces.jsonl", "No such file or directory"),
    ],
)
def test_what_cannot_hold_lines_is_one_sentence(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(FaceServiceError, match=words):
        Lines(tmp_path / name, SAME)
