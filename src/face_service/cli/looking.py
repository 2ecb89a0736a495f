"""How closely commands look at pictures, and which faces come first: options of several."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from face_service.cli.shared import FILTERS

LOOKING = "Looking closer"


class DetailLevel(StrEnum):
    """The values of `detail` in the API."""

    AUTO = "auto"
    ONE = "1"
    TWO = "2"
    THREE = "3"


class RotationMode(StrEnum):
    """The values of `rotations` in the API."""

    NONE = "none"
    AUTO = "auto"
    ALL = "all"


class FaceOrder(StrEnum):
    """The values of `order` in the API."""

    SCORE = "score"
    SIZE = "size"
    CENTER = "center"


DetailOption = Annotated[
    DetailLevel | None,
    typer.Option(
        "--detail",
        metavar="DETAIL",
        help="How closely images are looked at: `1`, `2`, `3` or `auto` [DETAIL].",
        rich_help_panel=LOOKING,
        show_default=False,
    ),
]
RotationsOption = Annotated[
    RotationMode,
    typer.Option(
        "--rotations",
        metavar="WHEN",
        help="Also look at images turned by 90, 180 and 270 degrees: `none`, `auto` (where no face "
        "is usable and upright) or `all`.",
        rich_help_panel=LOOKING,
    ),
]
OrderOption = Annotated[
    FaceOrder,
    typer.Option(
        "--order",
        metavar="ORDER",
        help="Which faces come first: `score`, `size` or `center`.",
        rich_help_panel=FILTERS,
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        metavar="SCORE",
        min=0,
        max=1,
        help="Least score; the detector's own by default.",
        rich_help_panel=FILTERS,
    ),
]
