"""What several commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer


def packs(incomplete: str) -> Iterator[tuple[str, str]]:
    """The packs whose names begin so, with what they are. For the shell's completion, which
    offers folders where there are none."""
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


def examples(*lines: tuple[str, str], after: str = "") -> str:
    """The end of a command's help, in Markdown: what it is for, and what to type."""
    shown = [f"- {what}  \n  `face-service {command}`" for what, command in lines]
    return "\n".join(["**Examples**\n", *shown, *(["", after] if after else [])])
