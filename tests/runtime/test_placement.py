"""Where nodes run, as far as it can be known."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from face_service.packs.catalog import Role
from face_service.packs.pack import Pack
from face_service.runtime.network import Task, load_networks
from face_service.runtime.providers import CPU, Setup


def load_and_run(starter: Pack) -> dict[str, int]:
    model = starter.models[Role.GENDER]
    (network,) = load_networks([Task(model.path, model.sha256)], (CPU,), Setup(threads=1))
    network.run(np.zeros((1, 3, 32, 32), np.float32))
    return dict(network.placement)


def test_every_node_is_counted_and_the_file_is_gone(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    placement = load_and_run(starter)
    assert set(placement) == {CPU}
    assert placement[CPU] > 3
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_a_place_for_the_profile_the_network_computes_all_the_same(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert load_and_run(starter) == {}
    assert "cannot be seen" in caplog.text
