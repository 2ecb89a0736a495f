"""`face-service embed --ray` while actors, a node and the driver are killed.

    scripts/ray.sh
    .venv/bin/python -m tests.offline.on_ray [--items 500]

Prints what became of every item. `tests/offline/test_on_ray.py` does the same with fewer.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq

from tests.conftest import ROOT
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
    manifest: Path
    address: str
    environment: dict[str, str]
    cluster: subprocess.Popen[str]
    ids: set[int] = field(default_factory=set)

    @property
    def out(self) -> Path:
        return self.folder / "faces"

    def start(self, actors: int, rows: int) -> subprocess.Popen[str]:
        """The driver."""
        arguments = [PYTHON.parent / "face-service", "embed", self.manifest, "--out", self.out]
        options = {"--ray": self.address, "--rows": rows, "--processes": actors}
        words = [str(word) for option in options.items() for word in option]
        return subprocess.Popen(
            [*arguments, *words, "--timeout", str(TIMEOUT_S)],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )

    def parts(self) -> int:
        """How many are written."""
        return len([*self.out.glob("part-*")])

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
        assert failed == EXPECTED
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
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "RAY_USAGE_STATS_ENABLED": "0",
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
        address = cluster.stdout.readline().strip()
        assert address, "Ray does not start"
        ids = {int(line.split(",")[0]) for line in kept[1:]}
        yield OnRay(folder, manifest, address, environment, cluster, ids)
    finally:
        cluster.stdin.close()
        cluster.wait(120)
        cluster.stdout.close()


def until(condition: Callable[[], bool], driver: subprocess.Popen[str], within: float) -> None:
    """Wait for a condition, while a driver runs. Raises AssertionError."""
    end = time.monotonic() + within
    while not condition():
        assert driver.poll() is None, driver.stderr and driver.stderr.read()
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.05)


def kill_actor(cluster: OnRay) -> None:
    """SIGKILL to an actor of this cluster."""
    for each in psutil.Process(cluster.cluster.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if ACTOR in " ".join(each.cmdline()):
                each.send_signal(signal.SIGKILL)
                return
    raise AssertionError("no actor runs")


def lose_everything(cluster: OnRay, rows: int, within: float) -> list[str]:
    """An actor, then the driver; then, while another goes on with more actors than are left room
    for, a node; then again. Returns what the drivers said."""
    first = cluster.start(2, rows)
    with first:
        until(lambda: cluster.parts() >= 2, first, within)
        kill_actor(cluster)
        before = cluster.parts()
        until(lambda: cluster.parts() >= before + 3, first, within)
        first.send_signal(signal.SIGKILL)
    had = cluster.parts()
    said = [f"driver killed with {had} parts"]
    with cluster.start(4, rows) as second:
        until(lambda: cluster.parts() >= had + 2, second, within)
        cluster.lose_node()
        said.append(second.communicate(timeout=within)[1].splitlines()[-1].strip())
        assert second.returncode == 1, said  # of the items that fail
    written = {path: path.stat().st_mtime_ns for path in cluster.out.glob("part-*")}
    with cluster.start(2, rows) as third:
        said.append(third.communicate(timeout=within)[1].splitlines()[-1].strip())
        assert third.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in cluster.out.glob("part-*")} == written
    return said


def main() -> int:
    """Print what the drivers said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), options.items) as cluster:
        print("\n".join(lose_everything(cluster, options.rows, 1200)))
        cluster.check()
        print(f"{len(cluster.ids)} ids, each once, {len(EXPECTED)} with a reason, ", end="")
    print(f"{time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
