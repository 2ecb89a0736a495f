"""From the settings to a warm engine: the pack, and the first provider that computes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from face_service.config import Settings
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.engine_factory.fingerprints import add_fingerprint
from face_service.engine_factory.gates import GateSupply
from face_service.errors import ProviderError
from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.placement import in_words
from face_service.runtime.providers import COMPILED, CPU, PROVIDERS, RuntimeConfig
from face_service.runtime.selection import Selection, choose_providers, log_selection, startup_error
from face_service.runtime.session import in_public, no_buffers
from face_service.runtime.threads import cpu_threads, most_workers, network_threads
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP
from face_service.vision.quality import QualityLimits

logger = logging.getLogger("face_service.face_engine")  # the name that the log is documented with


def runtime_config(settings: Settings) -> RuntimeConfig:
    """What the settings say about threads, precision, cards and compiled programs.

    To be called once a process: all engines share the result, which holds the lock of providers
    that run one at a time, and the progress of compilation.
    """
    return RuntimeConfig(
        threads=cpu_threads(settings.intra_op_threads),
        precision=settings.precision,
        device=settings.device_id,
        memory_limit=int(settings.gpu_mem_limit_mb * 1e6),
        shrink_every=settings.gpu_shrink_every,
        compile_timeout=settings.compile_timeout_s,
        overrides=settings.onnx_provider_options or {},
        cache=settings.model_cache_dir / COMPILED,
    )


def load_engine(
    settings: Settings,
    config: RuntimeConfig,
    worker: int = 0,
    gates: GateSupply | None = None,
    packed: Callable[[], Pack] | None = None,
) -> FaceEngine:
    """Fetch or verify the pack, load its networks, warm them up (`FaceEngine.warm_up`).

    config: of `runtime_config`. worker: the number of the worker that the engine is for, from 0.
    gates: None for an engine without a gate. All engines of a process have the same `config` and
    `gates`. packed: returns the pack; by default `find_pack`. Takes seconds, minutes where the pack
    must be downloaded or programs compiled. Raises StartupError, and on the CPU also whatever ONNX
    Runtime raises.
    """
    started = time.perf_counter()
    # First, because a provider that is not there should not be found out after a long download.
    selection = choose_providers(settings.onnx_providers, settings.precision)
    pack = packed() if packed else find_pack(settings)
    workers = most_workers(settings.workers, config.threads)
    threads, *narrower = network_threads(worker, workers, config.threads)
    engine = load_with_fallback(
        pack,
        detector_canvases(settings),
        selection,
        replace(config, threads=threads, narrower=tuple(narrower)),
        quality_limits(settings),
    )
    engine.max_faces = settings.max_faces
    engine.info = replace(engine.info, alignment=settings.alignment)
    add_fingerprint(engine)
    if gates:
        gates.equip(engine, pack)
    logger.info(
        "FaceEngine initialized with model: %s (%d threads, warm after %.1f s)",
        pack.name,
        engine.info.threads,
        time.perf_counter() - started,
    )
    return engine


def find_pack(settings: Settings) -> Pack:
    """The pack of the settings, verified, or fetched where it is absent. Raises PackError."""
    return resolve(settings.insightface_model, settings.model_cache_dir, settings.mirror)


def load_with_fallback(
    pack: Pack,
    canvases: Canvases,
    selection: Selection,
    config: RuntimeConfig,
    limits: QualityLimits | None = None,
) -> FaceEngine:
    """A warm engine on the first of the selection's attempts that computes.

    Its `info` says what was asked for and, where something else computes, why. limits: None for the
    defaults. Raises ProviderError with every reason if none of them computes, and at once PackError
    and what ONNX Runtime raises on the CPU.
    """
    reasons = dict(selection.reasons)
    for providers in selection.attempts:
        try:
            engine = build_engine(pack, canvases, providers, config=config, limits=limits)
            smoke_test(engine)
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
        warnings=(
            *selection.warnings,
            *no_card_to_choose(computing, config),
            *unused_means(engine, config),
        ),
        placement=engine.placement(),
    )
    return engine


def no_card_to_choose(providers: tuple[str, ...], config: RuntimeConfig) -> tuple[str, ...]:
    """The warning for /health that DEVICE_ID has no effect, which is also logged; empty where it
    has one, and where it is 0."""
    best = PROVIDERS[providers[0]]
    if not config.device or best.card(config) is not None:
        return ()
    warning = (
        f"DEVICE_ID={config.device} has no effect: {best.name} cannot be told which card to use"
    )
    logger.warning("%s", warning)
    return (warning,)


def unused_means(engine: FaceEngine, config: RuntimeConfig) -> tuple[str, ...]:
    """Warnings for /health about what slows a card down, which are also logged: a network that
    takes one image a run, or a build of ONNX Runtime that gives no memory on the card."""
    warning = no_buffers(PROVIDERS[engine.info.providers[0]], config)
    if warning:
        logger.warning("%s", warning)
    by_network = dict.fromkeys(each for one in engine.networks for each in one.warnings)
    return (*by_network, *([warning] if warning else []))


def smoke_test(engine: FaceEngine) -> None:
    """Warm an engine up, and check that its first provider has computed a part of every network.

    Raises ProviderError where a run fails or that provider took no node of a network; where it is
    the CPU, what a failed run has raised. The engine is released then.
    """
    try:
        _smoke_test(engine)
    except BaseException:
        engine.release()
        raise


def _smoke_test(engine: FaceEngine) -> None:
    best = engine.info.providers[0]
    try:
        engine.warm_up()
    except Exception as error:
        if best == CPU:  # no other provider would do better
            raise
        raise ProviderError(f"{best}: the first run failed: {in_public(error)}") from error
    for name, placement in engine.placement().items():
        logger.info("%s: %s", name, in_words(placement))
        if placement and not placement.get(best):
            raise ProviderError(
                f"{best} has loaded, but it took no node of {name}: {in_words(placement)}"
            )


def quality_limits(settings: Settings) -> QualityLimits:
    """The settings QUALITY_…, by the names that QualityLimits has for them."""
    names = QualityLimits.__dataclass_fields__
    return QualityLimits(**{name: getattr(settings, f"quality_{name}") for name in names})


def detector_canvases(settings: Settings) -> Canvases:
    """The canvases of DET_SIZE, DET_SIZES, DET_RECTANGULAR and DET_CLOSEUP."""
    shapes = None if settings.det_rectangular else 1
    sides = sorted({*settings.det_sizes} - {settings.det_size})
    return Canvases(
        allowed_canvases(settings.det_size)[:shapes],
        CLOSEUP if settings.det_closeup else None,
        tuple(allowed_canvases(side)[:shapes] for side in sides),
    )
