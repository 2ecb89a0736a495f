"""`face-service doctor`: what this machine has, what computes here, and what is to be done."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import Json, Model, examples

EPILOG = examples(
    ("For a person, and for a bug report:", "doctor"),
    ("What is to be done, for a machine:", "doctor --json | jq -r '.to_do[]'"),
    after="**Exit status**: 0 ready; 1 something is to be done.",
)


def doctor(
    json: Json = False,
    image: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Picture to analyse instead of the bundled one."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=86_400,
            help="Seconds for each provider. [120, and 1800 where programs must be compiled]",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
) -> None:
    """Examine this machine and what is installed, and say what is to be done.

    Every available provider analyses a picture, and its results are compared with the CPU's.
    Nothing is fetched. The report has no keys, no names and no picture in it: it can be pasted into
    a bug report.
    """
    from face_service.tools.doctor.examination import Request, examine
    from face_service.tools.doctor.report import as_json, as_text
    from face_service.tools.doctor.verdict import to_do

    found = examine(Request(model, image, timeout), say)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - a user without a home has none
    write(as_json(found, home) if json else as_text(found, home))
    raise typer.Exit(1 if any(to_do(found)) else 0)


def write(text: str) -> None:
    """Print; characters that the terminal cannot show are replaced."""
    typer.echo(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def say(what: str) -> None:
    """Print a line about what is under way, on a terminal."""
    if sys.stderr.isatty():
        print(f"{what} …", file=sys.stderr)
