"""`face-service group`: the faces of a library to people."""

from __future__ import annotations

from typing import Annotated

import typer

from face_service.cli.shared import Embedded, examples, needs_extra, say

EPILOG = examples(
    ("Who is who in what `embed` has written:", "group faces --out people.parquet"),
    (
        "More careful, of good pictures only:",
        "group faces --similarity 0.5 --usable --out p.parquet",
    ),
)


def group(
    folder: Embedded,
    out: Annotated[str, typer.Option(metavar="FILE", help="Parquet file to write.")],
    similarity: Annotated[
        float | None,
        typer.Option(
            min=-1,
            max=1,
            help="Least mean cosine of one person's faces; by default the pack's own.",
            show_default=False,
        ),
    ] = None,
    usable: Annotated[
        bool, typer.Option("--usable", help="Leave out faces that are not usable.")
    ] = False,
) -> None:
    """Group the faces of a library into people: `id`, `frame`, `face`, `person` of each.

    Up to 20,000 faces are compared each with each; beyond that a face with those near it, by an
    index. Faces of one photo or frame are never one person's.
    """
    with needs_extra("embed", "embed"):
        from face_service.offline.people import run
    raise typer.Exit(run(folder, out, similarity, usable, say))
