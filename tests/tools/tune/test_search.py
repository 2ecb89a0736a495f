"""Tuning: what is tried, what is adopted, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from face_service.tools.tune.knobs import knobs_for
from face_service.tools.tune.report import as_dict, as_text, write_settings
from face_service.tools.tune.search import Bounds, Figures, Trial, search

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
KNOBS = [[{"WORKERS": "1"}, {"WORKERS": "2"}], [{"DET_GATE": "on"}]]


class Machine:
    """Throughput by setting: the product of what each brings. A setting of 0 does not start."""

    def __init__(self, factors: Mapping[str, float], memory: float = 500, p95: float = 400) -> None:
        self.factors = factors
        self.memory, self.p95 = memory, p95
        self.asked: list[dict[str, str]] = []

    def __call__(self, variables: Mapping[str, str]) -> Figures:
        self.asked.append(dict(variables))
        speed = 10.0
        memory = self.memory
        for name, value in variables.items():
            speed *= self.factors.get(f"{name}={value}", 1)
            memory += 200 if name == "WORKERS" else 0
        if not speed:
            raise RuntimeError("it did not start")
        return Figures(speed, speed, 100, self.p95 * 10 / speed, memory)


def best_of(machine: Machine, bounds: Bounds | None = None, budget: float = 60) -> dict[str, str]:
    _, best = search(machine, KNOBS, bounds or Bounds(), budget)
    return dict(best.variables)


def test_each_setting_is_tried_on_top_of_the_best_so_far() -> None:
    machine = Machine({"WORKERS=2": 1.3, "DET_GATE=on": 2})
    assert best_of(machine) == {"WORKERS": "2", "DET_GATE": "on"}
    assert {"WORKERS": "2", "DET_GATE": "on"} in machine.asked
    assert {"DET_GATE": "on"} not in machine.asked


def test_what_is_set_now_stays_unless_another_is_clearly_better() -> None:
    assert best_of(Machine({"WORKERS=1": 1.03, "DET_GATE=on": 0.9})) == {}


def test_what_was_better_by_chance_is_measured_again() -> None:
    machine = Machine({})
    once = iter([10, 15])

    def measure(variables: Mapping[str, str]) -> Figures:
        speed = next(once, 10.0)
        machine(variables)
        return Figures(speed, speed, 100, 400, 500)

    _, best = search(measure, [[{"WORKERS": "1"}]], Bounds(), 60)
    assert machine.asked == [{}, {"WORKERS": "1"}, {}, {"WORKERS": "1"}]
    assert best.throughput == pytest.approx(12.5), "of 15 and 10, against 10 and 10"


def test_a_setting_that_does_not_start_costs_only_itself() -> None:
    machine = Machine({"WORKERS=1": 0, "DET_GATE=on": 2})
    trials, best = search(machine, KNOBS, Bounds(), 60)
    assert dict(best.variables) == {"DET_GATE": "on"}
    (failed,) = [trial for trial in trials if trial.failure]
    assert "it did not start" in as_text(trials, best, Bounds())
    assert failed.variables == {"WORKERS": "1"}


def test_bounds_are_kept() -> None:
    faster = Machine({"WORKERS=1": 2, "DET_GATE=on": 1.5})
    assert best_of(faster, Bounds(memory=600)) == {"DET_GATE": "on"}
    slow = Machine({"DET_GATE=on": 0.5}, p95=300)
    assert best_of(slow, Bounds(latency=350)) == {}


def test_where_what_is_set_now_is_out_of_bounds_a_slower_one_that_is_not_wins() -> None:
    machine = Machine({"WORKERS=1": 0.5, "WORKERS=2": 0.4})

    def measure(variables: Mapping[str, str]) -> Figures:
        return replace(machine(variables), memory=300 if variables else 1_000)

    _, best = search(measure, KNOBS[:1], Bounds(memory=500), 60)
    assert dict(best.variables) == {"WORKERS": "1"}


def test_when_nothing_keeps_the_bounds_nothing_is_best() -> None:
    trials, best = search(Machine({}), KNOBS, Bounds(memory=1), 60)
    assert as_dict(trials, best, Bounds(memory=1))["best"] is None
    assert as_text(trials, best, Bounds(memory=1)).endswith("keeps the bounds.")


def test_after_the_budget_nothing_new_is_tried() -> None:
    machine = Machine({"WORKERS=2": 2})
    assert best_of(machine, budget=-1) == {}
    assert machine.asked == [{}]


@pytest.mark.parametrize("accuracy", ["same", "close", "other"])
def test_accuracy_bounds_what_is_tried(accuracy: str) -> None:
    tried = {
        name
        for alternatives in knobs_for(8, [CUDA, CPU], [CPU], "./pack-int8", accuracy)
        for variables in alternatives
        for name in variables
    }
    assert {"ONNX_PROVIDERS", "WORKERS", "INTRA_OP_THREADS"} <= tried
    assert ("DET_GATE" in tried) == (accuracy != "same")
    assert ({"PRECISION", "DET_SIZE", "INSIGHTFACE_MODEL"} <= tried) == (accuracy == "other")


def test_of_one_core_no_fewer_are_tried() -> None:
    assert knobs_for(1, [CPU], [CPU], None, "same") == []


def test_settings_are_written_beside_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nINSIGHTFACE_MODEL=starter\nWORKERS=3\n")
    write_settings(path, {"WORKERS": "1", "DET_GATE": "on"})
    assert path.read_text() == "# mine\nINSIGHTFACE_MODEL=starter\nWORKERS=1\nDET_GATE=on\n"


def test_a_trial_without_figures_keeps_no_bounds() -> None:
    assert not Trial({}, failure="it did not start").kept(Bounds())
