"""`face-service evaluate`: how well a pack tells people apart, on pairs of photos or on people."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_service.cli.shared import Model, Photos, examples

if TYPE_CHECKING:
    from face_service.face_engine import FaceEngine
    from face_service.thresholds import OperatingPoints
    from face_service.tools.evaluation import Pairs

EPILOG = examples(
    ("Pairs of photos:", "evaluate pairs.csv"),
    ("Operating points, for a manifest.json:", "evaluate people --model ./my-models --json"),
)


def evaluate(
    photos_of: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="CSV with the columns first, second, same (1 or 0); or a folder that has a "
            "folder of photos for each person.",
            show_default=False,
        ),
    ],
    photos: Photos = None,
    model: Model = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Operating points as manifest.json has them.")
    ] = False,
) -> None:
    """Measure a pack on pairs of photos: accuracy at its threshold, and the best threshold. On a
    folder of people: its operating points, from which similarity on two photos are one person,
    and a photo that of one of many.

    The main face of a photo is the large one near its centre. A photo in which no face is
    found counts as unlike all others; of people it is left out, and so is a person of whom fewer
    than two are left.
    """
    from face_service.config import load_settings
    from face_service.engine_factory import load_engine, runtime_config

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = load_settings(insightface_model=model)
    if photos_of.is_dir():
        engine = load_engine(settings, runtime_config(settings))
        report_people(engine, photos_of, as_json)
        return
    from face_service.tools.evaluation import read_pairs

    rows = read_pairs(photos_of)
    engine = load_engine(settings, runtime_config(settings))
    report_pairs(engine, rows, photos or photos_of.parent)


def report_pairs(engine: FaceEngine, rows: list[tuple[str, str, bool]], photos: Path) -> None:
    """Measure pairs, as `read_pairs` gives them, and print accuracies and errors. photos: the
    folder that their names are relative to."""
    from tqdm import tqdm

    from face_service.tools.evaluation import measure_pairs, photos_of

    photo_count = len(photos_of(rows))
    with tqdm(total=photo_count, unit="photo", leave=False, disable=None) as bar:
        measured = measure_pairs(engine, rows, photos, bar.update)
    print(f"pack                 {engine.info.pack} ({engine.info.precision})")
    same = int(measured.same.sum())
    print(f"photos               {photo_count}, {measured.without_face} of them without a face")
    print(f"pairs                {same} of one person, {len(rows) - same} of two")
    if threshold := engine.info.threshold:
        report("pack's threshold", measured, threshold.similarity)
    report("best threshold here", measured, measured.best_threshold())
    print(f"10-fold accuracy     {measured.cross_validated_accuracy():.2%}")


def report(name: str, pairs: Pairs, threshold: float) -> None:
    """One line: accuracy and both kinds of error at a threshold."""
    print(
        f"{name:<20} {threshold:.3f}: accuracy {pairs.accuracy(threshold):.2%}, "
        f"false match {pairs.false_match_rate(threshold):.2%}, "
        f"false non-match {pairs.false_non_match_rate(threshold):.2%}"
    )


def report_people(engine: FaceEngine, folder: Path, as_json: bool) -> None:
    """Measure the photos of people, a folder each in `folder`, and print the operating points."""
    from tqdm import tqdm

    from face_service.tools.operating_points import (
        embed_people,
        measure_operating_points,
        people_in,
    )

    people = people_in(folder)
    with tqdm(total=sum(map(len, people.values())), unit="photo", leave=False, disable=None) as bar:
        embeddings, person = embed_people(engine, people, bar.update)
    points = measure_operating_points(embeddings, person, folder.resolve().name)
    if as_json:
        print(json.dumps({"operating_points": asdict(points)}, indent=2))
    else:
        print(f"pack {engine.info.pack} ({engine.info.precision}), {points.measured_on}")
        print_points(points)


def print_points(points: OperatingPoints) -> None:
    """Operating points as two tables."""
    print("\nAre these two one person?\n  false matches   similarity  true matches")
    for one in points.verification:
        print(
            f"  {one.false_match_rate:>13.2%}   {one.similarity:>10.3f}  {one.true_match_rate:.2%}"
        )
    print("\nWhich of so many people is it?\n  people   strangers taken for one   similarity")
    for point in points.identification:
        how = "" if point.measured else "   extrapolated"
        rate = f"{point.false_positive_rate:.0%}"
        print(f"  {point.people:>6,}   {rate:>23}   {point.similarity:>10.3f}{how}")
