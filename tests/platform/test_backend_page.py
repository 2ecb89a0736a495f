"""docs/backend.md shows what the platform is made of: nothing there that is not here."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.samples import Sample, samples

from .clips import BT709, Scene, write_clip
from .conftest import PLATFORM
from .test_frames import photo, taken

__all__ = ["photo"]
PAGE = "docs/backend.md"
SOURCE = {path: path.read_text() for path in (PLATFORM / "src").rglob("*.ts")}
SHOWINFO = re.compile(r"^\[Parsed_showinfo.*\] n: *\d+ pts: *(\d+) ", re.MULTILINE)


def of_the_page(language: str) -> list[Sample]:
    return [sample for sample in samples(language) if sample.page == PAGE]


def unindented(code: str) -> str:
    return "\n".join(line.strip() for line in code.strip().splitlines())


@pytest.mark.parametrize("sample", of_the_page("typescript"), ids=str)
def test_typescript_is_that_of_the_platform(sample: Sample) -> None:
    """Of exactly one module, which the other tests of this folder run."""
    found = [path for path, text in SOURCE.items() if unindented(sample.code) in unindented(text)]
    assert len(found) == 1, f"{sample} stands in {found}"


def test_files_that_it_names_exist() -> None:
    text = (PLATFORM.parent / PAGE).read_text()
    named = re.findall(r"`([\w/]+/[\w.]+\.(?:ts|sql))`", text)
    assert len(named) > 5
    missing = [
        name for name in named if not any((PLATFORM / at / name).is_file() for at in ("", "src"))
    ]
    assert missing == []


def test_the_command_gives_the_frames_of_the_platform(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path
) -> None:
    """The same pictures bit by bit, and the same times."""
    (sample,) = of_the_page("bash")
    assert shlex.split(sample.code)[0] == "ffmpeg"
    clip = write_clip(tmp_path, [Scene(2, (photo,)), Scene(1)], BT709)
    frames = taken(bun, clip, tmp_path / "frames")
    (tmp_path / "video.mp4").symlink_to(clip)
    subprocess.run(["bash", "-ec", sample.code], cwd=tmp_path, check=True, timeout=120)
    times = [int(ms) for ms in SHOWINFO.findall((tmp_path / "frames.log").read_text())]
    assert times == list(frames)
    assert len(times) == 3
    expected = [(tmp_path / "frames" / f"{ms}.jpg").read_bytes() for ms in times]
    assert (tmp_path / "frames.jpegs").read_bytes() == b"".join(expected)
