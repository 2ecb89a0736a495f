"""What runs one at a time: programs that are not safe side by side, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from face_service.errors import InferenceFailed
from face_service.runtime import network
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import PROVIDERS, RuntimeConfig

from .conftest import MIGRAPHX, Ort

DIRECTML = "DmlExecutionProvider"

BLOB = np.zeros((1, 3, 64, 64), np.float32)


@pytest.mark.parametrize("name", PROVIDERS)
def test_runs_on_migraphx_and_directml_are_exclusive_across_workers_and_others_do_not(
    name: str, age: NetworkSpec, ort: Ort, tmp_path: Path
) -> None:
    config = RuntimeConfig(cache=tmp_path)
    ours, theirs = load_networks([age, age], (name,), config)
    held = []
    for given in ort.sessions:
        given.run = lambda *_: held.append(config.one_at_a_time.locked()) or [BLOB]  # type: ignore
    ours.run(BLOB)
    theirs.run(BLOB)
    assert held == [name in (MIGRAPHX, DIRECTML)] * 2
    assert not config.one_at_a_time.locked()


def test_who_waits_for_a_run_that_has_hung_fails(
    age: NetworkSpec, ort: Ort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RuntimeConfig(cache=tmp_path)
    (loaded,) = load_networks([age], (MIGRAPHX,), config)
    monkeypatch.setattr(network, "EXCLUSIVE_TIMEOUT_S", 0.01)
    with config.one_at_a_time, pytest.raises(InferenceFailed, match="Another run has hung"):
        loaded.run(BLOB)
    assert loaded.run(BLOB)
