"""The detector gate of a process: found beside the compiled programs, or made, and given to every
engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from face_service.engine_factory.builder import Canvases, detector_class, detector_spec
from face_service.errors import PackError
from face_service.face_engine import FaceEngine
from face_service.packs.catalog import CATALOG
from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.child_folder import discard, fill_once, is_complete
from face_service.runtime.child_process import python_module
from face_service.runtime.mapped import build_key
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.vision.gate import Gate
from face_service.vision.gate_policy import GateMode, GatePolicy, GateStatus
from face_service.vision.scrfd import Scrfd

logger = logging.getLogger(__name__)

COMMAND = python_module("face_service.tools.quantization.gate")
NETWORK, FACTS = "gate.onnx", "gate.json"

VERSION = 1
"""Of the way in which a gate is made, to be raised when that changes: part of its folder's name."""

NEEDS_NONE = "a run of YuNet takes a sixth of the CPU time of SCRFD-2.5G's"
"""docs/decisions/0032-open-pack.md"""

ADVICE = "face-service models quantize PACK --calibrate PHOTOS --gate makes one"


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What is known about a gate that was made: the content of FACTS.

    sha256: of NETWORK. limit, min_score: see vision.gate.Gate. cost: CPU time of a run as a share
    of the detector's, on this processor. faces: how many the detector scored CLEAR_SCORE
    (tools/quantization/gate.py) or more on the frames by which the gate was judged; `lost` of these
    it would have lost. refused: why it is not to be used; None where it may be.
    """

    sha256: str
    limit: float
    min_score: float
    cost: float
    faces: int
    lost: int
    refused: str | None = None


def gate_folder(pack: Pack, canvases: Canvases, config: RuntimeConfig) -> Path:
    """The folder of the gate of a pack's detector. Its name depends on detector, canvases,
    normalisation, VERSION, the build of ONNX Runtime and the processor."""
    model = pack.models[Role.DETECTION]
    _, passes = detector_spec(pack, canvases)
    key = build_key(VERSION, passes[:2], asdict(model.normalization))
    return config.cache / "gate" / model.sha256[:16] / "any" / key


def make_gate(
    pack: Pack,
    canvases: Canvases,
    config: RuntimeConfig,
    photos: Path | None = None,
) -> GateFacts:
    """Make the gate of a pack's detector, unless it is there, in a child process; takes minutes of
    one processor.

    photos: a folder of photos of people, to calibrate with in place of the bundled ones; a gate
    that is there is then replaced. Raises PackError for a detector that needs none, OSError, and
    RuntimeError with the reason where the child fails or takes longer than `compile_timeout`.
    """
    if detector_class(pack) is not Scrfd:
        raise PackError(f"The detector of {pack.name} gets no gate: {NEEDS_NONE}")
    folder = gate_folder(pack, canvases, config)
    if photos:
        discard(folder)
    model = pack.models[Role.DETECTION]
    _, passes = detector_spec(pack, canvases)
    request = {
        "path": str(model.path.resolve()),
        "sha256": model.sha256,
        "normalization": asdict(model.normalization),
        "canvases": passes.allowed,
        "closeup": passes.closeup,
        "cache": str(config.cache.resolve()),
        "photos": str(photos.resolve()) if photos else None,
    }
    fill_once(folder, COMMAND, request, config.compile_timeout)
    return GateFacts(**json.loads((folder / FACTS).read_bytes()))


def read_gate(folder: Path) -> GateFacts | None:
    """The facts of the gate in a folder; None where there is none. One whose facts cannot be read
    is discarded, and counts as none."""
    if not is_complete(folder):
        return None
    try:
        return GateFacts(**json.loads((folder / FACTS).read_bytes()))
    except (OSError, ValueError, TypeError):
        discard(folder)
        return None


class GateSupply:
    """Attaches gates to the engines of a process, one policy for all, and reports their state.

    Where the gate has been made, `equip` attaches it to the new engine. Else, for a detector of the
    catalogue, the engine starts without one: `make`, to be called once the service is ready, makes
    the gate and attaches it to the engines that work by then.
    """

    def __init__(self, mode: GateMode, canvases: Canvases, config: RuntimeConfig) -> None:
        self._mode = mode
        self._canvases = canvases
        self._config = config
        self._policy: GatePolicy | None = None
        self._wanted: Pack | None = None
        self._detail: str | None = "DET_GATE=off" if mode == "off" else None

    @property
    def status(self) -> GateStatus:
        """The state of the gate, as /health reports it."""
        policy = self._policy
        if policy is None:
            return GateStatus(self._mode, "building" if self._wanted else "none", self._detail)
        return GateStatus(
            self._mode,
            "running" if policy.running else "idle",
            self._detail,
            round(policy.cost, 3),
            round(policy.empty, 3),
        )

    def equip(self, engine: FaceEngine, pack: Pack) -> None:
        """Attach its gate to an engine of `pack`, if there is one; if not, note for `make` that one
        is wanted, or for `status` why there is none. A gate that does not load is logged."""
        if self._mode == "off":
            return
        info = engine.info
        if info.providers[0] != CPU or info.precision != "fp32":
            self._say_none(f"{info.precision} on {info.providers[0]} needs none")
            return
        if detector_class(pack) is not Scrfd:
            self._say_none(NEEDS_NONE)
            return
        facts = read_gate(gate_folder(pack, self._canvases, self._config))
        if facts:
            self._try_attach([engine], pack, facts)
        elif any(
            pack.models[Role.DETECTION].sha256 == file.sha256
            for known in CATALOG.values()
            for file in known.files
        ):
            self._wanted = pack
            self._detail = "being made in the background"
        else:
            self._say_none(f"nobody has calibrated one for this detector: {ADVICE}")

    def make(self, engines: Callable[[], Iterable[FaceEngine]]) -> None:
        """Make the gate that `equip` found missing, which takes minutes, and attach it to the
        engines that `engines` returns then; nothing if none is missing. Logs what goes wrong."""
        pack = self._wanted
        if pack is None:
            return
        try:
            facts = make_gate(pack, self._canvases, self._config)
        except Exception as error:  # whatever it is: the engines compute without
            self._say_none(f"it could not be made: {error}")
        else:
            self._try_attach(engines(), pack, facts)
        finally:
            self._wanted = None

    def _say_none(self, why: str) -> None:
        self._detail = why
        logger.info("No detector gate: %s", why)

    def _try_attach(self, engines: Iterable[FaceEngine], pack: Pack, facts: GateFacts) -> None:
        if facts.refused:
            self._say_none(facts.refused)
            return
        try:
            for engine in engines:
                if engine.gate is None:
                    self._attach(engine, pack, facts)
        except Exception as error:  # whatever ONNX Runtime raises: the engine computes without
            discard(gate_folder(pack, self._canvases, self._config))
            self._say_none(f"it does not load and is made again at the next start: {error}")

    def _attach(self, engine: FaceEngine, pack: Pack, facts: GateFacts) -> None:
        path = gate_folder(pack, self._canvases, self._config) / NETWORK
        spec, passes = detector_spec(pack, self._canvases)
        threads, *narrower = engine.networks[0].widths
        config = replace(self._config, threads=threads, narrower=tuple(narrower))
        (network,) = load_networks(
            [NetworkSpec(path, facts.sha256, spec.sizes, single=True)], (CPU,), config
        )
        policy = self._policy or GatePolicy(self._mode, facts.cost)
        gate = Gate(network, facts.limit, facts.min_score, policy)
        gate.warm_up((*passes.allowed, *([passes.closeup] if passes.closeup else [])))
        engine.add_gate(gate)
        if self._policy is None:
            self._policy = policy
            self._detail = (
                f"{facts.lost} of {facts.faces} faces lost when it was judged, limit "
                f"{facts.limit:.3f}, at {facts.cost:.0%} of a detection's cost"
            )
            logger.info("Detector gate, DET_GATE=%s: %s", self._mode, self._detail)
