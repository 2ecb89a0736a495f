"""Memory that was freed, given back to the system; memory that has run out, recognised."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable

M_ARENA_MAX = -8
"""glibc's malloc.h."""


def limit_malloc_arenas() -> None:
    """Have all threads take memory from the heap of the main one. To be called before another
    thread begins: a heap that exists goes on being handed out.

    By itself glibc gives heaps to threads. An image is decoded in one thread and freed in another,
    so that each heap comes to hold as much as all of them need, and what lies free in one is taken
    from the system anew for the other; `trim_heap` cannot return the end of such a heap.
    """
    mallopt = libc_function("mallopt")
    if mallopt:
        mallopt(M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Ask glibc for the pages it keeps after what was freed. Takes a millisecond or two."""
    trim = libc_function("malloc_trim")
    if trim:
        trim(0)


def libc_function(name: str) -> Callable[..., int] | None:
    """A function of the C library, None where it has none of that name: not glibc, not Linux."""
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
"""What ONNX Runtime and the libraries under it say when memory has run out. There is no exception
of its own for it (microsoft/onnxruntime#16307); seen in #22702, #9939, ROCm/AMDMIGraphX#1688 and
immich-app/immich#25165, #31675."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether ONNX Runtime failed for want of memory, the card's or the machine's."""
    return isinstance(error, MemoryError) or bool(OUT_OF_MEMORY.search(str(error)))
