"""The base class of providers: name, package, options, input shapes, precisions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from weakref import WeakValueDictionary

from ..graph import Shape
from ..policy import BOUNDED, MAX_BATCH_IMAGES, ShapePolicy
from ..progress import Progress

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""fp32: as the networks were trained. fp16, bf16: fp32 networks, computed in 16 bits. int8:
networks that were quantised beforehand."""

Options = Mapping[str, str]

COMPILED = ".compiled"
"""The folder of compiled programs in MODEL_CACHE_DIR."""


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """The settings of computing, the same for every network of this process.

    threads: intra-op threads of each network on the CPU. narrower: smaller numbers of threads,
    descending, for each of which every network has a further session, for runs beside those of
    other workers; read where `maps_weights`. device: number of the card, from 0. memory_limit:
    bytes of the card's memory that ONNX Runtime's arena may hold, 0 for no limit. shrink_every:
    runs of a network after which the arena is shrunk, 0 for never. compile_timeout: seconds for one
    program. overrides: ONNX_PROVIDER_OPTIONS, options by provider. cache: the folder of compiled
    programs. progress: of compilation. one_at_a_time: held during each run of a provider that is
    not safe in parallel. single_threaded: sessions of one thread by saved network, which any number
    of engines may run at the same time; each opens what is missing, and the last one closes it.
    """

    threads: int = 1
    narrower: tuple[int, ...] = ()
    precision: Precision = "fp32"
    device: int = 0
    memory_limit: int = 0
    shrink_every: int = 0
    compile_timeout: float = 3600.0
    overrides: Mapping[str, Options] = field(default_factory=dict)
    cache: Path = Path("./models") / COMPILED
    progress: Progress = field(default_factory=Progress)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    single_threaded: WeakValueDictionary[Path, Any] = field(default_factory=WeakValueDictionary)


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """A network as one session computes it: its input's name, every shape of its input, the folder
    in which the provider keeps what it compiles, None where it keeps nothing; and the type of its
    input, as NumPy names it."""

    input_name: str
    shapes: tuple[Shape, ...]
    folder: Path | None
    dtype: Literal["float32", "uint8"] = "float32"


class Provider:
    """An execution provider of ONNX Runtime. A subclass sets what differs; its docstring names the
    source of its options."""

    name: ClassVar[str]
    experimental: ClassVar[bool] = True
    """This service has never run on its hardware: names and values of options were checked, what
    it computes, how fast and with how much memory was not."""
    package: ClassVar[str]
    """The package on PyPI that has it."""
    where: ClassVar[str] = ""
    """Added to the package in messages: for which system or release."""
    libraries: ClassVar[str] = ""
    """Added to an error of loading: what installs the libraries and drivers it needs."""
    booleans: ClassVar[tuple[str, str]] = ("False", "True")
    """How its options spell false and true. Most take 0 and 1 as well; TensorRT in Python does not
    (found in onnxruntime-gpu 1.31.1; no issue known)."""
    library: ClassVar[str | None] = None
    """Part of the name of the shared library ONNX Runtime loads for it."""
    known_options: ClassVar[frozenset[str]]
    """The options that ONNX_PROVIDER_OPTIONS may set."""
    shapes: ClassVar[ShapePolicy]
    """The policy of input shapes; to be asked for by `shapes_for`."""
    precisions: ClassVar[frozenset[Precision]] = frozenset({"fp32", "int8"})
    """The values of PRECISION in which it can compute."""
    max_batch_images: ClassVar[int] = MAX_BATCH_IMAGES
    """Most waiting images that a worker takes as one batch."""
    compiles: ClassVar[bool] = False
    """A program takes minutes to make, and making it has been seen to crash and to hang: it is made
    in a process of its own, and kept."""
    halves_file: ClassVar[bool] = False
    """fp16 needs a converted file (`half`), because it has no option for it."""
    maps_weights: ClassVar[bool] = False
    """Its sessions share the weights of a network that is saved as they compute it (`mapped`)."""
    shrinks: ClassVar[bool] = False
    """Its memory is an arena of ONNX Runtime's, which grows until a run option shrinks it."""
    device_memory: ClassVar[str | None] = None
    """What onnxruntime.OrtValue calls the memory of its card. Its networks are then given pixels
    rather than floats (`pixel_input`), and run on buffers that stay (`binding`). None for a
    provider that computes in the processor's memory, and where it was not tried."""
    image_batches: ClassVar[tuple[int, ...]] = (1,)
    """Rows that a run of the detector may have, ascending, from 1 on, where its graph can be made
    to take them (`free_batch`)."""
    one_at_a_time: ClassVar[bool] = False
    """Two runs at once are not safe, not even on two sessions: the provider names the issues that
    would end that."""

    def shapes_for(self, config: RuntimeConfig) -> ShapePolicy:
        """`shapes`, unless the settings change it."""
        return self.shapes

    def card(self, config: RuntimeConfig) -> str | None:
        """The number of the card it computes on: DEVICE_ID, unless ONNX_PROVIDER_OPTIONS says
        `device_id`. None where it has no use for one."""
        return config.overrides.get(self.name, {}).get("device_id", str(config.device))

    def keeps_programs(self, config: RuntimeConfig) -> bool:
        """Whether it keeps what it compiles in a folder."""
        return self.compiles

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """Its options, as ONNX Runtime takes them beside those of the session."""
        return {}

    def adjust(self, session_options: Any) -> None:
        """Change those onnxruntime.SessionOptions with which it does not work."""

    def prepare(self) -> None:
        """Called each time before networks are loaded."""

    def architecture(self) -> str:
        """The hardware and driver for which a compiled program is valid, as part of a file
        name."""
        return "any"

    def options_for(self, config: RuntimeConfig, program: ProgramSpec) -> dict[str, str]:
        """`options`, with those of ONNX_PROVIDER_OPTIONS laid over them."""
        return {**self.options(config, program), **config.overrides.get(self.name, {})}


class ArenaGpu(Provider):
    """A card whose memory ONNX Runtime manages in an arena of its own (CUDA, ROCm): few shapes,
    because each new one may add a block that stays, and fp16 by a converted file."""

    shapes = BOUNDED
    precisions = frozenset({"fp32", "fp16", "int8"})
    halves_file = True
    shrinks = True
    device_memory = "cuda"  # ROCm's too: ONNX Runtime has one name for both
    image_batches = (1, 2, 4, 8)

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """arena_extend_strategy: only blocks that were taken as requested can be given back
        whole."""
        limit = {"gpu_mem_limit": str(config.memory_limit)} if config.memory_limit else {}
        return {
            "device_id": str(config.device),
            "arena_extend_strategy": "kSameAsRequested",
            **limit,
        }
