"""`face-service plan`: how many replicas a load needs."""

from __future__ import annotations

import json as json_format
import re
from typing import Annotated

import typer

from face_service.cli.shared import Json, examples

EPILOG = examples(
    ("Two hundred frames a second, six faces in ten of them:", "plan --rps 200 --faces 0.6"),
    (
        "By what `bench` measured on a card, and what it costs:",
        "plan --rps 200 --image-ms 6 --face-ms 1 --engines 1 --decode-ms 8 --price 1.2",
    ),
)
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)?")


def seconds(text: str) -> float:
    """A time in seconds, above 0, from `400ms` or `0.4s`; a bare number is milliseconds. Raises
    typer.BadParameter for anything else."""
    match = DURATION.fullmatch(text.strip())
    if not match or not float(match[1]):
        raise typer.BadParameter("a time, such as 400ms or 0.4s")
    return float(match[1]) / (1 if match[2] == "s" else 1e3)


def plan(
    rps: Annotated[float, typer.Option(min=0.01, max=1e6, help="Requests a second.")],
    faces: Annotated[float, typer.Option(min=0, max=50, help="Faces of an image, on average.")] = 1,
    p99: Annotated[
        str,
        typer.Option(metavar="TIME", help="Latency that 99 of 100 requests keep: 400ms, 0.4s."),
    ] = "1s",
    image_ms: Annotated[
        float, typer.Option(min=0.01, max=1e5, help="An engine's time for an image without a face.")
    ] = 98,
    face_ms: Annotated[
        float, typer.Option(min=0, max=1e5, help="An engine's time for each face.")
    ] = 77,
    engines: Annotated[
        int, typer.Option(min=1, max=64, help="Engines of a replica [WORKERS].")
    ] = 2,
    decode_ms: Annotated[
        float,
        typer.Option(
            min=0, max=1e5, help="Time to decode an image, unless --image-ms includes it."
        ),
    ] = 0,
    price: Annotated[float, typer.Option(min=0, help="Of a replica an hour.")] = 0,
    json: Json = False,
) -> None:
    """Say how many replicas keep a latency, by how the balancer chooses: by simulation.

    The times of an engine come from `face-service bench`: the engines of a replica, divided by its
    requests a second, without a face and with one. The defaults are buffalo_l's on two cores
    with AVX-512 VNNI.
    """
    from face_service.tools.planning.plan import Load, as_dict, as_text, rows

    wanted = Load(
        rate=rps,
        faces=faces,
        p99=seconds(p99),
        image=image_ms / 1e3,
        face=face_ms / 1e3,
        engines=engines,
        decode=decode_ms / 1e3,
        price=price,
    )
    found = list(rows(wanted))
    print(json_format.dumps(as_dict(wanted, found)) if json else as_text(wanted, found))
