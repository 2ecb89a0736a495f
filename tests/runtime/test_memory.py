"""Freed memory goes back, to the system and to the card; memory that has run out is recognised."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_service.errors import OutOfMemory
from face_service.runtime import network
from face_service.runtime.memory import is_out_of_memory, set_up_malloc, trim_heap
from face_service.runtime.providers import CPU, OPENVINO
from tests.server import Server

from .conftest import CUDA, MIGRAPHX, Load, Ort

GIVE_BACK = """
from pathlib import Path
from face_service.runtime.memory import trim_heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

blocks = [bytearray(60_000) for _ in range(2000)]
pin = bytearray(60_000)  # at the end of the heap: what lies before it cannot be cut off
del blocks
before = resident()
trim_heap()
print(before - resident())
"""
HEAPS = """
import ctypes, sys, threading
from face_service.runtime.memory import set_up_malloc

if sys.argv[2:]:
    set_up_malloc()
blocks, all_there = [], threading.Barrier(4)

def allocate():
    blocks.append(bytearray(60_000))
    all_there.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps and gives back")
def test_what_glibc_keeps_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, text=True)
    assert float(done.stdout) > 50, done


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has a heap for every thread")
def test_threads_share_one_heap(tmp_path: Path) -> None:
    def heaps(*shared: str) -> int:
        out = tmp_path / "heaps.xml"
        subprocess.run([sys.executable, "-c", HEAPS, out, *shared], check=True)
        return out.read_text().count("<heap nr=")

    assert heaps() > 1
    assert heaps("shared") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has a heap for every thread")
@pytest.mark.parametrize("variables", [{}, {"LOG_FORMAT": "json"}])
def test_a_server_has_one_heap(
    variables: dict[str, str], start_server: Callable[..., Server], six_faces: Path
) -> None:
    server = start_server(**variables)
    server.wait_until_ready()
    assert server.client.post("/detect", files={"file": six_faces.read_bytes()}).status_code == 200

    assert heaps_of_threads(server.process.pid) == []
    server.stop()


def heaps_of_threads(pid: int) -> list[str]:
    """What glibc reserves: 64 MB from a multiple of 64 MB, closed (`---p`) where the heap ends."""
    size = 64 << 20
    opened, closed = set(), set()
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        bounds, rights = line.split()[:2]
        begin, end = (int(bound, 16) for bound in bounds.split("-"))
        if rights == "rw-p" and begin % size == 0:
            opened.add(begin)
        if rights == "---p" and end % size == 0:
            closed.add(end - size)
    return [hex(begin) for begin in opened & closed]


def test_a_c_library_that_cannot_be_asked_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def static(_: object) -> None:
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr(ctypes, "CDLL", static)
    set_up_malloc()
    trim_heap()


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


BLOB = np.zeros((1, 3, 64, 64), np.float32)


def shrunk(options: Sequence[Any]) -> str | None:
    return options[0].get_run_config_entry(network.SHRINK) if options else None


def test_a_card_gets_its_memory_back_every_so_many_runs(load: Load, ort: Ort) -> None:
    loaded = load(CUDA, device=1, shrink_every=3)
    for _ in range(6):
        loaded.run(BLOB)
    given = [shrunk(options) for _, options in ort.sessions[0].runs]
    assert given == [None, None, "gpu:1", None, None, "gpu:1"]


@pytest.mark.parametrize(("provider", "every"), [(CUDA, 0), (MIGRAPHX, 1), (CPU, 1), (OPENVINO, 1)])
def test_others_are_never_shrunk(provider: str, every: int, load: Load, ort: Ort) -> None:
    loaded = load(provider, shrink_every=every)
    for _ in range(3):
        loaded.run(BLOB)
    assert [options for given in ort.sessions for _, options in given.runs] == [()] * 3


def test_the_card_that_gets_its_memory_back_is_the_one_that_computes(load: Load, ort: Ort) -> None:
    """ONNX Runtime fails a run that would shrink an arena it does not have."""
    loaded = load(CUDA, shrink_every=1, overrides={CUDA: {"device_id": "2"}})
    loaded.run(BLOB)
    assert shrunk(ort.sessions[0].runs[0][1]) == "gpu:2"


def test_after_a_run_without_memory_the_next_one_gives_back(load: Load, ort: Ort) -> None:
    loaded = load(CUDA)
    (given,) = ort.sessions
    run = given.run
    given.run = fails  # type: ignore[method-assign]
    with pytest.raises(OutOfMemory):
        loaded.run(BLOB)
    given.run = run  # type: ignore[method-assign]
    loaded.run(BLOB)
    loaded.run(BLOB)
    assert [shrunk(options) for _, options in given.runs] == ["gpu:0", None]


def fails(*_: Any) -> None:
    raise RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer of size 9")
