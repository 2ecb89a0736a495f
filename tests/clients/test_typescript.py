"""The TypeScript client, under Node and under Bun; its tests are clients/typescript/test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.server import Server, free_port

from .conftest import KEY
from .misbehaving import Misbehaving
from .workshop import PROJECT, Workshop

ROOT = PROJECT.parent.parent
BIG = 300_000_000


@pytest.fixture(scope="session")
def built(workshop: Workshop) -> Path:
    """The client and its tests, as JavaScript."""
    workshop.do([workshop.tool("tsc"), "--project", "test"])
    return PROJECT / "build" / "test"


@pytest.fixture(scope="session")
def surroundings(
    server: Server,
    locked: Server,
    misbehaving: Misbehaving,
    four_faces: Path,
    six_faces: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The variables the tests of the client want."""
    big = tmp_path_factory.mktemp("big") / "file"
    with big.open("wb") as file:
        file.truncate(BIG)
    return {
        "SERVICE_URL": server.url,
        "LOCKED_URL": locked.url,
        "KEY": KEY,
        "NOBODY_URL": f"http://127.0.0.1:{free_port()}",
        "MISBEHAVING_URL": misbehaving.url,
        "PHOTO": str(four_faces),
        "OTHER_PHOTO": str(six_faces),
        "BIG_FILE": str(big),
    }


@pytest.mark.parametrize("suite", ["service", "retries"])
@pytest.mark.parametrize("runtime", ["node", "bun"])
def test_the_suites(
    workshop: Workshop, built: Path, surroundings: dict[str, str], runtime: str, suite: str
) -> None:
    command = {
        "node": [workshop.node, "--test", "--test-timeout=240000"],
        "bun": [workshop.tool("bun"), "test", "--timeout=60000"],
    }[runtime]
    file = built / f"{suite}.test.js"
    done = workshop.run([*command, str(file)], **surroundings)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    tests = len(
        re.findall(r"^\s*test\(", (PROJECT / "test" / f"{suite}.test.ts").read_text(), re.M)
    )
    passed = re.search(r"^# pass (\d+)$|^\s*(\d+) pass$", told, re.M)
    assert passed and int(passed[1] or passed[2]) >= tests, told


def test_the_types_are_those_of_the_openapi_document(workshop: Workshop, tmp_path: Path) -> None:
    made = tmp_path / "openapi.ts"
    workshop.do([str(ROOT / "scripts" / "client_types.sh"), str(made)])
    kept = PROJECT / "src" / "openapi.ts"
    assert made.read_text() == kept.read_text(), (
        "run scripts/client_types.sh and look at the change"
    )


def test_it_is_formatted(workshop: Workshop) -> None:
    workshop.do([workshop.tool("prettier"), "--check", "src", "test"])


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    packages = lock["packages"].values()
    assert packages
    assert not [package for package in packages if "resolved" in package]
