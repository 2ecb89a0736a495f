"""`python -m face_service.tools.doctor.child`: a process for one probe, which may crash or hang.

The request names a `task` and what it needs (see child_process for how it arrives); the answer is
what the task found, or a `Failed`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from face_service.runtime.child_process import (
    answer_stream,
    end_with_parent,
    requests,
    write_answer,
)

if TYPE_CHECKING:
    from face_service.face_engine import Face, FaceEngine
    from face_service.vision.blob import Image

PICTURE = Path(__file__).with_name("faces.jpg")
"""Eleven of those who met at Solvay in 1927 (Benjamin Couprie, public domain): that photograph's
x 1005 to 2065, y 830 to 1320, at three quarters of its size."""
PICTURE_PIXELS = 795 * 368

MOST_FACES = 32
"""Faces of a picture that are compared, by descending score; bounds the size of the answer."""
BATCHES = (1, 8)
"""Numbers of faces with which the recogniser is timed."""
MOST_RUNS = 5
"""Runs that are timed for each of BATCHES."""
RUNS_S = 5.0
"""Seconds after which no further run is timed, for each of BATCHES."""


def main() -> None:
    """Answer the request on stdin."""
    answers = answer_stream()
    request = next(requests())
    end_with_parent()
    from face_service.tools.doctor.probing import Failed, attempt

    tasks = {"graphics": graphics, "storage": storage, "offers": offers, "trial": trial}
    found = attempt(tasks[request["task"]], request)
    write_answer(answers, asdict(found) if isinstance(found, Failed) else found)


def graphics(request: dict[str, Any]) -> dict[str, Any]:
    """Cards, drivers and devices; see `graphics.Graphics`."""
    from face_service.tools.doctor import graphics

    return asdict(graphics.graphics(Path(request["root"])))


def storage(request: dict[str, Any]) -> dict[str, Any]:
    """`pack` and `cache`: the fields of `PackState` and `CacheState`, or of `Failed`."""
    from face_service.tools.doctor.probing import attempt
    from face_service.tools.doctor.storage import cache_state, pack_state

    cache_dir = Path(request["cache_dir"])
    return {
        "pack": asdict(attempt(pack_state, request["model"], cache_dir)),
        "cache": asdict(attempt(cache_state, cache_dir)),
    }


def offers(request: dict[str, Any]) -> dict[str, Any]:
    """The providers of this ONNX Runtime, and which of them a start would try; see
    `trials.Offers`."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    made_for = {
        name: str(version)
        for name in ("cuda", "cudnn", "rocm", "migraphx")
        if (version := getattr(onnxruntime, f"{name}_version", None))
    }
    return {
        "version": onnxruntime.__version__,
        "offered": offered,
        "made_for": made_for,
        **selected(request["asked"], request["precision"], offered),
    }


def selected(asked: Sequence[str], precision: Any, offered: Sequence[str]) -> dict[str, Any]:
    """`attempts`, the lists of providers that a start would try; `reasons` why others would not be
    tried; `refusal`, the error where there is no list, else None."""
    from face_service.errors import ProviderError
    from face_service.runtime.selection import choose_providers

    try:
        selection = choose_providers(asked, precision, offered)
    except ProviderError as error:
        return {"attempts": [], "reasons": [], "refusal": str(error)}
    return {
        "attempts": selection.attempts,
        "reasons": list(selection.reasons.values()),
        "refusal": None,
    }


def trial(request: dict[str, Any]) -> dict[str, Any]:
    """Load the pack onto providers as the service does, and analyse a picture and its mirror image.

    request: `providers`, `precision`, `model`, `image` (a path; None: PICTURE). Returns what
    `trials.measured` takes. Raises ProviderError where a provider does not load or the first does
    not compute, PackError where the pack is absent or broken, and what `decode` raises.
    """
    from face_service.config import load_settings
    from face_service.engine_factory import detector_canvases, runtime_config, smoke_test
    from face_service.engine_factory.builder import build_engine
    from face_service.face_engine import Options
    from face_service.runtime.precision import require_precision
    from face_service.tools.doctor.storage import verify_local_pack
    from face_service.vision.image import decode, set_up_opencv

    set_up_opencv()
    providers, precision = tuple(request["providers"]), request["precision"]
    require_precision(providers[0], precision)
    settings = load_settings(insightface_model=request["model"])
    pack = verify_local_pack(settings.insightface_model, settings.model_cache_dir)
    config = replace(runtime_config(settings), precision=precision)
    started = time.perf_counter()
    engine = build_engine(pack, detector_canvases(settings), providers, config=config)
    smoke_test(engine)
    warm = time.perf_counter() - started
    options = Options(max_faces=MOST_FACES, attributes=False, quality=False)
    picture = decode(PICTURE.read_bytes(), PICTURE_PIXELS)
    image = picture
    if request["image"]:
        image = decode(Path(request["image"]).read_bytes(), settings.max_image_pixels)
    return {
        "precision": engine.info.precision,
        "warm_s": warm,
        "placement": engine.placement(),
        "faces": [as_json(face) for face in engine.analyse_image(image, options)],
        "mirrored": [as_json(face) for face in engine.analyse_image(mirrored(image), options)],
        "width": image.shape[1],
        "milliseconds": milliseconds(engine, picture),
    }


def mirrored(image: Image) -> Image:
    """The image flipped left to right."""
    import cv2

    return cv2.flip(image, 1)  # type: ignore[return-value]


def as_json(face: Face) -> dict[str, Any]:
    """`agreement.Face`, in lists and numbers."""
    return {
        "bbox": face.bbox.tolist(),
        "score": face.score,
        "embedding": None if face.embedding is None else face.embedding.tolist(),
    }


def milliseconds(engine: FaceEngine, image: Image) -> dict[str, Any]:
    """Median milliseconds of a run: `detector`, a number, and `recogniser`, by faces in a batch,
    without those of BATCHES for which the image has too few faces."""
    from face_service.face_engine import Options, PreparedImage
    from face_service.observability.timing import StageTimes

    detector: list[float] = []
    recogniser: dict[int, list[float]] = {}
    for batch in BATCHES:
        options = Options(max_faces=batch, attributes=False, quality=False)
        inputs = engine.preprocessor.preprocess(image)
        prepared = PreparedImage(image, inputs, options)
        end = time.monotonic() + RUNS_S
        for _ in range(MOST_RUNS):
            times = StageTimes()
            faces = engine.predict(prepared, times)
            detector.append(times["detect"])
            if len(faces) == batch:
                recogniser.setdefault(batch, []).append(times["embed"])
            if time.monotonic() > end:
                break
    return {
        "detector": statistics.median(detector),
        "recogniser": {batch: statistics.median(runs) for batch, runs in recogniser.items()},
    }


if __name__ == "__main__":
    main()
