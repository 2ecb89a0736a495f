"""`face-service detect`: the faces of files and folders, without a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.looking import (
    DetailOption,
    FaceOrder,
    MinScore,
    OrderOption,
    RotationMode,
    RotationsOption,
)
from face_service.cli.shared import FILTERS, Every, Model, NoAttributes, examples

OUTPUT = "Output"


class EmbeddingFormat(StrEnum):
    """The values of `embedding_format` in the API."""

    FLOAT = "float"
    BASE64 = "base64"
    NONE = "none"


EPILOG = examples(
    ("The faces of a photo, for a person to read:", "detect photo.jpg"),
    ("A frame a second of a video:", "detect clip.mp4 --every 1s --out faces.jsonl"),
    ("A folder into a file; the same command again goes on:", "detect photos/ --out faces.jsonl"),
    ("Lines of JSON, one for each image:", "detect photos/ --json --embeddings none | jq .faces"),
    ("A picture with the faces drawn on it:", "detect photo.jpg --draw drawn.jpg"),
    ("The faces of a folder, cut out and upright:", "detect photos/ --crops faces"),
    after="**Exit status**: 0 all is well; 1 at least one file has an error; 2 it could not be "
    "done; 130 interrupted.",
)


def detect(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Image files, folders of them, and videos.",
            show_default=False,
        ),
    ],
    every: Every = "1s",
    json: Annotated[
        bool,
        typer.Option("--json", help="Print a line of JSON for each image.", rich_help_panel=OUTPUT),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the lines of JSON to a file; images that it has already are left out.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write the image with its faces drawn on it; a folder for several images.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the aligned crop of each face, 112×112, below a folder; and to JSON.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    min_score: MinScore = None,
    max_faces: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="At most so many of each image, the first in --order.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    order: OrderOption = FaceOrder.SCORE,
    min_face_size: Annotated[
        float,
        typer.Option(metavar="PIXELS", min=0, help="Least shorter side.", rich_help_panel=FILTERS),
    ] = 0,
    detail: DetailOption = None,
    rotations: RotationsOption = RotationMode.NONE,
    embeddings: Annotated[
        EmbeddingFormat,
        typer.Option(
            metavar="FORM",
            help="In JSON: `float`, `base64` of float32, or `none`.",
            rich_help_panel=FILTERS,
        ),
    ] = EmbeddingFormat.FLOAT,
    no_attributes: NoAttributes = False,
    model: Model = None,
) -> None:
    """Find every face of image files: boxes, scores, age, gender, embeddings.

    Folders are searched through; what is an image is told by its bytes, not by its name. A
    file that cannot be read costs only itself. A video has to be named; PyAV reads it.
    """
    from face_service.cli.detection import Output, run
    from face_service.cli.videos import as_milliseconds
    from face_service.config import load_settings
    from face_service.schemas import DetectOptions

    options = DetectOptions(
        min_score=min_score,
        max_faces=max_faces,
        order=order.value,
        min_face_size=min_face_size,
        det_size=None,
        detail=detail.value if detail else None,
        rotations=rotations.value,
        embedding_format=embeddings.value if json or out else "none",
        attributes=not no_attributes,
        landmarks=True,
        quality=True,
        crops=crops is not None,
    )
    settings = load_settings(insightface_model=model)
    output = Output(json, out, draw, crops)
    raise typer.Exit(run(settings, images, options, output, as_milliseconds(every)))
