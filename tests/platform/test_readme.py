"""platform/README.md: what it shows is run as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.samples import commands, samples

from .backend import PASSWORD, Backend, tags
from .clips import Scene, write_clip
from .conftest import PLATFORM, Photos

KNOWN, UNKNOWN = "Ana_Guevara", "Christine_Todd_Whitman"
START, USE, CHECK = [
    sample.code for sample in samples("bash") if sample.page == "platform/README.md"
]


def test_the_commands_of_the_api(backend: Backend, photos: Photos, tmp_path: Path) -> None:
    """Each when what the ones before have started is done. A comment that is JSON is the answer."""
    for number in (1, 2):
        (tmp_path / f"ana-{number}.jpg").symlink_to(photos(KNOWN, number - 1))
    scenes = [Scene(2, (photos(KNOWN, 2),)), Scene(2, (photos(UNKNOWN, 0),))]
    write_clip(tmp_path, scenes).rename(tmp_path / "video.mp4")
    address, *calls = commands(USE)[:-1]
    address = address.replace("localhost:3000", f"127.0.0.1:{backend.port}")
    assert len(calls) > 5
    for call in calls:
        done = subprocess.run(
            ["bash", "-ec", address + call.replace("…", PASSWORD).replace("curl", "curl -sS", 1)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, call + done.stderr
        answer = json.loads(done.stdout)
        assert "detail" not in answer, f"{call}{answer}"
        if shown := re.search(r"# ([\[{].*)$", call.strip()):
            assert answer == json.loads(shown[1]), call
        backend.settled()
    assert tags(backend.get("/api/videos/1")) == {"Ana": "automatic", "Bea": "confirmed"}


def test_it_is_started_by_what_is_tested() -> None:
    """tests/platform/test_start.py."""
    assert [call.split("#")[0].strip() for call in commands(START)[:-1]] == ["./platform.sh"]


def test_the_checks_are_those_of_the_package() -> None:
    """tests/platform/test_code.py runs what they are."""
    scripts = json.loads((PLATFORM / "package.json").read_text())["scripts"]
    checks = [call.split("#")[0].strip() for call in commands(CHECK)[:-1]]
    assert checks == ["npm run check", "npm test", "../test.sh tests/platform"]
    assert scripts["check"] == "tsc && biome check --error-on-warnings"
    assert scripts["test"] == "bun test test"
