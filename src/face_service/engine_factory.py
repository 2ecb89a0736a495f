"""Where the parts meet: settings → pack → networks → engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from face_service.config import Settings
from face_service.errors import PackError, ProviderError
from face_service.face_engine import EngineInfo, FaceEngine, NetworkFile
from face_service.packs.catalog import CATALOG, Role
from face_service.packs.local import INPUT_SIDE
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.graph import read_input
from face_service.runtime.network import Network, NetworkSpec, load_networks
from face_service.runtime.placement import in_words
from face_service.runtime.providers import CPU, PROVIDERS, Precision, RuntimeConfig
from face_service.runtime.selection import Selection, choose_providers, log_selection, startup_error
from face_service.runtime.session import in_public
from face_service.runtime.threads import available_cpus
from face_service.schemas import ModelFileOut, PackOut
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AgeAndGender, AttributeReader, GenderAge
from face_service.vision.canvas import Size, allowed_canvases
from face_service.vision.quality import QualityLimits
from face_service.vision.scrfd import CLOSEUP, DetectorPreprocessor, Scrfd

logger = logging.getLogger("face_service.face_engine")


def runtime_config(settings: Settings) -> RuntimeConfig:
    """What the settings say of computing. One for a process: what runs one at a time shares it."""
    return RuntimeConfig(
        threads=settings.intra_op_threads or max(1, available_cpus() // settings.workers),
        precision=settings.precision,
        device=settings.device_id,
        memory_limit=int(settings.gpu_mem_limit_mb * 1e6),
        shrink_every=settings.gpu_shrink_every,
        compile_timeout=settings.compile_timeout_s,
        overrides=settings.onnx_provider_options or {},
        cache=settings.model_cache_dir / ".compiled",
    )


def load_engine(settings: Settings, setup: RuntimeConfig) -> FaceEngine:
    """Fetch or verify the pack, load its networks, run each once.

    setup: `runtime_config` the settings, the same one for every engine of a process. Takes seconds,
    minutes where the pack must be downloaded or programs compiled. Raises StartupError.
    """
    started = time.perf_counter()
    # Before minutes of download.
    selection = choose_providers(settings.onnx_providers, settings.precision)
    mirror = str(settings.model_mirror) if settings.model_mirror else None
    pack = resolve(settings.insightface_model, settings.model_cache_dir, mirror)
    engine = load_with_fallback(
        pack,
        detector_canvases(settings),
        selection,
        setup,
        quality_limits(settings),
    )
    engine.max_faces = settings.max_faces
    logger.info(
        "FaceEngine initialized with model: %s (%d threads, warm after %.1f s)",
        pack.name,
        engine.info.threads,
        time.perf_counter() - started,
    )
    return engine


def load_with_fallback(
    pack: Pack,
    canvases: Canvases,
    selection: Selection,
    setup: RuntimeConfig,
    limits: QualityLimits | None = None,
) -> FaceEngine:
    """A warm engine on the first of the selection's attempts that computes.

    Raises ProviderError with every reason if none does.
    """
    reasons = dict(selection.reasons)
    for providers in selection.attempts:
        try:
            engine = build_engine(pack, canvases, providers, setup=setup, limits=limits)
            try:
                smoke_test(engine)
            except ProviderError:
                engine.release()  # before the next one takes as much memory
                raise
        except ProviderError as error:
            reasons[providers[0]] = str(error)  # not the error, whose frames hold the session
            logger.warning("%s does not work here: %s", providers[0], reasons[providers[0]])
        else:
            break
    else:
        raise ProviderError(startup_error(selection.asked, reasons.values()))
    computing = engine.info.providers
    engine.info = replace(
        engine.info,
        asked=selection.asked,
        offered=selection.offered,
        fallback=log_selection(computing, selection.ahead_of(computing[0], reasons)),
        warnings=(*selection.warnings, *no_card_to_choose(computing, setup)),
        placement=engine.placement(),
    )
    return engine


def no_card_to_choose(providers: tuple[str, ...], setup: RuntimeConfig) -> tuple[str, ...]:
    """Log where DEVICE_ID has no effect. Returns the sentence for /health, if there is one."""
    best = PROVIDERS[providers[0]]
    if not setup.device or best.card(setup) is not None:
        return ()
    said = f"DEVICE_ID={setup.device} has no effect: {best.name} cannot be told which card to use"
    logger.warning("%s", said)
    return (said,)


def smoke_test(engine: FaceEngine) -> None:
    """Run every network on all it may be given, and see that its provider computed something.

    Raises ProviderError if not; then the memory of the engine is free for the next one.
    """
    try:
        _try_out(engine)
    except BaseException:
        engine.release()
        raise


def _try_out(engine: FaceEngine) -> None:
    best = engine.info.providers[0]
    try:
        engine.warm_up()
    except Exception as error:
        if best == CPU:  # there is nothing behind it
            raise
        raise ProviderError(f"{best}: the first run failed: {in_public(error)}") from error
    for name, placement in engine.placement().items():
        logger.info("%s: %s", name, in_words(placement))
        if placement and not placement.get(best):
            raise ProviderError(
                f"{best} has loaded, but it took no node of {name}: {in_words(placement)}"
            )


def build_engine(
    pack: Pack,
    canvases: Canvases,
    providers: tuple[str, ...],
    threads: int = 1,
    setup: RuntimeConfig | None = None,
    limits: QualityLimits | None = None,
) -> FaceEngine:
    """Load the networks of a pack into an engine.

    setup: what else is to be said of computing; nothing by default. limits: from where on a face
    is not usable. Raises ProviderError if
    `providers` cannot all be had, PackError if pack and settings do not fit.
    """
    setup = setup or RuntimeConfig(threads=threads)
    setup = replace(setup, precision=computed_precision(pack, setup.precision))
    task, looks = detector_task(pack, canvases)
    roles = (Role.RECOGNITION, *attribute_roles(pack))
    others = [face_task(pack, role) for role in roles]
    detecting, *networks = load_networks([task, *others], providers, setup)
    by_role = dict(zip(roles, networks, strict=True))
    recognition = pack.models[Role.RECOGNITION]
    return FaceEngine(
        describe(pack, providers, setup.threads, setup.precision),
        Scrfd(
            detecting,
            DetectorPreprocessor(*looks, pack.models[Role.DETECTION].normalization),
        ),
        ArcFace(by_role[Role.RECOGNITION], recognition.normalization),
        attribute_reader(pack, by_role),
        [detecting, *networks],
        limits or QualityLimits(),
    )


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


def detector_task(pack: Pack, canvases: Canvases) -> tuple[NetworkSpec, Canvases]:
    """The detector of a pack, and what it looks at.

    A graph of fixed size looks once, and DET_SIZE must agree: else PackError.
    """
    model = pack.models[Role.DETECTION]
    *_, height, width = read_input(model.path).shape or (None, None)
    if height is None or width is None:
        looks = canvases
    else:
        fixed = Size(width, height)
        if fixed != canvases.allowed[0]:
            raise PackError(
                f"DET_SIZE={canvases.allowed[0].width}, but the detector of {pack.name} takes "
                f"{width}x{height} only: set DET_SIZE={width}, or choose a pack with a free input "
                "size"
            )
        logger.info("The detector of %s takes %dx%d only: one pass, no close-up", pack.name, *fixed)
        looks = Canvases((fixed,), None)
    sizes = (*looks.allowed, *([looks.closeup] if looks.closeup else []))
    shapes = tuple((size.height, size.width) for size in sizes)
    return NetworkSpec(model.path, model.sha256, shapes, single=True), looks


def face_task(pack: Pack, role: Role) -> NetworkSpec:
    """A network that is shown faces. Of a graph that leaves the size of its input open, only the
    role says which it is."""
    side = INPUT_SIDE[role]
    return NetworkSpec(pack.models[role].path, pack.models[role].sha256, ((side, side),))


def attribute_roles(pack: Pack) -> tuple[Role, ...]:
    """What reads age and gender in this pack; nothing where it has no network for it."""
    if Role.GENDERAGE in pack.models:
        return (Role.GENDERAGE,)
    pair = (Role.AGE, Role.GENDER)
    return pair if all(role in pack.models for role in pair) else ()


def attribute_reader(pack: Pack, networks: Mapping[Role, Network]) -> AttributeReader | None:
    """A reader on the networks of `attribute_roles`; None where there are none."""
    if Role.GENDERAGE in networks:
        return GenderAge(networks[Role.GENDERAGE], pack.models[Role.GENDERAGE].normalization)
    if Role.AGE in networks:
        normalization = pack.models[Role.AGE].normalization
        return AgeAndGender(networks[Role.AGE], networks[Role.GENDER], normalization)
    return None
