"""One pack, one space: what a recogniser computes must not depend on the processor.

Int8 products of 8 bits with 8 saturate in the kernels that AVX2 has, so that a fleet of unlike
machines would hold two spaces under one name. A processor with AVX2 alone is emulated here; what
others have computed lies in tests/references.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from face_service.packs.catalog import Role
from face_service.packs.pack import Pack, PackModel
from face_service.vision.blob import Blob
from tests import kernels, references
from tests.kernels import Floats, embed

REFERENCES = sorted(references.FOLDER.glob("*.npz"))

ROUNDING = 0.985, 0.965
"""Mean and least cosine that int8 kernels keep to the same network in float: sums are rounded at
other places. Saturation took the mean to 0.969 and the least to 0.947 (decision 0011)."""

SAME = 0.9999
"""Least cosine between two processors that compute the same."""


@pytest.fixture(scope="module")
def recogniser(starter: Pack) -> PackModel:
    """The recogniser of the starter pack."""
    return starter.models[Role.RECOGNITION]


@pytest.fixture(scope="module")
def faces(recogniser: PackModel) -> Blob:
    """Six faces, as the recogniser takes them."""
    return references.inputs_of(recogniser, references.read(REFERENCES[0])["landmarks"])


@pytest.fixture(scope="module")
def int8(recogniser: PackModel, faces: Blob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recogniser in int8."""
    return references.quantised(recogniser, faces, tmp_path_factory.mktemp("int8"))


@pytest.fixture(scope="module")
def exact(int8: Path, faces: Blob) -> Floats:
    """What int8 is in exact arithmetic."""
    return embed(int8, faces, exact=True)


@pytest.fixture(scope="module")
def on_avx2(int8: Path, faces: Blob, tmp_path_factory: pytest.TempPathFactory) -> Floats:
    """What a processor with AVX2 alone makes of int8."""
    if reason := kernels.missing():
        pytest.skip(reason)
    return kernels.emulated(int8, faces[: references.EMULATED], tmp_path_factory.mktemp("avx2"))


def cosines(one: Floats, other: Floats) -> Floats:
    """Of the faces that both have."""
    count = min(len(one), len(other))
    return np.asarray((one[:count] * other[:count]).sum(axis=1))


def assert_rounding_alone(one: Floats, other: Floats) -> None:
    found = cosines(one, other)
    mean, least = ROUNDING
    assert found.mean() > mean and found.min() > least, found


def test_no_sum_of_two_products_leaves_16_bits(int8: Path) -> None:
    stored = onnx.load(int8).graph.initializer
    weights = [array for item in stored if (array := numpy_helper.to_array(item)).dtype == np.int8]
    largest = max(int(np.abs(array.astype(int)).max()) for array in weights)
    assert largest > 60 and 2 * 255 * largest < 2**15


def test_int8_kernels_of_this_processor_are_exact(int8: Path, faces: Blob, exact: Floats) -> None:
    assert_rounding_alone(embed(int8, faces), exact)


def test_int8_kernels_of_avx2_are_exact(on_avx2: Floats, exact: Floats) -> None:
    assert_rounding_alone(on_avx2, exact)


def test_avx2_and_this_processor_share_a_space(int8: Path, faces: Blob, on_avx2: Floats) -> None:
    assert cosines(embed(int8, faces), on_avx2).min() > SAME


def test_there_are_references_of_both_kinds_of_kernel() -> None:
    classes = {path.stem for path in REFERENCES}
    assert "avx2" in classes and any("vnni" in name for name in classes)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.stem)
def test_fp32_is_what_that_processor_computed(
    reference: Path, recogniser: PackModel, faces: Blob
) -> None:
    expected = references.read(reference)["fp32"]
    assert cosines(embed(recogniser.path, faces), expected).min() > 0.99999


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.stem)
def test_int8_is_what_that_processor_computed(reference: Path, int8: Path, faces: Blob) -> None:
    assert_rounding_alone(embed(int8, faces), references.read(reference)["int8"])
