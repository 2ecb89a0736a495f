"""Memory that was freed, given back to the system; memory that has run out, recognised."""

from __future__ import annotations

import ctypes
import re
import sys


def give_back() -> None:
    """Ask glibc for the pages it keeps after a large image: up to 64 MB in every thread's heap.

    Takes a millisecond or two. Elsewhere than on Linux with glibc nothing happens.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


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
