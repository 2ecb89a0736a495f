"""Where the parts meet: settings → pack → networks → engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from face_service.config import Settings
from face_service.errors import PackError
from face_service.face_engine import EngineInfo, FaceEngine, NetworkFile
from face_service.packs.catalog import CATALOG, Role
from face_service.packs.pack import Pack, PackModel
from face_service.packs.store import resolve
from face_service.runtime.network import Network, load_network
from face_service.runtime.precision import Precision, require_bf16
from face_service.runtime.providers import choose_providers
from face_service.runtime.threads import available_cpus
from face_service.schemas import ModelFileOut, PackOut
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AgeAndGender, AttributeReader, GenderAge
from face_service.vision.canvas import Size, allowed_canvases
from face_service.vision.quality import QualityLimits
from face_service.vision.scrfd import CLOSEUP, Scrfd

logger = logging.getLogger("face_service.face_engine")


def load_engine(settings: Settings) -> FaceEngine:
    """Fetch or verify the pack, load its networks, run each once.

    Takes seconds, minutes where the pack must be downloaded. Raises StartupError.
    """
    started = time.perf_counter()
    providers = choose_providers(settings.onnx_providers)
    if settings.precision == "bf16":  # known before minutes of download
        require_bf16(providers)
    mirror = str(settings.model_mirror) if settings.model_mirror else None
    pack = resolve(settings.insightface_model, settings.model_cache_dir, mirror)
    threads = settings.intra_op_threads or max(1, available_cpus() // settings.lanes)
    canvases = detector_canvases(settings)
    limits = quality_limits(settings)
    engine = build_engine(pack, canvases, providers, threads, settings.precision, limits)
    engine.warm_up()
    logger.info(
        "FaceEngine initialized with model: %s (%d threads, warm after %.1f s)",
        pack.name,
        engine.info.threads,
        time.perf_counter() - started,
    )
    return engine


def build_engine(
    pack: Pack,
    canvases: Canvases,
    providers: tuple[str, ...],
    threads: int,
    asked: Precision = "fp32",
    limits: QualityLimits | None = None,
) -> FaceEngine:
    """Load the networks of a pack into an engine; `asked` is what PRECISION says."""
    precision = computed_precision(pack, asked)

    networks: list[Network] = []

    def load(model: PackModel) -> Network:
        networks.append(load_network(model.path, providers, threads, precision))
        return networks[-1]

    model = pack.models[Role.RECOGNITION]
    detector = build_detector(pack, canvases, load)
    recogniser = ArcFace(load(model), model.normalization)
    taken = [
        name
        for name in providers
        if name in detector.network.providers and name in recogniser.network.providers
    ]
    logger.info("Using ONNX providers: %s", taken)
    info = describe(pack, tuple(taken), threads, precision)
    attributes = attribute_reader(pack, load)
    return FaceEngine(info, detector, recogniser, attributes, networks, limits or QualityLimits())


def quality_limits(settings: Settings) -> QualityLimits:
    """What the settings QUALITY_… say."""
    names = QualityLimits.__dataclass_fields__
    return QualityLimits(**{name: getattr(settings, f"quality_{name}") for name in names})


def computed_precision(pack: Pack, asked: Precision) -> Precision:
    """What the networks of `pack` are computed in where PRECISION says `asked`.

    Weights decide between fp32 and int8, so the default, fp32, leaves a quantised pack in
    int8, and int8 asks for nothing but such a pack. Raises PackError where they cannot agree.
    """
    if pack.precision == "int8":
        if asked == "bf16":
            raise PackError(
                f"PRECISION=bf16, but the networks of {pack.name} are quantised to int8: set "
                "PRECISION=int8, or take the pack they were made from"
            )
        return "int8"
    if asked == "int8":
        source = pack.name if pack.name in CATALOG else pack.directory
        folder = f"./{pack.name}-int8"
        raise PackError(
            f"PRECISION=int8, but the networks of {pack.name} are not quantised. Make a pack that "
            f"is: face-service models quantize {source} --calibrate PHOTOS --out {folder}; "
            f"then set INSIGHTFACE_MODEL={folder}"
        )
    return asked


def describe(
    pack: Pack, providers: tuple[str, ...], threads: int, precision: Precision
) -> EngineInfo:
    """What an engine made from `pack` is made of."""
    return EngineInfo(
        pack=pack.name,
        licence=pack.licence,
        files=tuple(
            NetworkFile(role.value, model.path.name, model.sha256, model.licence)
            for role, model in pack.models.items()
        ),
        recogniser_sha256=pack.models[Role.RECOGNITION].sha256,
        dimension=pack.dimension,
        precision=precision,
        same_person_threshold=pack.threshold.same_person if pack.threshold else None,
        threshold_measured_on=pack.threshold.measured_on if pack.threshold else None,
        false_match_rate=pack.threshold.false_match_rate if pack.threshold else None,
        providers=providers,
        threads=threads,
    )


def known_packs() -> list[PackOut]:
    """The catalogue, as it goes over the wire."""
    return [
        PackOut(
            name=pack.name,
            licence=pack.licence,
            embedding_dimension=pack.dimension,
            same_person_threshold=pack.threshold.same_person,
            threshold_measured_on=pack.threshold.measured_on,
            false_match_rate=pack.threshold.false_match_rate,
            files=[
                ModelFileOut(
                    role=file.role,
                    file=file.name,
                    sha256=file.sha256,
                    licence=file.licence,
                )
                for file in pack.files
            ],
        )
        for pack in CATALOG.values()
    ]


class Canvases(NamedTuple):
    """What the detector may look at: the full canvas first, and one for close faces."""

    allowed: tuple[Size, ...]
    closeup: Size | None


def detector_canvases(settings: Settings) -> Canvases:
    """The canvases that the settings ask for."""
    allowed = allowed_canvases(settings.det_size)
    return Canvases(
        allowed if settings.det_rectangular else allowed[:1],
        CLOSEUP if settings.det_closeup else None,
    )


def build_detector(pack: Pack, canvases: Canvases, load: Callable[[PackModel], Network]) -> Scrfd:
    """The detector of a pack. A graph of fixed size looks once, and DET_SIZE must agree."""
    model = pack.models[Role.DETECTION]
    network = load(model)
    height, width = network.input_shape[2:4]
    if height is None or width is None:
        return Scrfd(network, *canvases, model.normalization)
    fixed = Size(width, height)
    if fixed != canvases.allowed[0]:
        raise PackError(
            f"DET_SIZE={canvases.allowed[0].width}, but the detector of {pack.name} takes "
            f"{width}x{height} only: set DET_SIZE={width}, or choose a pack with a free input size"
        )
    logger.info("The detector of %s takes %dx%d only: one pass, no close-up", pack.name, *fixed)
    return Scrfd(network, (fixed,), None, model.normalization)


def attribute_reader(pack: Pack, load: Callable[[PackModel], Network]) -> AttributeReader | None:
    """What reads age and gender in this pack; None where it has no network for it."""
    models = pack.models
    if Role.GENDERAGE in models:
        return GenderAge(load(models[Role.GENDERAGE]), models[Role.GENDERAGE].normalization)
    if Role.AGE in models and Role.GENDER in models:
        age, gender = models[Role.AGE], models[Role.GENDER]
        return AgeAndGender(load(age), load(gender), age.normalization)
    return None
