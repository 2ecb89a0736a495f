"""Batches: every row in one run, every run of a size that was foreseen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_service.runtime.policy import MAX_BATCH_IMAGES, Run, ShapePolicy
from face_service.runtime.providers import CPU, OPENVINO, PROVIDERS, max_batch_images

POLICIES = st.sampled_from([provider.shapes for provider in PROVIDERS.values()])


@given(POLICIES, st.integers(0, 200))
def test_every_row_is_in_one_run_of_an_allowed_size(policy: ShapePolicy, rows: int) -> None:
    runs = list(policy.runs(rows))
    assert sum(run.rows for run in runs) == rows
    assert all(run.batch in policy.batches and 0 < run.rows <= run.batch for run in runs)


@given(POLICIES, st.integers(0, 200))
def test_only_the_last_run_is_filled_up_and_less_than_doubled(
    policy: ShapePolicy, rows: int
) -> None:
    runs = list(policy.runs(rows))
    assert all(run.rows == run.batch for run in runs[:-1])
    assert all(run.batch < 2 * run.rows for run in runs)
    assert policy.pads or all(run.rows == run.batch for run in runs)


@given(POLICIES, st.integers(1, 64), st.integers(0, 200))
def test_a_graph_with_a_fixed_batch_gets_that_and_nothing_else(
    policy: ShapePolicy, batch: int, rows: int
) -> None:
    runs = list(policy.for_fixed_batch(batch).runs(rows))
    assert {run.batch for run in runs} <= {batch}
    assert sum(run.rows for run in runs) == rows
    assert len(runs) == -(-rows // batch)


def test_the_cpu_takes_one_face_a_run() -> None:
    policy = PROVIDERS[CPU].shapes
    assert list(policy.runs(3)) == [Run(1, 1)] * 3
    assert policy.kind == "dynamic"


def test_a_card_computes_three_as_four() -> None:
    policy = PROVIDERS["MIGraphXExecutionProvider"].shapes
    assert list(policy.runs(11)) == [Run(8, 8), Run(3, 4)]
    assert policy.kind == "fixed"


@pytest.mark.parametrize(
    ("providers", "images"),
    [
        ([CPU], 1),
        ([OPENVINO, CPU], 1),
        (["CUDAExecutionProvider", CPU], MAX_BATCH_IMAGES),
        (["MIGraphXExecutionProvider"], MAX_BATCH_IMAGES),
    ],
)
def test_images_per_turn(providers: list[str], images: int) -> None:
    assert max_batch_images(providers) == images
