"""glibc's heap, and how errors of ONNX Runtime that mean "out of memory" are recognised."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""glibc's malloc.h."""

MAPPED_FROM = 8 << 20
"""Bytes from which a block is a mapping of its own, and goes back to the system as soon as it is
freed: a photo of more than full HD (its 6.2 MB stay in the heap), a block of the shared arena for
a large layer. In the heap such blocks would leave holes between smaller ones: docs/decisions/0012.
glibc by itself raises this limit to the largest block that was ever freed."""
KEPT_AT_THE_END = 64 << 20
"""Bytes that may be free at the end of the heap before they go back to the system. The next request
would have to take them again; the service returns them by `trim_heap` every ten seconds."""


def set_up_malloc() -> None:
    """Make all threads allocate from one heap, and large blocks outside it (glibc; elsewhere
    nothing happens). To be called before the first thread starts: heaps that exist stay in use.

    By default glibc has several heaps for threads. An image is decoded in one thread and freed in
    another, so each heap grows to what all of them need together, and memory that is free in one is
    requested from the system again for another; `trim_heap` cannot return the end of such a heap.
    """
    mallopt = libc_function("mallopt")
    if mallopt:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, MAPPED_FROM)
        mallopt(M_TRIM_THRESHOLD, KEPT_AT_THE_END)


def trim_heap() -> None:
    """Return freed memory to the system (glibc; elsewhere nothing happens). Takes a millisecond or
    two."""
    trim = libc_function("malloc_trim")
    if trim:
        trim(0)


def libc_function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has none of that name or this is not Linux."""
    if sys.platform != "linux":
        return None
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:  # an interpreter that is linked statically
        return None


OUT_OF_MEMORY = re.compile(
    r"""
      Failed\ to\ allocate\ memory      # bfc_arena.cc, AllocateRawInternal: CUDA, ROCm, CPU
    | Available\ memory\ of             # bfc_arena.cc, Extend: over gpu_mem_limit
    | out\ of\ memory                   # cudaGetErrorString, hipGetErrorString: "CUDA failure 2: …"
    | hipErrorOutOfMemory | cudaErrorMemoryAllocation
    | Memory\ not\ available\ to\ allocate   # MIGraphX, targets/gpu/hip.cpp, allocate_gpu
    | (CUBLAS|CUDNN|HIPBLAS|ROCBLAS|MIOPEN)_STATUS_ALLOC_FAILED | rocblas_status_memory_error
    | bad\ allocation | bad_alloc       # std::bad_alloc, of any allocator in C++
    | (8007000E|887A0005).*memory       # DirectML: E_OUTOFMEMORY
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Messages of ONNX Runtime and the libraries under it when memory has run out. There is no
exception of its own for it, which microsoft/onnxruntime#16307 would bring; seen in #22702, #9939,
ROCm/AMDMIGraphX#1688 and immich-app/immich#25165, #31675."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of ONNX Runtime means that memory has run out, the card's or the
    machine's."""
    return isinstance(error, MemoryError) or bool(OUT_OF_MEMORY.search(str(error)))
