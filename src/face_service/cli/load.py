"""`face-service load`: the results of `embed` into the platform's database."""

from __future__ import annotations

from typing import Annotated

import typer

from face_service.cli.shared import Embedded, end_by_sigterm, examples, needs_extra, say

EPILOG = examples(
    ("Into the platform's tables; again is nothing:", "load faces"),
    ("And an index over all faces, once all are there:", "load faces --index"),
    after="**Exit status**: 0 all is loaded; 1 the database refused items; 2 it could not be "
    "done; 130 interrupted.",
)


def load(
    folder: Embedded,
    database: Annotated[
        str,
        typer.Option(
            envvar="DATABASE_URL",
            metavar="URL",
            help="Address of PostgreSQL with the platform's tables.",
            show_default=False,
        ),
    ],
    index: Annotated[
        bool, typer.Option("--index", help="Make an index (HNSW) over all faces afterwards.")
    ] = False,
) -> None:
    """Load what `embed` has written into the platform's database: each item in a transaction, once.

    A photo becomes a video of one frame. Items that are there already are left out.
    """
    with needs_extra("embed", "embed"):
        from face_service.offline.database import load as load_folder
    end_by_sigterm()
    raise typer.Exit(load_folder(folder, database, index, say))
