"""Networks: batches of any length through graphs of any batch."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.packs.catalog import Role
from face_service.packs.pack import Pack
from face_service.runtime.network import NetworkSpec, load_networks
from face_service.runtime.policy import MAX_BATCH
from face_service.runtime.providers import CPU, RuntimeConfig


def blob(rows: int, side: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("role", [Role.RECOGNITION, Role.AGE], ids=["fixed batch 1", "any batch"])
@pytest.mark.parametrize("rows", [1, 2, MAX_BATCH, MAX_BATCH + 3])
def test_every_row_gets_its_own_answer(starter: Pack, role: Role, rows: int) -> None:
    model = starter.models[role]
    (network,) = load_networks([NetworkSpec(model.path, model.sha256)], (CPU,), RuntimeConfig())
    side = network.input_shape[2]
    assert side is not None
    batch = blob(rows, side)

    (answers,) = network.run_batched(batch)

    singles = np.concatenate([network.run(batch[i : i + 1])[0] for i in range(rows)])
    assert answers.shape == singles.shape
    assert np.abs(answers - singles).max() < 1e-4
