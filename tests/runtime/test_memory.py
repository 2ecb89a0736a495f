"""Freed memory goes back to the system; memory that has run out is recognised."""

from __future__ import annotations

import subprocess
import sys

import pytest

from face_service.runtime.memory import is_out_of_memory

RESIDENT = """
from pathlib import Path
from face_service.runtime.memory import give_back, keep_large_blocks_apart

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def given_back(size, count):
    blocks = [bytearray(size) for _ in range(count)]
    pin = bytearray(60_000)  # at the end of the heap: what lies before it cannot be cut off
    before = resident()
    del blocks
    return pin, before
"""
SMALL = f"""{RESIDENT}
pin, before = given_back(60_000, 2000)
kept = resident()
give_back()
print(kept - resident())
"""
LARGE = f"""{RESIDENT}
keep_large_blocks_apart()
learnt = bytearray(31_000_000)
del learnt  # glibc learns from it
pin, before = given_back(6_000_000, 20)
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps and gives back")
@pytest.mark.parametrize("program", [SMALL, LARGE], ids=["small, when asked", "large, at once"])
def test_what_is_freed_is_given_back(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert float(done.stdout) > 50, done


@pytest.mark.parametrize(
    "said",
    [
        # microsoft/onnxruntime#22702
        "Non-zero status code returned while running Conv node. Name:'c' Status Message: "
        "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::"
        "AllocateRawInternal(size_t) Failed to allocate memory for requested buffer of size 93952",
        # bfc_arena.cc, Extend, over gpu_mem_limit
        "Available memory of 1048576 is smaller than requested bytes of 8388608",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc((void**)&p, size);",
        # the specification's troubleshooting
        "RuntimeError: HIP error: out of memory",
        "HIP failure 2: out of memory ; GPU=0",
        "hipErrorOutOfMemory",
        # ROCm/AMDMIGraphX#1688
        "targets/gpu/hip.cpp:109: allocate_gpu: Memory not available to allocate buffer: 2516582",
        # immich-app/immich#31675
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "CUDNN_STATUS_ALLOC_FAILED",
        "std::bad_alloc",
        "bad allocation",
        "Exception(1) tid(1) 8007000E Not enough memory resources are available",
    ],
)
def test_memory_that_ran_out_is_recognised(said: str) -> None:
    assert is_out_of_memory(RuntimeError(said))


@pytest.mark.parametrize(
    "said",
    [
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0",
        "Got invalid dimensions for input: input.1 for the following indices",
        "Memcpy: Input tensor is nullptr.",
    ],
)
def test_other_failures_are_not_taken_for_it(said: str) -> None:
    assert not is_out_of_memory(RuntimeError(said))


def test_python_runs_out_of_memory_as_well() -> None:
    assert is_out_of_memory(MemoryError())
