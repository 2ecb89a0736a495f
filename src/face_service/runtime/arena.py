"""The memory in which networks on the CPU compute: one arena of ONNX Runtime's for all sessions.

Without an arena, every run takes its activations from the heap of the C library, where images and
all of Python lie between them: the heap comes to hold twice what is in use, its free end goes back
to the system after every run, and the next run has its pages zeroed again. With an arena for each
session, every session keeps what its largest run needed.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime

from .graph import FLOAT, GRAPH, INPUT, NODE, OUTPUT, value_info
from .protobuf import as_field

SAME_AS_REQUESTED = 1
"""ArenaExtendStrategy::kSameAsRequested: only blocks that were taken as requested can be given back
whole (`BFCArena::Shrink`)."""
MAX_DEAD_BYTES = 1 << 20
"""Bytes by which a block may be larger than what is asked of it; a larger one is split."""

SHARED = {
    "session.use_env_allocators": "1",
    # Weights that are not mapped stay as long as their session, and need no arena.
    "session.use_device_allocator_for_initializers": "1",
}
"""onnxruntime_session_options_config_keys.h."""
SHRINK = "memory.enable_memory_arena_shrinkage"
"""onnxruntime_run_options_config_keys.h, kOrtRunOptionsConfigEnableMemoryArenaShrinkage."""

IR_VERSION, OPSET, OPSET_VERSION = 1, 8, 2  # ModelProto, OperatorSetIdProto
NODE_INPUT, NODE_OUTPUT, NODE_TYPE = 1, 2, 4  # NodeProto
GRAPH_NAME = 2  # GraphProto

_registering = threading.Lock()


def use_shared_arena(options: Any) -> None:
    """Have a session on the CPU compute in the shared arena.

    options: onnxruntime.SessionOptions of the session to open, which are changed.
    """
    with _registering:
        _register()
    options.enable_cpu_mem_arena = True
    for key, value in SHARED.items():
        options.add_session_config_entry(key, value)


def shrink_shared_arena() -> None:
    """Give back to the system what no run uses at this moment; nothing where no session computes in
    the arena. Takes a millisecond or two."""
    with _registering:
        if not _register.cache_info().currsize:
            return
        session = _shrinker()
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(SHRINK, "cpu:0")
    session.run(None, {"x": np.zeros(1, np.float32)}, options)


@lru_cache(maxsize=1)
def _register() -> None:
    arena = onnxruntime.OrtArenaCfg(
        {
            "max_mem": 0,
            "arena_extend_strategy": SAME_AS_REQUESTED,
            "max_dead_bytes_per_chunk": MAX_DEAD_BYTES,
        }
    )
    kind, where = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", kind, 0, where), arena
    )


@lru_cache(maxsize=1)
def _shrinker() -> Any:
    """A session that computes nothing: an arena shrinks after a run that asks for it, and never
    else. Retired by a function that shrinks it; microsoft/onnxruntime#9509."""
    node = (
        as_field(NODE_INPUT, b"x") + as_field(NODE_OUTPUT, b"y") + as_field(NODE_TYPE, b"Identity")
    )
    graph = (
        as_field(NODE, node)
        + as_field(GRAPH_NAME, b"shrink")
        + as_field(INPUT, value_info("x", FLOAT, [1]))
        + as_field(OUTPUT, value_info("y", FLOAT, [1]))
    )
    opset = as_field(OPSET_VERSION, 13)
    model = as_field(IR_VERSION, 8) + as_field(OPSET, opset) + as_field(GRAPH, graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for key, value in SHARED.items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
