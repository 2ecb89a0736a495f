"""Runs of `face-service embed --ray` on a cluster of two nodes, for tests that kill some of it."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pyarrow.parquet as pq

from tests.conftest import ROOT
from tests.offline import stalled
from tests.offline.library import EXPECTED, FACES, make_library, make_reader
from tests.photos import four_faces

PYTHON = ROOT / ".ray/bin/python"
NOT_TRIED = (24,)
"""Of the library: it would crash once only."""
TIMEOUT_S = 10
ACTOR = "ray::MapWorker"


@dataclass
class OnRay:
    """A cluster, a library of `count` items, and the folder for its faces."""

    folder: Path
    out: Path
    manifest: Path
    address: str
    environment: dict[str, str]
    cluster: subprocess.Popen[str]
    logs: Path
    ids: set[int]
    timeout: int = TIMEOUT_S
    failing: dict[int, str] = field(default_factory=lambda: EXPECTED)

    def start(self, actors: int, rows: int) -> subprocess.Popen[str]:
        """The driver."""
        arguments = [PYTHON.parent / "face-service", "embed", self.manifest, "--out", self.out]
        options = {"--ray": self.address, "--rows": rows, "--processes": actors}
        words = [str(word) for option in options.items() for word in option]
        return subprocess.Popen(
            [*arguments, *words, "--timeout", str(self.timeout)],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    def parts(self) -> int:
        """How many are written."""
        return len([*self.out.glob("part-*")])

    def stall(self, driver: subprocess.Popen[str]) -> NoReturn:
        """Fail, and say what waits."""
        pids, spy = (driver.pid, self.cluster.pid), PYTHON.with_name("py-spy")
        waiting = stalled.describe(pids, spy, self.logs)
        driver.kill()
        said = driver.communicate()[1]
        raise AssertionError(f"{self.parts()} parts, then nothing. {said}\n{waiting}")

    def lose_node(self) -> None:
        assert self.cluster.stdin and self.cluster.stdout
        print("lose", file=self.cluster.stdin, flush=True)
        assert self.cluster.stdout.readline().strip() == "lost"

    def rows(self) -> dict[int, dict[str, Any]]:
        """By id, each of which is there once."""
        rows = pq.read_table(self.out, columns=["id", "frames", "error"]).to_pylist()
        found = {row["id"]: row for row in rows}
        assert len(found) == len(rows), "an id is there twice"
        return found

    def check(self) -> None:
        """Every item is there, and those that fail have a reason."""
        rows = self.rows()
        assert set(rows) == self.ids, self.ids ^ set(rows)
        failed = {number: row["error"]["code"] for number, row in rows.items() if row["error"]}
        assert failed == self.failing
        assert all(rows[number]["error"]["detail"] for number in failed)
        counts = {
            number: sum(len(frame["faces"]) for frame in row["frames"])
            for number, row in rows.items()
            if number not in failed
        }
        assert {counts[number] for number in self.ids if number >= 1000} == {0, 4}
        assert all(counts[number] == faces for number, faces in FACES.items() if number in counts)


@contextmanager
def running(folder: Path, count: int) -> Iterator[OnRay]:
    """A cluster of two nodes of a processor each, and a library of at least `count` items."""
    make_reader(folder)
    photo = four_faces(folder)
    cv2.imwrite(str(folder / "small.png"), np.zeros((20, 30, 3), np.uint8))
    extra: list[dict[str, object]] = [
        {"id": 1000 + n, "uri": str(photo if n % 4 == 0 else folder / "small.png")}
        for n in range(count - len(EXPECTED) - len(FACES) + len(NOT_TRIED))
    ]
    manifest = make_library(folder / "items", photo, extra)
    lines = manifest.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(tuple(f"{n}," for n in NOT_TRIED))]
    manifest.write_text("".join(kept))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "INSIGHTFACE_MODEL": "open",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # else, at 15, a busy machine leaves actors nothing
        "RAY_AUTH_MODE": "token",  # else a second process is turned away
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }
    cluster = subprocess.Popen(
        [PYTHON, "-m", "tests.offline.cluster", "1"],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert cluster.stdout and cluster.stdin
    try:
        address, _, logs = cluster.stdout.readline().strip().partition(" ")
        assert address, "Ray does not start"
        ids = {int(line.split(",")[0]) for line in kept[1:]}
        yield OnRay(
            folder, folder / "faces", manifest, address, environment, cluster, Path(logs), ids
        )
    finally:
        cluster.stdin.close()
        cluster.wait(120)
        cluster.stdout.close()


def until(
    condition: Callable[[], bool], cluster: OnRay, driver: subprocess.Popen[str], within: float
) -> None:
    """Wait for a condition, while a driver runs. Raises AssertionError."""
    end = time.monotonic() + within
    while not condition():
        assert driver.poll() is None, driver.stderr and driver.stderr.read()
        if time.monotonic() > end:
            cluster.stall(driver)
        time.sleep(0.05)


def last_words(cluster: OnRay, driver: subprocess.Popen[str], within: float) -> str:
    """Wait for the end of a driver: the last line that it says."""
    try:
        return driver.communicate(timeout=within)[1].splitlines()[-1].strip()
    except subprocess.TimeoutExpired:
        cluster.stall(driver)
