"""An engine from a pack, on given providers: its networks are loaded, and detector, recogniser and
attribute reader built on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from face_service.engine_info import EngineInfo, NetworkFile
from face_service.errors import PackError, ProviderError
from face_service.face_engine import FaceEngine
from face_service.packs.catalog import CATALOG
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, PackModel, sha256_of
from face_service.packs.roles import INPUT_SIDE
from face_service.runtime.graph import read_header, read_input
from face_service.runtime.network import Network, load_networks
from face_service.runtime.pixel_input import Normalization
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import Precision, RuntimeConfig
from face_service.runtime.resizing import resized_network
from face_service.runtime.rewriting import why_not_free
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AgeAndGender, AttributeReader, GenderAge
from face_service.vision.canvas import STRIDE, Size, allowed_canvases
from face_service.vision.detector import Detector, DetectorPreprocessor
from face_service.vision.quality import QualityLimits
from face_service.vision.scrfd import Scrfd
from face_service.vision.verifier import EXPANSION, FaceVerifier
from face_service.vision.yunet import OUTPUTS as YUNET_OUTPUTS
from face_service.vision.yunet import YuNet

logger = logging.getLogger("face_service.face_engine")  # the name that the log is documented with


LEAST_SIDE = 64
"""The least DET_SIZE, in pixels."""


class Canvases(NamedTuple):
    """Sizes of the detector's input, in pixels.

    allowed: an image is put on the smallest that shows it as large as the first one, the square,
    does. closeup: the small canvas of one more pass, for faces too large for the others; None for
    no such pass. others: for each further side that a request may ask for, its canvases, likewise
    the square first.
    """

    allowed: tuple[Size, ...]
    closeup: Size | None
    others: tuple[tuple[Size, ...], ...] = ()


def build_engine(
    pack: Pack,
    canvases: Canvases,
    providers: tuple[str, ...],
    threads: int = 1,
    config: RuntimeConfig | None = None,
    limits: QualityLimits | None = None,
) -> FaceEngine:
    """Load the networks of a pack into an engine. They have not run yet: see FaceEngine.warm_up.

    providers: all of them must load; the first one computes what it can, the others the rest.
    threads: of each network on the CPU; only read where there is no `config`. limits: of the
    quality below which a face is reported as not usable; the defaults where there are none.

    Raises ProviderError if a provider cannot be loaded, or a file it needs cannot be read or
    written; PackError if pack and settings do not fit; on the CPU alone, what ONNX Runtime raises
    for a network that it cannot load.
    """
    config = config or RuntimeConfig(threads=threads)
    config = replace(config, precision=computed_precision(pack, config.precision))
    detector, passes = detector_spec(pack, canvases)
    verifying = (Role.VERIFICATION,) if Role.VERIFICATION in pack.models else ()
    roles = (Role.RECOGNITION, *verifying, *attribute_roles(pack))
    specs = [detector, *(face_network_spec(pack, role) for role in roles)]
    small = closeup_spec(pack, canvases, passes, config)
    try:
        networks = load_networks([*specs, small] if small else specs, providers, config)
    except OSError as error:  # of what this provider keeps, or compiles in: another may not need it
        raise ProviderError(f"{providers[0]} cannot load {pack.name}: {error}") from error
    by_role = dict(zip((Role.DETECTION, *roles), networks, strict=False))

    def normalization(role: Role) -> Normalization | None:
        return None if by_role[role].takes_pixels else pack.models[role].normalization

    allowed, closeup, _ = passes
    others = other_canvases(networks[0], passes)
    preprocessor = DetectorPreprocessor(allowed, closeup, normalization(Role.DETECTION), others)
    sides = tuple(sorted({*others, allowed[0].width}))
    return FaceEngine(
        replace(describe(pack, providers, config.threads, config.precision), det_sizes=sides),
        detector_class(pack)(networks[0], preprocessor),
        ArcFace(by_role[Role.RECOGNITION], normalization(Role.RECOGNITION)),
        attribute_reader(by_role, normalization),
        networks,
        limits or QualityLimits(),
        face_verifier(pack, by_role, normalization),
        closeup_detector(pack, networks, small, canvases, preprocessor),
    )


def computed_precision(pack: Pack, asked: Precision) -> Precision:
    """The precision of the networks of `pack` where PRECISION is `asked`.

    Weights decide between fp32 and int8: a quantised pack is int8 where fp32 (the default) or int8
    is asked. Raises PackError for fp16 and bf16 of such a pack, and for int8 of any other.
    """
    if pack.precision == "int8":
        if asked in ("fp16", "bf16"):
            raise PackError(
                f"PRECISION={asked}, but the networks of {pack.name} are quantised to int8: set "
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
    """The description of an engine made from `pack`, for /health and /models."""
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
        threshold=pack.threshold,
        operating_points=pack.operating_points,
        providers=providers,
        threads=threads,
    )


def detector_class(pack: Pack) -> type[Detector]:
    """The class of a pack's detector, by the number of its network's outputs."""
    outputs = read_header(pack.models[Role.DETECTION].path).outputs
    return YuNet if len(outputs) == YUNET_OUTPUTS else Scrfd


def detector_spec(pack: Pack, canvases: Canvases) -> tuple[NetworkSpec, Canvases]:
    """The detector of a pack, and the canvases it is given.

    They are `canvases` where the graph leaves height and width free, and for YuNet, whose exports
    declare one size that nothing in them depends on. A graph of fixed size, or a YuNet that was
    changed so that it may depend on its size, has one pass on that size. Raises PackError where
    DET_SIZE says another, or DET_SIZES any.
    """
    model = pack.models[Role.DETECTION]
    *_, height, width = read_input(model.path).shape or (None, None)
    free = height is not None and detector_class(pack) is YuNet
    if free and (reason := why_not_free(model.path)):
        logger.warning("%s is not given other sizes: %s", model.path.name, reason)
        free = False
    if free:
        height = width = None
    if height is not None and width is not None:
        fixed = Size(width, height)
        if fixed != canvases.allowed[0]:
            raise PackError(
                f"DET_SIZE={canvases.allowed[0].width}, but the detector of {pack.name} takes "
                f"{width}x{height} only: set DET_SIZE={width}, or choose a pack with a free input "
                "size"
            )
        if canvases.others:
            asked = ",".join(str(others[0].width) for others in canvases.others)
            raise PackError(
                f"DET_SIZES={asked}, but the detector of {pack.name} takes {width}x{height} only: "
                "leave DET_SIZES out, or choose a pack with a free input size"
            )
        logger.info("The detector of %s takes %dx%d only", pack.name, *fixed)
        canvases = Canvases((fixed,), None)
    sizes = (
        *canvases.allowed,
        *([canvases.closeup] if canvases.closeup else []),
        *chain.from_iterable(canvases.others),
    )
    shapes = tuple(dict.fromkeys((size.height, size.width) for size in sizes))
    spec = NetworkSpec(model.path, model.sha256, shapes, True, model.normalization, free)
    return spec, canvases


def closeup_spec(
    pack: Pack, canvases: Canvases, passes: Canvases, config: RuntimeConfig
) -> NetworkSpec | None:
    """The detector of a pack resized for the canvas of close-ups, where its graph takes one size
    alone; None where it takes any, where no close-ups are wanted, and where it cannot be resized.

    canvases: of the settings. passes: those that `detector_spec` made of them.
    """
    small, model = canvases.closeup, pack.models[Role.DETECTION]
    if small is None or passes.closeup is not None:
        return None
    path = resized_network(model.path, model.sha256, small.width, config)
    if path is None:
        return None
    shapes = ((small.height, small.width),)
    return NetworkSpec(path, sha256_of(path), shapes, True, model.normalization)


def closeup_detector(
    pack: Pack,
    networks: Sequence[Network],
    small: NetworkSpec | None,
    canvases: Canvases,
    preprocessor: DetectorPreprocessor,
) -> Detector | None:
    """The detector of close-ups where the graph takes one size alone: on the last of `networks`,
    which was resized to `small` (`closeup_spec`); where that is None, on a corner of the detector's
    own canvas. None where no close-ups are wanted, and where `preprocessor` makes them for the
    detector itself."""
    if canvases.closeup is None or preprocessor.closeup is not None:
        return None
    if small is None:
        return detector_class(pack)(networks[0], replace(preprocessor, corner=canvases.closeup))
    normalization = None if networks[-1].takes_pixels else small.normalization
    return detector_class(pack)(
        networks[-1], DetectorPreprocessor((canvases.closeup,), None, normalization)
    )


def other_canvases(detector: Network, canvases: Canvases) -> dict[int, tuple[Size, ...]]:
    """The canvases that a request may ask for, by side in pixels: those of DET_SIZES. Where the
    graph takes any size and the provider needs no preparation for one, every multiple of STRIDE
    from LEAST_SIDE to the largest side of the settings instead."""
    sides = [others[0].width for others in canvases.others]
    largest = max([canvases.allowed[0].width, *sides])
    *_, height, width = detector.input_shape
    if detector.policy.kind == "dynamic" and (height is None or width is None):
        sides = list(range(LEAST_SIDE, largest + 1, STRIDE))
    shapes = len(canvases.allowed)
    return {side: allowed_canvases(side)[:shapes] for side in sides}


def face_network_spec(pack: Pack, role: Role) -> NetworkSpec:
    """What to load for a network whose input is a square around one face. Its role decides the side
    (INPUT_SIDE), of a verifier its graph. Raises PackError as `input_side`."""
    model = pack.models[role]
    side = INPUT_SIDE.get(role) or input_side(model)
    sizes = ((side, side),)
    return NetworkSpec(model.path, model.sha256, sizes, normalization=model.normalization)


def input_side(model: PackModel) -> int:
    """The side of the square that a network's graph takes, in pixels. Raises PackError where the
    graph leaves it open."""
    side = (read_input(model.path).shape or (None,))[-1]
    if side is None:
        raise PackError(f"{model.path} does not say how large its input is")
    return side


def face_verifier(
    pack: Pack,
    networks: Mapping[Role, Network],
    normalization: Callable[[Role], Normalization | None],
) -> FaceVerifier | None:
    """The verifier of a pack; None where the pack has none. normalization: of a role's input; None
    where its network takes pixels."""
    model = pack.models.get(Role.VERIFICATION)
    if model is None:
        return None
    role, side = Role.VERIFICATION, input_side(model)
    expansion = EXPANSION if model.expansion is None else model.expansion
    return FaceVerifier(networks[role], normalization(role), side, expansion)


def attribute_roles(pack: Pack) -> tuple[Role, ...]:
    """The roles of the networks of age and gender in this pack, one or two; empty where it lacks
    one of the two."""
    if Role.GENDERAGE in pack.models:
        return (Role.GENDERAGE,)
    pair = (Role.AGE, Role.GENDER)
    return pair if all(role in pack.models for role in pair) else ()


def attribute_reader(
    networks: Mapping[Role, Network], normalization: Callable[[Role], Normalization | None]
) -> AttributeReader | None:
    """A reader on the networks of `attribute_roles`, which are given inputs of this
    `normalization`; None where there are none."""
    if Role.GENDERAGE in networks:
        return GenderAge(networks[Role.GENDERAGE], normalization(Role.GENDERAGE))
    if Role.AGE in networks:
        return AgeAndGender(networks[Role.AGE], networks[Role.GENDER], normalization(Role.AGE))
    return None
