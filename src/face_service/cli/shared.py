"""What several commands have in common."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from face_service.errors import InvalidRequest, StartupError

FILTERS = "Filters"


def packs(incomplete: str) -> Iterator[tuple[str, str]]:
    """The names that begin with `incomplete` of packs in the catalogue, and their summaries. For
    completion by the shell, which offers folders where there are none."""
    from face_service.packs.catalog import CATALOG

    return (
        (pack.name, pack.summary) for pack in CATALOG.values() if pack.name.startswith(incomplete)
    )


Model = Annotated[
    str | None,
    typer.Option(
        metavar="PACK",
        help="A pack's name, or a folder of networks [INSIGHTFACE_MODEL].",
        autocompletion=packs,
    ),
]
Every = Annotated[
    str,
    typer.Option(
        metavar="INTERVAL",
        help="Take one frame of each interval of a video: 1s, 500ms, 1min; 0 takes all.",
    ),
]
PackName = Annotated[
    str,
    typer.Argument(
        metavar="PACK",
        help="A name that `models list` shows.",
        show_default=False,
        autocompletion=packs,
    ),
]
PackOrFolder = Annotated[
    str,
    typer.Argument(
        metavar="PACK",
        help="A pack's name or folder.",
        show_default=False,
        autocompletion=packs,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Clients = Annotated[
    int, typer.Option(min=1, max=256, help="Connections that post at the same time.")
]
NoAttributes = Annotated[
    bool,
    typer.Option(
        "--no-attributes", help="Do not estimate age and gender.", rich_help_panel=FILTERS
    ),
]
Photos = Annotated[
    Path | None, typer.Option(help="Folder the names are relative to; the CSV's by default.")
]
Embedded = Annotated[
    str, typer.Argument(metavar="FOLDER", help="What `embed` has written.", show_default=False)
]


def end_by_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt, as Ctrl-C does. Without a handler, process 1 of a
    container ignores it, and is killed in the end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def say(text: str) -> None:
    """Print a line for people to stderr, as stdout is for results."""
    print(text, file=sys.stderr)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """For what writes a file. Raises InvalidRequest, which names it, where that cannot be done."""
    try:
        yield
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Raise InvalidRequest where a file cannot be written. It is not changed, and one that is not
    there is not there afterwards."""
    there = os.path.lexists(path)
    with writing(path):
        path.open("a").close()
        if not there:
            path.unlink()


@contextmanager
def needs_extra(name: str, install: str) -> Iterator[None]:
    """For a block that imports packages of the extra `name`. Raises StartupError where one is
    missing, with the extras to `install`, such as `embed,ray`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StartupError(
            f"This needs the extra `{name}`: pip install 'face-service[{install}]' "
            f"({error.name} is missing)"
        ) from error


def examples(*lines: tuple[str, str], after: str = "") -> str:
    """The end of a command's help, in Markdown. lines: what an example does, and its arguments of
    `face-service`. after: a paragraph behind them."""
    shown = [f"- {what}  \n  `face-service {command}`" for what, command in lines]
    return "\n".join(["**Examples**\n", *shown, *(["", after] if after else [])])
