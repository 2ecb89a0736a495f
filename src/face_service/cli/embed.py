"""`face-service embed`: the faces of a library, from a manifest to Parquet."""

from __future__ import annotations

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
from face_service.cli.shared import (
    FILTERS,
    Model,
    NoAttributes,
    end_by_sigterm,
    examples,
    needs_extra,
    say,
)

WORK = "Work"

EPILOG = examples(
    ("Photos of a manifest; the same command again goes on:", "embed photos.csv --out faces"),
    ("One of sixteen, each on a machine of its own:", "embed s3://in/all.parquet --out s3://out/v1 "
     "--shard 3/16"),
    ("Old photos, which may lie on their side:", "embed photos.csv --out faces --rotations auto"),
    ("On a Ray cluster:", "embed photos.parquet --out /shared/faces --ray auto"),
    after="**Exit status**: 0 all is well; 1 an item failed, and its row says why; 2 it could not "
    "be done; 130 interrupted.",
)  # fmt: skip


def shard_of(text: str) -> tuple[int, int]:
    """`I/N` as two numbers, 0 <= I < N: `3/16` is (3, 16). Raises typer.BadParameter for anything
    else."""
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and int(first) < int(second):
        return int(first), int(second)
    raise typer.BadParameter("a shard and how many there are, from 0: 0/16 to 15/16")


def embed(
    manifest: Annotated[
        str,
        typer.Argument(
            metavar="MANIFEST",
            help="Parquet or CSV with `id` and `uri`, and `start_s` and `end_s` of videos.",
            show_default=False,
        ),
    ],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder for the Parquet files.")],
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="The I-th of N shards, from 0.", rich_help_panel=WORK)
    ] = "0/1",
    rows: Annotated[
        int,
        typer.Option(
            min=1, max=100_000, help="Items of a file: what a kill costs.", rich_help_panel=WORK
        ),
    ] = 64,
    processes: Annotated[
        int,
        typer.Option(
            min=0, max=256, help="0: one for each processor, two on a card.", rich_help_panel=WORK
        ),
    ] = 0,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=86_400, help="Seconds an item may take.", rich_help_panel=WORK),
    ] = 300,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on Ray: `auto`, `local`, or the address of a cluster.",
            rich_help_panel=WORK,
        ),
    ] = None,
    every: Annotated[
        float,
        typer.Option(min=0.01, max=3600, help="Seconds of a video for each frame."),
    ] = 1,
    min_score: MinScore = None,
    min_face_size: Annotated[
        float, typer.Option(min=0, help="Least shorter side, in pixels.", rich_help_panel=FILTERS)
    ] = 0,
    max_faces: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most so many of each image, the first in --order.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    order: OrderOption = FaceOrder.SCORE,
    detail: DetailOption = None,
    rotations: RotationsOption = RotationMode.NONE,
    no_attributes: NoAttributes = False,
    model: Model = None,
) -> None:
    """Embed the faces of a library of photos and videos, without a server.

    Every item of the manifest becomes a row, with its faces, or with the reason why it failed. What
    is done is kept: the same command goes on where it was interrupted, and refuses another model.
    """
    from face_service.config import load_settings
    from face_service.face_engine import Options

    with needs_extra("embed", "embed"):
        from face_service.offline.manifest import absolute
        from face_service.offline.run import Request, run
    settings = load_settings(insightface_model=model)
    options = Options(
        min_score=min_score,
        max_faces=max_faces,
        min_face_size=min_face_size,
        attributes=not no_attributes,
        detail=detail.value if detail else settings.detail,
        rotations=rotations.value,
        order=order.value,
    )
    request = Request(
        settings,
        options,
        absolute(manifest),
        absolute(out),
        rows,
        shard_of(shard),
        processes,
        timeout,
        every,
    )
    end_by_sigterm()
    if ray is None:
        raise typer.Exit(run(request, say))
    with needs_extra("ray", "embed,ray"):
        from face_service.offline import on_ray
    raise typer.Exit(on_ray.run(request, ray, say))
