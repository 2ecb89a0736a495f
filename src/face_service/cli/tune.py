"""`face-service tune`: the settings that serve most on this machine."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from face_service.cli.shared import Clients, Json, Model, check_writable, writing

if TYPE_CHECKING:
    from face_service.tools.tune.search import Trial, Variables


def tune(
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Images to send; frames of a video are made if there are none."),
    ] = None,
    clients: Clients = 4,
    latency: Annotated[
        float | None, typer.Option(min=1, help="Most milliseconds of p95 with all clients.")
    ] = None,
    memory: Annotated[float | None, typer.Option(min=1, help="Most megabytes of memory.")] = None,
    accuracy: Annotated[
        Literal["same", "close", "other"],
        typer.Option(
            help="What answers may become: the same; close to it, where the detector gate may miss "
            "a faint face; other, in another precision and on a smaller canvas."
        ),
    ] = "close",
    budget: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds after which nothing new is tried.")
    ] = 120,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds of load of each measurement.")
    ] = 3,
    write: Annotated[
        Path | None, typer.Option(help="File to write what is best into, such as .env.")
    ] = None,
    model: Model = None,
    json: Json = False,
) -> None:
    """Measure settings on this machine with this pack, and say which serve most.

    A server is started for each, with this environment's other settings: number of workers and
    threads, the detector gate, and providers, precisions and canvases where they are to be had and
    allowed. A change must bring 4 % twice.
    """
    from face_service.config import load_settings
    from face_service.runtime.threads import cpu_threads
    from face_service.tools.photos import photo_bytes
    from face_service.tools.tune.knobs import knobs_for
    from face_service.tools.tune.measuring import Bench, int8_of, video_frames
    from face_service.tools.tune.report import as_dict, as_text, name_of, write_settings
    from face_service.tools.tune.search import Bounds, search

    settings = load_settings(insightface_model=model)
    if write:  # before the minutes that the rest takes
        check_writable(write)
    data = [photo_bytes(path) for path in images or ()] or video_frames()
    bounds = Bounds(latency, memory)
    bench = Bench(data, clients, seconds, {"INSIGHTFACE_MODEL": model} if model else {})

    def knobs() -> Iterator[list[Variables]]:
        runtime = bench.health.get("runtime") or {}
        yield from knobs_for(
            cpu_threads(settings.intra_op_threads),
            runtime.get("offered") or (),
            runtime.get("taken") or (),
            int8_of(settings.insightface_model),
            accuracy,
        )

    def show(trial: Trial) -> None:
        said = trial.failure or f"{trial.figures[-1].throughput:.2f} requests/s"
        typer.echo(f"{name_of(trial.variables)}: {said}", err=True)

    trials, best = search(bench, knobs(), bounds, budget, show)
    report = as_dict(trials, best, bounds)
    typer.echo(json_format.dumps(report) if json else "\n" + as_text(trials, best, bounds))
    if write and report["best"]:
        with writing(write):
            write_settings(write, report["best"])
        typer.echo(f"Written into {write}: {name_of(report['best'])}", err=True)
    raise typer.Exit(0 if report["best"] is not None else 1)
