"""Which providers get batches across requests."""

from __future__ import annotations

import pytest

from face_service.runtime.policy import IMAGES_PER_TURN, images_per_turn


@pytest.mark.parametrize(
    ("providers", "images"),
    [
        (["CPUExecutionProvider"], 1),
        (["OpenVINOExecutionProvider", "CPUExecutionProvider"], 1),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], IMAGES_PER_TURN),
        (["MIGraphXExecutionProvider"], IMAGES_PER_TURN),
    ],
)
def test_images_per_turn(providers: list[str], images: int) -> None:
    assert images_per_turn(providers) == images
