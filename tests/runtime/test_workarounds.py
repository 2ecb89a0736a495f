"""What the workarounds in `runtime/` and `vision/` are for is still so. A test that fails here
says that upstream has mended it, and which workaround may go (docs/decisions/0018-providers.md)."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as native

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU
from face_service.vision.alignment import TOO_LONG

ROOT = Path(__file__).parent.parent.parent
MENDED = {"record_ep_graph_assignment_info": (1, 24), "cast_output_names": (1, 32)}
"""The versions from which ONNX Runtime needs `Profile` and `drop_repeated_nodes` no more."""


def pinned(file: str, package: str) -> tuple[int, ...]:
    """Major and minor version, or their bound, of a package in a lock file or a Dockerfile."""
    found = re.search(rf"\b{package}(?:==|<)(\d+)\.(\d+)", (ROOT / file).read_text())
    assert found, f"{file} has no {package}"
    return tuple(map(int, found.groups()))


def test_a_session_still_falls_back_in_python_unless_told_not_to() -> None:
    """`enable_fallback=0` in runtime/session.py; microsoft/onnxruntime#23372."""
    assert "enable_fallback" in inspect.getsource(onnxruntime.InferenceSession.__init__)


def test_a_provider_that_is_left_out_is_still_a_warning_only(starter: Pack) -> None:
    """The look at `get_providers` in runtime/session.py."""
    path = starter.models[Role.GENDER].path
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        session = onnxruntime.InferenceSession(path, providers=["CUDAExecutionProvider", CPU])
    assert session.get_providers() == [CPU]
    assert [str(one.message) for one in said if "not in available" in str(one.message)]


def test_memory_that_has_run_out_still_has_no_exception_of_its_own() -> None:
    """OUT_OF_MEMORY in runtime/memory.py; microsoft/onnxruntime#16307."""
    errors = [
        name
        for name, value in vars(native).items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert errors
    assert [name for name in errors if "memory" in name.lower()] == []


def test_a_build_without_the_report_of_placement_is_still_supported() -> None:
    """`Profile` in runtime/placement.py."""
    rocm = pinned("Dockerfile.rocm", "onnxruntime-rocm")
    assert rocm < MENDED["record_ep_graph_assignment_info"]


def test_a_build_whose_converter_casts_twice_is_still_supported() -> None:
    """`drop_repeated_nodes` in runtime/half.py."""
    assert pinned("requirements-cuda.lock", "onnxruntime-gpu") < MENDED["cast_output_names"]


def test_opencv_still_warps_nothing_out_of_a_long_image() -> None:
    """`crop_of_long` in vision/alignment.py; opencv/opencv#26860."""
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
    with pytest.raises(cv2.error):
        cv2.warpAffine(np.zeros((1, TOO_LONG, 3), np.uint8), matrix, (8, 8))
    cv2.warpAffine(np.zeros((1, TOO_LONG - 1, 3), np.uint8), matrix, (8, 8))
