"""`face-service models fingerprint`: whether two installations share one embedding space."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import Json, Model


def fingerprint(
    against: Annotated[
        Path | None,
        typer.Option(
            help="What this command printed with --json elsewhere, or GET /models there.",
            show_default=False,
        ),
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Print what this installation makes of bundled photos, stage by stage.

    With --against, compare it with another one: status 0 where their embeddings may be compared, 1
    where not. GET /models names the line `embed` as `fingerprint`.
    """
    from face_service.config import load_settings
    from face_service.engine_factory import load_engine, runtime_config
    from face_service.tools.fingerprint import differences, measure, one_space, read

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    other = read(against) if against else None
    settings = load_settings(insightface_model=model)
    engine = load_engine(settings, runtime_config(settings))
    found = measure(engine)
    if other is None:
        if as_json:
            print(found.model_dump_json(indent=2))
            return
        print(f"pack        {found.pack} ({found.precision}), {found.processor}")
        print(f"recogniser  {found.recogniser}")
        print(f"decode      {found.decode}")
        print(f"detect      {', '.join(str(len(faces)) for faces in found.detect or ())} faces")
        print(f"verify      {', '.join(map(str, found.verify or ())) or 'none'}")
        print(f"align       {found.align}")
        print(f"embed       {found.embed}")
        estimates = [f"{age} {gender}" for age, gender in found.attributes or () if gender]
        print(f"attributes  {', '.join(estimates) or 'none'}")
        return
    compared = differences(found, other)
    for each in compared:
        print(f"{each.stage:<12}{'same' if each.same else 'differs':<9}{each.detail}")
    same = one_space(compared)
    print("one space" if same else "not one space: never compare embeddings of the two")
    raise typer.Exit(0 if same else 1)
