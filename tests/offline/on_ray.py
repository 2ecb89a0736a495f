"""`face-service embed --ray` while actors, a node and the driver are killed.

    scripts/ray.sh; scripts/oracle.sh
    .venv/bin/python -m tests.offline.on_ray [--items 500] [--rows 10]
    .venv/bin/python -m tests.offline.on_ray --cost [--rows 10]

Each case is a run of its own, to its end. `tests/offline/test_on_ray.py` has all of them in one.
With --cost nothing is killed, and what an item costs is printed (`tests.offline.cost`).
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.offline.cost import measure
from tests.offline.ray_runs import ACTOR, OnRay, last_words, running, until

LEAST_SHARE = 0.7
"""Of the mean, that each actor has of the items."""
SHARES = re.compile(r"actors, with ([\d.]+) to")
Case = Callable[[OnRay, int, float], str]


def kill_actor(cluster: OnRay) -> None:
    """SIGKILL to an actor of this cluster."""
    for each in psutil.Process(cluster.cluster.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if ACTOR in " ".join(each.cmdline()):
                each.send_signal(signal.SIGKILL)
                return
    raise AssertionError("no actor runs")


def lose_actor(cluster: OnRay, rows: int, within: float) -> str:
    """SIGKILL to an actor. Returns what the driver said at its end, as all cases do."""
    with cluster.start(2, rows) as driver:
        until(lambda: cluster.parts() >= 2, cluster, driver, within)
        kill_actor(cluster)
        return last_words(cluster, driver, within)


def kill_driver(cluster: OnRay, rows: int, within: float) -> None:
    """SIGKILL to an actor, and later to the driver."""
    with cluster.start(2, rows) as driver:
        until(lambda: cluster.parts() >= 2, cluster, driver, within)
        kill_actor(cluster)
        before = cluster.parts()
        until(lambda: cluster.parts() >= before + 3, cluster, driver, within)
        driver.send_signal(signal.SIGKILL)


def lose_driver(cluster: OnRay, rows: int, within: float) -> str:
    """The same command, after its first driver was killed."""
    kill_driver(cluster, rows, within)
    return lose_nothing(cluster, rows, within)


def lose_node(cluster: OnRay, rows: int, within: float) -> str:
    """SIGKILL to a node while there are more actors than are left room for."""
    had = cluster.parts()
    with cluster.start(4, rows) as driver:
        until(lambda: cluster.parts() >= had + 2, cluster, driver, within)
        cluster.lose_node()
        said = last_words(cluster, driver, within)
    assert driver.returncode == 1, said  # of the items that fail
    return said


def lose_nothing(cluster: OnRay, rows: int, within: float) -> str:
    """The command, to its end."""
    with cluster.start(2, rows) as driver:
        return last_words(cluster, driver, within)


def do_again(cluster: OnRay, rows: int, within: float) -> str:
    """The command after it succeeded: no file is touched."""
    written = {path: path.stat().st_mtime_ns for path in cluster.out.glob("part-*")}
    said = lose_nothing(cluster, rows, within)
    assert said.startswith("0 items, 0 faces;"), said
    assert {path: path.stat().st_mtime_ns for path in cluster.out.glob("part-*")} == written
    return said


CASES = {
    "an actor": lose_actor,
    "an actor, then the driver": lose_driver,
    "a node, of two": lose_node,
    "nothing, after success": do_again,
}
"""By what is lost."""


def report(lost: str, case: Case, cluster: OnRay, rows: int) -> None:
    """Run a case, and print what became of its items."""
    began = time.monotonic()
    said = case(cluster, rows, 1200)
    cluster.check()
    ids = f"{len(cluster.ids)} ids, each once, {len(cluster.failing)} with a reason"
    print(f"{lost}: {ids}, {time.monotonic() - began:.0f} s\n  {said}", flush=True)


def report_cost(cluster: OnRay, rows: int) -> bool:
    """Embed with nothing lost, and print how even the actors' shares are, and what an item costs.
    Returns whether that is as promised."""
    said, cost = measure(cluster, rows, 1200)
    (least,) = SHARES.findall(said)
    even = float(least) >= LEAST_SHARE
    print(f"{said}{'' if even else '  (not as promised)'}\n  {cost}", flush=True)
    return even and cost.kept


def report_losses(cluster: OnRay, rows: int) -> None:
    """Run all cases."""
    for lost, case in CASES.items():
        if case is not do_again:
            cluster.out = cluster.folder / f"without {lost}"
        report(lost, case, cluster, rows)


def main() -> int:
    """Print what became of the items of each case, or what one costs. Returns 1 where a promise is
    not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), options.items) as cluster:
        if options.cost:
            return int(not report_cost(cluster, options.rows))
        report_losses(cluster, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
