"""`face-service plan`: the simulation against queueing theory and against what was measured, and
what the command prints."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest

from face_service.tools.planning import plan as planning
from face_service.tools.planning.plan import Load, as_dict, as_text, least_replicas, row, rows
from face_service.tools.planning.simulation import (
    POLICIES,
    Traffic,
    poisson,
    traffic,
    waits,
)
from tests import commands
from tests.conftest import environment_of_servers

COUNT = 60_000


def arrivals(load: float, servers: int, services: list[float]) -> Traffic:
    chance = random.Random(5)
    rate = load * servers / statistics.mean(services)
    return Traffic([chance.expovariate(rate) for _ in services], services)


def exponential() -> list[float]:
    chance = random.Random(6)
    return [chance.expovariate(1) for _ in range(COUNT)]


def test_one_server_waits_as_theory_says() -> None:
    """M/M/1: load / (1 - load) service times. M/D/1: half of it."""
    random_times = statistics.mean(waits(arrivals(0.6, 1, exponential()), 1, 1, "round robin"))
    fixed_times = statistics.mean(waits(arrivals(0.6, 1, [1.0] * COUNT), 1, 1, "round robin"))
    assert random_times == pytest.approx(1.5, rel=0.15)
    assert fixed_times == pytest.approx(0.75, rel=0.1)


def test_several_engines_of_a_replica_share_a_queue() -> None:
    """M/M/4 at 0.8: Erlang's C is 0.5964, the wait C / (4 (1 - 0.8)) = 0.745."""
    found = statistics.mean(waits(arrivals(0.8, 4, exponential()), 1, 4, "round robin"))
    assert found == pytest.approx(0.745, rel=0.15)


def test_replicas_at_random_are_servers_each_on_its_own() -> None:
    found = statistics.mean(waits(arrivals(0.6, 8, exponential()), 8, 1, "at random"))
    assert found == pytest.approx(1.5, rel=0.15)


def test_waits_are_those_that_were_measured_behind_haproxy() -> None:
    """Service times that do not vary, load 0.8, in service times; of docs/capacity.md."""
    measured = {
        (4, "fewest requests"): 0.30,
        (16, "fewest requests"): 0.08,
        (16, "round robin"): 0.09,
        (32, "fewest requests"): 0.03,
    }
    for (replicas, policy), expected in measured.items():
        found = statistics.mean(waits(arrivals(0.8, replicas, [1.0] * 20_000), replicas, 1, policy))
        assert found == pytest.approx(expected, abs=0.08), (replicas, policy)


def test_where_images_differ_the_policies_come_in_their_order() -> None:
    chance = random.Random(7)
    services = [0.5 + 0.5 * poisson(1, chance) for _ in range(20_000)]
    requests = arrivals(0.8, 16, services)
    found = [statistics.mean(waits(requests, 16, 1, policy)) for policy in POLICIES]
    fewest, two, in_turn, at_random, by_connection = found
    assert fewest < two < at_random
    assert fewest < in_turn < at_random < by_connection


def test_faces_are_as_many_as_asked_for() -> None:
    requests = traffic(100, image=0.1, face=0.05, faces=2, count=20_000)
    assert statistics.mean(requests.services) == pytest.approx(0.2, rel=0.03)
    assert statistics.mean(requests.gaps) == pytest.approx(0.01, rel=0.03)
    assert requests.busy == pytest.approx(20, rel=0.05)


def plan(**changes: float) -> Load:
    given = {"rate": 200, "faces": 0.6, "p99": 0.4, "image": 0.1, "face": 0.07, "engines": 2,
             "decode": 0, "price": 0}  # fmt: skip
    return Load(**given | changes)  # type: ignore[arg-type]


def test_one_replica_fewer_does_not_keep_the_latency() -> None:
    wanted = plan()
    requests = traffic(wanted.rate, wanted.image, wanted.face, wanted.faces)
    found = row(wanted, requests, "two choices")
    assert found.replicas is not None
    assert found.p99 <= wanted.p99
    assert found.replicas > least_replicas(wanted, requests)
    assert row(plan(p99=found.p99 * 0.98), requests, "two choices").replicas >= found.replicas  # type: ignore[operator]


def test_of_a_large_fleet_a_share_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SIMULATED", 2)
    whole, half = list(rows(plan(rate=56))), list(rows(plan(rate=28)))
    for large, small in zip(whole, half, strict=True):
        assert large.replicas == 2 * small.replicas  # type: ignore[operator]
        assert (large.load, large.wait) == (small.load, small.wait)


def test_a_latency_that_no_number_keeps_is_told() -> None:
    wanted = plan(p99=0.12)
    requests = traffic(wanted.rate, wanted.image, wanted.face, wanted.faces)
    found = row(wanted, requests, "fewest requests")
    assert found.replicas is None
    assert "No number keeps 120 ms" in as_text(wanted, [found])


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    environment = environment_of_servers()
    wanted = plan(rate=20, price=0.1)
    found = list(rows(wanted))
    text = as_text(wanted, found)
    asked = ["plan", "--rps", 20, "--faces", 0.6, "--p99", "400ms", "--price", 0.1, "--json"]
    done = commands.run([*asked, "--image-ms", 100, "--face-ms", 70], environment, tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == json.loads(json.dumps(as_dict(wanted, found)))
    assert [each["policy"] for each in told["policies"]] == list(POLICIES)
    for each in told["policies"]:
        assert f"| {each['policy']} | {each['replicas']} |" in text
        cost = each["replicas"] * 0.1 / 3600 / 20 * 1e6
        assert each["cost_per_million"] == pytest.approx(cost)
    wrong = commands.run(["plan", "--rps", 20, "--p99", "soon"], environment, tmp_path)
    assert wrong.returncode == 2
    assert "such as 400ms" in wrong.stderr
