"""What a fleet behind a real HAProxy keeps: services that are ended, killed and cold. How much they
reach, and how long requests wait, is printed by `python -m benchmarks.fleet`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from benchmarks.fleet import free_ports
from benchmarks.fleets.load import (
    ask_once,
    clients,
    efficiency,
    inside,
    killed,
    lasting,
    open_load,
    photo,
    rolling_restarts,
    shares,
)
from benchmarks.fleets.processes import Fleet, haproxy

from face_service_client import Client
from tests.clients.workshop import PROJECT, install
from tests.forks import MODULE, Forked, fork
from tests.wire import settled

SERVICES = 3
LOAD_SECONDS = 0.5


def start(environment: dict[str, str], folder: Path, log: IO[str]) -> Forked:
    program, to = MODULE.format("benchmarks.fleets.stub"), log.fileno()
    return fork(program, [], environment | {"DET_GATE": "off"}, folder, to, to)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not haproxy():
        pytest.skip("no HAProxy: scripts/deployment.sh fetches it into .deployment")
    folder = tmp_path_factory.mktemp("fleet")
    with Fleet(
        folder, free_ports(SERVICES + 1), 0.1, start, grace=1.5, load_seconds=LOAD_SECONDS
    ) as running:
        yield running


def test_everybody_works_and_nobody_is_refused(fleet: Fleet) -> None:
    """The rest, which needs a machine of its own, is what the command prints."""
    reached, even = efficiency(fleet, 1)
    assert 0 < reached < 1.2
    assert min(even) > 0
    mean, p99, even = open_load(fleet, 0.5, 2)
    assert 0 <= mean <= p99
    assert min(even) > 0


def test_a_rolling_restart_loses_nothing(fleet: Fleet) -> None:
    statuses = rolling_restarts(fleet, 1)
    assert set(statuses) == {200}, statuses
    assert statuses[200] > SERVICES


def test_of_a_service_that_is_killed_only_what_it_had_is_lost(fleet: Fleet) -> None:
    slow = lasting(fleet)
    had, got = killed(fleet, 0, lambda: ask_once(fleet, slow))
    assert had >= 1
    assert sum(status != 200 for status in got) == had
    assert len(got) == 2 * SERVICES


def test_the_client_brings_home_what_was_lost(fleet: Fleet) -> None:
    slow = lasting(fleet)
    with Client(fleet.url) as client:
        had, got = killed(fleet, 1, lambda: client.detect(slow).image_width)
    assert had >= 1
    assert len(got) == 2 * SERVICES
    assert len(set(got)) == 1


HOME = """
import { readFileSync } from 'node:fs';
import { FaceServiceClient } from 'CLIENT';
const [, , photo, url, count] = process.argv;
const client = new FaceServiceClient(url);
const image = readFileSync(photo);
const found = await Promise.all([...Array(Number(count))].map(() => client.detect(image)));
console.log(found.length);
"""


def test_the_typescript_client_brings_home_what_was_lost(fleet: Fleet, tmp_path: Path) -> None:
    workshop = install()
    script, image = tmp_path / "home.ts", tmp_path / "photo.jpg"
    script.write_text(HOME.replace("CLIENT", str(PROJECT / "src/index.ts")))
    image.write_bytes(lasting(fleet))
    command = [*workshop.runtimes["bun"], script, image, fleet.url, 2 * SERVICES]

    def ask() -> int:
        return int(workshop.do([str(word) for word in command], tmp_path))

    had, got = killed(fleet, 2, ask, together=True)
    assert had >= 1
    assert got == [2 * SERVICES]


def test_a_cold_service_gets_nothing_before_it_is_warm(fleet: Fleet) -> None:
    settled(lambda: inside(fleet, 2) == 0)
    with clients(fleet, 2 * SERVICES) as seen:
        fleet.services[2].terminate()
        assert fleet.services[2].wait(60) == 0
        fleet.services[2] = fleet.start_service(2)
        fleet.wait_ready(2)
        settled(lambda: inside(fleet, 2) > 0)
    assert set(seen.statuses) == {200}, seen.statuses
    told = httpx.get(f"http://{fleet.host}:{fleet.ports[2]}/metrics").text
    refused = [line for line in told.splitlines() if line.startswith("face_service_rejected_total")]
    assert refused
    assert all(line.endswith(" 0.0") for line in refused), refused


def test_shares_are_of_what_was_answered(fleet: Fleet) -> None:
    def run() -> None:
        for _ in range(SERVICES):
            assert ask_once(fleet, photo()) == 200

    _, even = shares(fleet, run)  # type: ignore[arg-type, func-returns-value]
    assert sum(even) == pytest.approx(SERVICES)
