"""`face-service models quantize`: an int8 pack from one of fp32."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_service.cli.shared import PackOrFolder, Photos

if TYPE_CHECKING:
    from face_service.engine_factory.builder import Canvases
    from face_service.packs.pack import Pack
    from face_service.runtime.providers import RuntimeConfig


def quantize(
    pack: PackOrFolder,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Folder of photos with faces, such as the service will see."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; its name is the pack's.")
    ] = None,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate", help="Make the detector's gate instead, kept in MODEL_CACHE_DIR [DET_GATE]."
        ),
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV (first, second, same): measure a threshold, refuse a bad pack."),
    ] = None,
    photos: Photos = None,
) -> None:
    """Quantise a pack to int8: smaller, faster, with embeddings of its own, the same on every CPU.

    The ranges of the networks are taken from faces on the photos in --calibrate. With
    --pairs, a pack that loses more than 0.3 points of accuracy is not written. Serve it
    with INSIGHTFACE_MODEL=./FOLDER.

    With --gate the detector alone is quantised, to run first: where it finds no face, PACK's
    detector does not run. Faces and embeddings stay those of PACK. Without --calibrate it is made
    from two photos that come with this program. One that would lose more than 0.3 % of the
    faces is not used.
    """
    from face_service.config import load_settings
    from face_service.engine_factory import detector_canvases, find_pack, runtime_config
    from face_service.runtime.threads import cpu_threads
    from face_service.tools.quantization.pack import Trial, quantize_pack
    from face_service.vision.image import set_up_opencv

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    set_up_opencv()
    settings = load_settings(insightface_model=pack)
    canvases = detector_canvases(settings)
    if gate:
        print_gate(find_pack(settings), canvases, runtime_config(settings), calibrate)
        return
    if calibrate is None or out is None:
        raise typer.BadParameter("--calibrate and --out are needed, or --gate")
    trial = Trial(pairs, photos or pairs.parent) if pairs else None
    threads = cpu_threads(settings.intra_op_threads)
    made = quantize_pack(find_pack(settings), calibrate, out, canvases, threads, trial)
    if made.threshold:
        print(f"threshold {made.threshold.similarity} ({made.threshold.measured_on})")
    print(made.directory)


def print_gate(pack: Pack, canvases: Canvases, config: RuntimeConfig, photos: Path | None) -> None:
    """Make the detector gate of a pack and print its figures and its folder. Raises PackError where
    it cannot be made, or must not be used."""
    from face_service.engine_factory.gates import gate_folder, make_gate
    from face_service.errors import PackError

    try:
        facts = make_gate(pack, canvases, config, photos)
    except (OSError, RuntimeError) as error:
        raise PackError(f"The gate of {pack.name} could not be made: {error}") from error
    if facts.refused:
        raise PackError(f"The gate of {pack.name} will not be used: {facts.refused}")
    print(
        f"limit {facts.limit:.3f}, {facts.lost} of {facts.faces} faces lost, "
        f"{facts.cost:.0%} of the detector's CPU time"
    )
    print(gate_folder(pack, canvases, config))
