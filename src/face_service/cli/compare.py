"""`face-service compare`: are these two photos of the same person?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.looking import DetailOption, RotationMode, RotationsOption
from face_service.cli.shared import Json, Model, examples

EPILOG = examples(
    ("Two photos:", "compare a.jpg b.jpg"),
    ("Every pair of faces, as POST /compare gives them:", "compare a.jpg b.jpg --json | jq .pairs"),
    after="**Exit status**: 0 the same person; 1 different people; 2 it cannot be said, or it "
    "could not be done.",
)


def compare(
    a: Annotated[Path, typer.Argument(help="An image.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another image.", show_default=False)],
    json: Json = False,
    detail: DetailOption = None,
    rotations: RotationsOption = RotationMode.NONE,
    model: Model = None,
) -> None:
    """Say whether two images show the same person, at the pack's own threshold.

    Every face of one is compared with every face of the other, and the most similar pair
    decides. A face too poor to compare decides nothing.
    """
    from face_service.cli.comparing import run
    from face_service.config import load_settings
    from face_service.schemas import CompareOptions

    options = CompareOptions.model_validate(
        {"detail": detail and detail.value, "rotations": rotations.value}
    )
    raise typer.Exit(run(load_settings(insightface_model=model), (a, b), options, json))
