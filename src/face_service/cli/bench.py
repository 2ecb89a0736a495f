"""`face-service bench`: how fast a server is on this machine."""

from __future__ import annotations

import json as json_format
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import Clients, Json, Model

FRAMES = 4
"""How many are made where no images are given."""


def bench(
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Images to send; frames are made if there are none."),
    ] = None,
    faces: Annotated[int, typer.Option(min=0, help="Photos in each frame that is made.")] = 0,
    photos: Annotated[
        Path | None, typer.Option(help="Folder with photos of people, for --faces.")
    ] = None,
    clients: Clients = 4,
    requests: Annotated[int, typer.Option(min=1, max=100_000, help="Requests at most.")] = 100,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds at most that requests are sent.")
    ] = 60,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=10_000,
            help="Requests a second that arrive, whether the server keeps up or not; latency "
            "then counts from when each was due.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="A server that runs on this machine; one is started otherwise."),
    ] = None,
    bare: Annotated[
        float,
        typer.Option(min=0, max=600, help="Seconds for the bare limit; 0 leaves it out."),
    ] = 10,
    model: Model = None,
    json: Json = False,
) -> None:
    """Put load on a real server over loopback, and say what it and its networks can do.

    The server is started with this environment's settings, on a free port. The bare limit is
    what the very same runs of the networks reach in a process that does nothing else.
    """
    from face_service.config import load_settings
    from face_service.tools.bench.bare import bare_process
    from face_service.tools.bench.frames import generate
    from face_service.tools.bench.load import Plan
    from face_service.tools.bench.measure import measure
    from face_service.tools.bench.report import as_dict, as_text
    from face_service.tools.bench.server import loopback, running
    from face_service.tools.photos import photo_bytes

    target = loopback(url) if url else None
    load_settings(insightface_model=model)  # says what is wrong before anything is started
    data = [photo_bytes(path) for path in images or ()] or generate(faces, photos, FRAMES)
    variables = {"INSIGHTFACE_MODEL": model} if model else {}
    # With a rate the number of clients only bounds how many requests are under way.
    plan = Plan(clients, requests, seconds, rate)
    with ExitStack() as stack:
        # A running server's settings are not known here, and with them its bare limit.
        limit = None
        if bare and not target:
            limit = stack.enter_context(bare_process(variables, data))
        server = target or stack.enter_context(running(variables))
        measured = measure(server, plan, data, limit, bare / 2)
    report = as_dict(measured)
    typer.echo(json_format.dumps(report) if json else as_text(report))
    raise typer.Exit(0 if report["answered"] == report["sent"] else 1)
