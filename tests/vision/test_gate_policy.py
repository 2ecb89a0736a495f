"""When the detector gate runs by itself: while it saves more than it costs."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.vision.gate_policy import GatePolicy, Verdict


def feed(policy: GatePolicy, frames: int, empty: bool, right: bool = True) -> None:
    """So many frames, which the gate sees for what they are, or not, while it runs."""
    for _ in range(frames):
        seen: Verdict = "empty" if empty and right else "perhaps"
        policy.record(seen if policy.running else "skipped", empty)


def test_auto_runs_while_it_pays() -> None:
    policy = GatePolicy("auto", cost=0.4)
    assert not policy.running, "nothing is known yet"
    feed(policy, 100, empty=False)
    assert not policy.running
    feed(policy, 100, empty=True)
    assert policy.running
    feed(policy, 100, empty=False)
    assert not policy.running


@pytest.mark.parametrize(("share", "cost", "runs"), [(0.6, 0.4, True), (0.2, 0.4, False),
                                                    (0.6, 0.8, False)])  # fmt: skip
def test_auto_weighs_what_it_saves_against_its_cost(share: float, cost: float, runs: bool) -> None:
    policy = GatePolicy("auto", cost)
    for number in range(400):
        feed(policy, 1, empty=number % 10 < share * 10)
        if number > 200:
            assert policy.running == runs, number


def test_near_the_balance_it_does_not_go_back_and_forth() -> None:
    policy, switches = GatePolicy("auto", cost=0.5), 0
    random = np.random.default_rng(0)
    for empty in random.random(4000) < 0.5 + 0.02:
        before = policy.running
        feed(policy, 1, bool(empty))
        switches += policy.running != before
    assert switches < 4000 / 32, "fewer than there are lengths of the average"


def test_auto_learns_that_it_recognises_no_empty_frame() -> None:
    policy = GatePolicy("auto", cost=0.4)
    feed(policy, 40, empty=True)
    assert policy.running
    running = 0
    for _ in range(2000):
        feed(policy, 1, empty=True, right=False)
        running += policy.running
    assert running < 200


def test_on_runs_always() -> None:
    policy = GatePolicy("on", cost=2)
    feed(policy, 100, empty=False)
    assert policy.running
