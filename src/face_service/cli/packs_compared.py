"""`face-service models compare`: packs side by side on the same photos."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import Photos, check_writable, packs, writing


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="PACK...",
            help="Names of packs, or folders of networks.",
            show_default=False,
            autocompletion=packs,
        ),
    ],
    pairs: Annotated[Path, typer.Option(help="CSV with the columns first, second, same (1 or 0).")],
    photos: Photos = None,
    plot: Annotated[
        Path | None, typer.Option(help="File to write a picture of the similarities to (SVG).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Measure packs on the same pairs of photos and print a table: accuracy, thresholds, speed,
    memory, licence.

    Each has a process of its own, with this environment's other settings; the photos are timed in
    turn, so that what else the machine does meets all of them. Times do not travel between
    machines, ratios do.
    """
    from tqdm import tqdm

    from face_service.tools.evaluation import read_pairs
    from face_service.tools.pack_comparison import as_dicts, as_svg, as_table, compare_packs

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    read_pairs(pairs)
    if plot:  # before the minutes that the rest takes
        check_writable(plot)
    with tqdm(total=len(models), unit="pack", leave=False, disable=None) as bar:
        trials = compare_packs(models, pairs, photos or pairs.parent, bar.update)
    print(json.dumps(as_dicts(trials), indent=2) if as_json else as_table(trials))
    if plot:
        with writing(plot):
            plot.write_text(as_svg(trials))
