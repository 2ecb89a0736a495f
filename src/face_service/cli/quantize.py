"""`face-service models quantize`: an int8 pack from one of fp32."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import packs


def quantize(
    pack: Annotated[
        str,
        typer.Argument(
            metavar="PACK",
            help="A pack's name or folder.",
            show_default=False,
            autocompletion=packs,
        ),
    ],
    calibrate: Annotated[
        Path, typer.Option(help="Folder of photos with faces, such as the service will see.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; its name is the pack's.")],
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV (first, second, same): measure a threshold, refuse a bad pack."),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder the names are relative to; the CSV's by default.")
    ] = None,
) -> None:
    """Quantise a pack to int8: smaller, faster, with embeddings of its own, the same on every CPU.

    The ranges of the networks are taken from faces on the photos in --calibrate. With
    --pairs, a pack that loses more than 0.3 points of accuracy is not written. Serve it
    with INSIGHTFACE_MODEL=./FOLDER.
    """
    from face_service.config import load_settings
    from face_service.engine_factory import detector_canvases
    from face_service.packs import store
    from face_service.runtime.threads import network_threads
    from face_service.tools.quantization.pack import Trial, quantize_pack
    from face_service.vision.image import set_up_opencv

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    set_up_opencv()
    settings = load_settings()
    mirror = str(settings.model_mirror) if settings.model_mirror else None
    made = quantize_pack(
        store.resolve(pack, settings.model_cache_dir, mirror),
        calibrate,
        out,
        detector_canvases(settings),
        network_threads(settings.intra_op_threads, workers=1),
        Trial(pairs, photos or pairs.parent) if pairs else None,
    )
    if made.threshold:
        print(f"threshold {made.threshold.similarity} ({made.threshold.measured_on})")
    print(made.directory)
