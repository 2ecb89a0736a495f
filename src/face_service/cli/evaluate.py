"""`face-service evaluate`: how well a pack tells people apart, on pairs of photos."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_service.cli.shared import Model

if TYPE_CHECKING:
    from face_service.tools.evaluation import Pairs


def evaluate(
    pairs: Annotated[
        Path, typer.Argument(help="CSV with the columns first, second, same (1 or 0).")
    ],
    photos: Annotated[
        Path | None, typer.Option(help="Folder the names are relative to; the CSV's by default.")
    ] = None,
    model: Model = None,
) -> None:
    """Measure a pack on pairs of photos: accuracy at its threshold, and the best threshold.

    The main face of a photo is the large one near its centre. A photo in which no face is
    found counts as unlike all others.
    """
    from tqdm import tqdm

    from face_service.config import load_settings
    from face_service.engine_factory import load_engine, runtime_config
    from face_service.tools.evaluation import measure_pairs, read_pairs

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rows = read_pairs(pairs)
    settings = load_settings(insightface_model=model)
    engine = load_engine(settings, runtime_config(settings))
    names = {name for first, second, _ in rows for name in (first, second)}
    with tqdm(total=len(names), unit="photo", leave=False, disable=None) as bar:
        measured = measure_pairs(engine, rows, photos or pairs.parent, bar.update)
    print(f"pack                 {engine.info.pack} ({engine.info.precision})")
    same, photo_count = int(measured.same.sum()), len(names)
    print(f"photos               {photo_count}, {measured.without_face} of them without a face")
    print(f"pairs                {same} of one person, {len(rows) - same} of two")
    if engine.info.same_person_threshold is not None:
        report("pack's threshold", measured, engine.info.same_person_threshold)
    report("best threshold here", measured, measured.best_threshold())
    print(f"10-fold accuracy     {measured.cross_validated_accuracy():.2%}")


def report(name: str, pairs: Pairs, threshold: float) -> None:
    """One line: accuracy and both kinds of error at a threshold."""
    print(
        f"{name:<20} {threshold:.3f}: accuracy {pairs.accuracy(threshold):.2%}, "
        f"false match {pairs.false_match_rate(threshold):.2%}, "
        f"false non-match {pairs.false_non_match_rate(threshold):.2%}"
    )
