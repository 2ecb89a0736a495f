"""`python -m tests.accelerated`: the service, on an ONNX Runtime that claims to have a card.

ACCELERATOR names the provider. Sessions are real and compute on the CPU; what they say of
themselves is the card's. A file that FAULT names makes them fail, as long as it is
there: `load`, `load-second` (the networks of the first worker load, those of the next do not),
`left-out` (a library is missing), `first-run`, `on-the-cpu` (no node is taken), `oom` (no run
fits), `oom-once` (the next large batch does not), `compile-crash`, `compile-hang`, `compile-fail`,
`compile-slow`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime

from face_service.runtime import compiling

CPU = "CPUExecutionProvider"
FAULT = Path(os.environ.get("FAULT", "fault"))
RealSession = onnxruntime.InferenceSession
real_memory = onnxruntime.OrtValue.ortvalue_from_shape_and_type
OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv "
    "node. Name:'Conv_0' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:"
    "376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) "
    "Failed to allocate memory for requested buffer of size 939524096"
)
"""As it was met in microsoft/onnxruntime#22702."""
DRIVER_TOO_OLD = (
    "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; "
    "hostname=secret ; expr=cudaGetDeviceCount(&num_devices); \n"
)
"""As onnxruntime-gpu 1.26.0 says it."""


def fault() -> str:
    return FAULT.read_text() if FAULT.exists() else ""


class Session(RealSession):  # type: ignore[misc, valid-type]
    """ONNX Runtime's CPU session under the name of the first provider it was asked for."""

    opened = 0

    def __init__(
        self, path: Path, options: Any, providers: list[Any], enable_fallback: int = 1
    ) -> None:
        self.asked = [name for name, _ in providers]
        self.given = dict(providers)
        Session.opened += 1
        full = fault() == "load-second" and Session.opened > 4
        if self.pretends and (full or fault() == "load"):
            raise RuntimeError(DRIVER_TOO_OLD)
        super().__init__(path, options, providers=[CPU], enable_fallback=enable_fallback)

    @property
    def pretends(self) -> bool:
        return self.asked != [CPU]

    def get_providers(self) -> list[str]:
        if self.pretends and fault() == "left-out":
            return [CPU]
        return self.asked

    def run(self, names: Any, feed: dict[str, Any], *options: Any) -> Any:
        self.fail(len(next(iter(feed.values()))))
        return super().run(names, feed)

    def run_with_iobinding(self, binding: Any, *options: Any) -> None:
        self.fail(*(value.shape()[0] for value in binding._bound_inputs.values()))
        super().run_with_iobinding(binding)

    def fail(self, rows: int) -> None:
        if self.pretends and fault() == "first-run":
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
        if self.pretends and fault() == "oom":
            raise RuntimeError(OUT_OF_MEMORY)
        if self.pretends and fault() == "oom-once" and rows > 1:
            FAULT.unlink()
            raise RuntimeError(OUT_OF_MEMORY)

    def get_provider_graph_assignment_info(self) -> list[Any]:
        name = CPU if fault() == "on-the-cpu" else self.asked[0]
        parts = super().get_provider_graph_assignment_info()
        return [SimpleNamespace(ep_name=name) for _ in parts]


def in_memory(shape: Any, dtype: Any, device_type: str, device: int) -> Any:
    """Memory on the card, which is this machine's."""
    assert device_type == "cuda"
    return real_memory(shape, dtype, "cpu", 0)


def accelerate(name: str) -> None:
    """Let ONNX Runtime claim to have the provider `name`."""
    onnxruntime.InferenceSession = Session
    onnxruntime.OrtValue.ortvalue_from_shape_and_type = in_memory
    onnxruntime.get_available_providers = lambda: [name, CPU]
    compiling.COMMAND = (sys.executable, "-m", "tests.accelerated", "compile")


def compile_faulty() -> int:
    """The child that compiles, or does not."""
    match fault():
        case "compile-crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "compile-hang":
            time.sleep(3600)
        case "compile-slow":
            time.sleep(0.3)
        case "compile-fail":
            onnxruntime.InferenceSession = None
    return compiling.main()


def serve() -> int:
    """The service. Imported here, for the child has no use for it."""
    from face_service.main import main

    return main()


def warm_up_little() -> None:
    """Every batch that a card takes runs at the start; have CUDA take up to two images and four
    faces, MIGraphX up to two faces: a run of eight images is half a second, as is a process that
    compiles."""
    from face_service.runtime.policy import BOUNDED, FIXED
    from face_service.runtime.providers.cuda import Cuda
    from face_service.runtime.providers.migraphx import MiGraphX
    from face_service.runtime.providers.tensorrt import TensorRt

    shapes, fixed = BOUNDED.with_max_batch(4), FIXED.with_max_batch(2)
    assert shapes and fixed
    TensorRt.image_batches = Cuda.image_batches
    Cuda.shapes, Cuda.image_batches = shapes, (1, 2)
    MiGraphX.shapes = fixed


if __name__ == "__main__":
    accelerate(os.environ["ACCELERATOR"])
    warm_up_little()
    sys.exit(compile_faulty() if sys.argv[1:] == ["compile"] else serve())
