"""Clients as people use them: every one sees the status of every answer, three times in a row."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.workshop import Workshop, install
from tests.server import Server

HERE = Path(__file__).with_name("clients")
KEY = "key-of-these-tests"
TIMES = 3

CASES: dict[str, tuple[str, str, str, str | None, int]] = {
    # method, path, key, file, status
    "get": ("GET", "/health", "", None, 200),
    "head": ("HEAD", "/health", "", None, 200),
    "photo": ("POST", "/detect", KEY, "photo", 200),
    "too large": ("POST", "/detect", KEY, "large", 413),
    "no key": ("POST", "/detect", "wrong", "large", 401),
    "wrong method": ("POST", "/health", "", "large", 405),
    "a slash too many": ("POST", "/detect/", KEY, "large", 404),
}


ASK_PY, ASK_MJS, ASK_SH = (str(HERE / f"ask.{kind}") for kind in ("py", "mjs", "sh"))
CLIENTS = {
    "curl": ("curl", "--"),
    "curl --http2": ("curl", "--http2", "--"),
    "curl -0": ("curl", "-0", "--"),
    "curl, close": ("curl", "-H", "Connection: close", "--"),
    "curl, no Expect": ("curl", "-H", "Expect:", "--"),
    "java": ("java", "HTTP_2"),
    "java, HTTP/1.1": ("java", "HTTP_1_1"),
    "node fetch": ("node", ASK_MJS, "fetch"),
    "node http": ("node", ASK_MJS, "keep"),
    "node http, close": ("node", ASK_MJS, "close"),
    "bun fetch": ("bun", ASK_MJS, "fetch"),
    "urllib": (sys.executable, ASK_PY, "urllib"),
    "http.client": (sys.executable, ASK_PY, "http.client"),
    "httpx": (sys.executable, ASK_PY, "httpx"),
    "httpx, close": (sys.executable, ASK_PY, "close"),
    "go": ("go", "keep"),
    "go, close": ("go", "close"),
}
"""Program and arguments, behind which come those of each case. Each case has a client of its own,
and all of them one process: to start it is most of what it takes."""


@pytest.fixture(scope="module")
def target(start_small_server: Callable[..., Server]) -> Server:
    server = start_small_server(MAX_BODY_MB="8", API_KEYS=hashlib.sha256(KEY.encode()).hexdigest())
    server.wait_until_ready()
    return server


@pytest.fixture(scope="module")
def files(four_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    large = tmp_path_factory.mktemp("files") / "large"
    large.write_bytes(bytes(20_000_000))
    return {"photo": str(four_faces), "large": str(large)}


@pytest.fixture(scope="module")
def bun() -> list[str]:
    workshop: Workshop = install()
    return [workshop.tool("bun")]


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Compiled once: `java Ask.java` would do so in each of its processes."""
    if shutil.which("javac") is None:
        pytest.skip("javac is not installed: Debian's package default-jdk-headless")
    folder = str(tmp_path_factory.mktemp("java"))
    subprocess.run(["javac", "-d", folder, HERE / "Ask.java"], check=True, timeout=300)
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", folder, "Ask"]


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if shutil.which("go") is None:
        pytest.skip("go is not installed: Debian's package golang-go")
    folder = tmp_path_factory.mktemp("go")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GO111MODULE": "off"}
    built = folder / "ask"
    subprocess.run(
        ["go", "build", "-o", built, HERE / "ask.go"], env=environment, check=True, timeout=300
    )
    return [str(built)]


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_sees_every_status(
    target: Server, files: dict[str, str], client: str, request: pytest.FixtureRequest
) -> None:
    program, *arguments = CLIENTS[client]
    if program in ("bun", "go", "java"):
        command = request.getfixturevalue(program)
    elif shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    else:
        command = ["bash", ASK_SH] if program == "curl" else [program]
    for method, path, key, file, _ in CASES.values():
        arguments += [method, target.url + path, key, files[file] if file else ""]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    seen = dict(zip(CASES, done.stdout.splitlines(), strict=False))
    assert {case: line.split() for case, line in seen.items()} == {
        case: [str(status)] * TIMES for case, (*_, status) in CASES.items()
    }, done.stderr
