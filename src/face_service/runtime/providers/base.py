"""What a provider is, for whoever adds one: a name, a package, options, shapes, precisions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ..graph import Shape
from ..policy import BOUNDED, MAX_BATCH_IMAGES, ShapePolicy
from ..progress import Progress

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""fp32: as the networks were trained. fp16, bf16: fp32 networks, multiplied in halves. int8:
networks that were quantised beforehand."""

Options = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """What the settings ask of every network of this process.

    threads: of a network on the CPU. device: which of several cards. memory_limit: bytes of the
    card's memory that ONNX Runtime may keep, 0 for no limit. shrink_every: runs after which it
    gives back what it does not use, 0 for never. compile_timeout: seconds for one program.
    overrides: options by provider, laid over its own. cache: where compiled programs are kept.
    """

    threads: int = 1
    precision: Precision = "fp32"
    device: int = 0
    memory_limit: int = 0
    shrink_every: int = 0
    compile_timeout: float = 3600.0
    overrides: Mapping[str, Options] = field(default_factory=dict)
    cache: Path = Path("./models/.compiled")
    progress: Progress = field(default_factory=Progress)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A network as one session computes it: its input's name, every shape it is given, and the
    folder for what a provider makes of it, where it makes something."""

    input_name: str
    shapes: tuple[Shape, ...]
    folder: Path | None


class Provider:
    """An execution provider of ONNX Runtime. Subclasses say what is different."""

    name: ClassVar[str]
    package: ClassVar[str]
    """What pip installs to get it."""
    where: ClassVar[str] = ""
    """Words after it: what it wants of the machine."""
    libraries: ClassVar[str] = ""
    """What installs the libraries and drivers it needs."""
    booleans: ClassVar[tuple[str, str]] = ("False", "True")
    """How its options spell them. Most take 0 and 1 as well; TensorRT in Python does not."""
    library: ClassVar[str | None] = None
    """Part of the name of the shared library ONNX Runtime loads for it."""
    known_options: ClassVar[frozenset[str]]
    """Every option that ONNX Runtime takes for it."""
    shapes: ClassVar[ShapePolicy]
    precisions: ClassVar[frozenset[Precision]] = frozenset({"fp32", "int8"})
    max_batch_images: ClassVar[int] = MAX_BATCH_IMAGES
    """How many waiting images a lane may take at once."""
    compiles: ClassVar[bool] = False
    """A program takes minutes to make, and making it has been seen to crash and to hang: it is made
    in a process of its own, and kept."""
    halves_file: ClassVar[bool] = False
    """fp16 is a property of the file it is given, not an option."""
    shrinks: ClassVar[bool] = False
    """Its memory is an arena of ONNX Runtime's, which grows until it is told to shrink."""
    one_at_a_time: ClassVar[bool] = False
    """Two runs at once are not safe, on two sessions neither."""

    def shapes_for(self, setup: RuntimeConfig) -> ShapePolicy:
        """`shapes`, unless the settings change them."""
        return self.shapes

    def card(self, setup: RuntimeConfig) -> str | None:
        """The number of the card it computes on: DEVICE_ID, unless ONNX_PROVIDER_OPTIONS says
        `device_id`. None where it has no use for one."""
        return setup.overrides.get(self.name, {}).get("device_id", str(setup.device))

    def keeps_programs(self, setup: RuntimeConfig) -> bool:
        """Whether it has a use for a folder of its own."""
        return self.compiles

    def options(self, setup: RuntimeConfig, program: CompiledModel) -> Options:
        """What ONNX Runtime is to tell it, beside the options of the session."""
        return {}

    def adjust(self, session_options: Any) -> None:
        """Change what it cannot work with in onnxruntime.SessionOptions."""

    def prepare(self) -> None:
        """Called once before the first session."""

    def architecture(self) -> str:
        """What a compiled program runs on: it is of no use on anything else."""
        return "any"

    def options_for(self, setup: RuntimeConfig, program: CompiledModel) -> dict[str, str]:
        """`options`, with those of ONNX_PROVIDER_OPTIONS laid over them."""
        return {**self.options(setup, program), **setup.overrides.get(self.name, {})}


class ArenaGpu(Provider):
    """A card whose memory ONNX Runtime manages in an arena of its own (CUDA, ROCm): few shapes,
    because each new one may add a block that stays, and fp16 by a converted file."""

    shapes = BOUNDED
    precisions = frozenset({"fp32", "fp16", "int8"})
    halves_file = True
    shrinks = True

    def options(self, setup: RuntimeConfig, program: CompiledModel) -> Options:
        """arena_extend_strategy: only blocks that were taken as requested can be given back
        whole."""
        limit = {"gpu_mem_limit": str(setup.memory_limit)} if setup.memory_limit else {}
        return {
            "device_id": str(setup.device),
            "arena_extend_strategy": "kSameAsRequested",
            **limit,
        }
