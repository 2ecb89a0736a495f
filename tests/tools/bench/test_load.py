"""When requests are sent, and from when their latency counts: by a clock of the test's own."""

from __future__ import annotations

import itertools

import pytest

from face_service.tools.bench.client import Reply
from face_service.tools.bench.load import Plan, Sample, send_requests


class Clock:
    """A clock that only sleeping and sending move, and a server that takes `service` seconds."""

    def __init__(self, service: float = 0.0, status: int = 200) -> None:
        self.now = 1000.0
        self.service = service
        self.status = status
        self.sent: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def send(self, number: int) -> Reply:
        self.sent.append(self.now - 1000.0)
        self.now += self.service
        return Reply(self.status, faces=number)

    def run(self, plan: Plan) -> list[Sample]:
        numbers = itertools.count().__next__
        return send_requests(plan, numbers, self.send, self, self.sleep, started=1000.0)


def test_latency_counts_from_when_a_request_was_due() -> None:
    clock = Clock(service=0.25)
    samples = clock.run(Plan(clients=1, requests=100, seconds=0.4, rate=10))
    assert clock.sent == pytest.approx([0, 0.25, 0.5, 0.75])
    assert [s.late for s in samples] == pytest.approx([0, 0.15, 0.3, 0.45])
    assert [s.latency for s in samples] == pytest.approx([0.25, 0.4, 0.55, 0.7])


def test_a_server_that_keeps_up_is_asked_on_time() -> None:
    clock = Clock(service=0.02)
    samples = clock.run(Plan(clients=1, requests=100, seconds=0.5, rate=10))
    assert clock.sent == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [s.late for s in samples] == pytest.approx([0] * 5)
    assert [s.latency for s in samples] == pytest.approx([0.02] * 5)


def test_a_hopeless_backlog_is_given_up_after_twice_the_time() -> None:
    clock = Clock(service=1.0)
    samples = clock.run(Plan(clients=1, requests=100, seconds=2, rate=10))
    assert clock.sent == pytest.approx([0, 1, 2, 3, 4])
    assert len(samples) == 5


def test_a_closed_loop_posts_as_soon_as_it_has_an_answer() -> None:
    clock = Clock(service=0.3)
    samples = clock.run(Plan(clients=1, requests=3, seconds=60))
    assert clock.sent == pytest.approx([0, 0.3, 0.6])
    assert [s.latency for s in samples] == pytest.approx([0.3] * 3)
    assert all(s.late == 0 for s in samples)


def test_a_closed_loop_ends_when_time_is_up() -> None:
    clock = Clock(service=0.3)
    clock.run(Plan(clients=1, requests=100, seconds=0.5))
    assert clock.sent == pytest.approx([0, 0.3])


@pytest.mark.parametrize(
    ("plan", "arrivals"),
    [
        (Plan(1, 100, 2.5, rate=10), 25),
        (Plan(1, 7, 2.5, rate=10), 7),
        (Plan(1, 100, 0.1, rate=0.5), 1),
        (Plan(1, 100, 0.1), 100),
    ],
)
def test_arrivals_are_bounded_in_count_and_time(plan: Plan, arrivals: int) -> None:
    assert plan.arrivals == arrivals
