"""`face-service models`: list, pull, verify, path."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from face_service.errors import PackError
from face_service.packs import store
from face_service.packs.catalog import CATALOG, CatalogPack, find

app = typer.Typer(
    help="Model packs: see what there is, fetch it, check it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

PackName = Annotated[
    str, typer.Argument(metavar="PACK", help="A name that `models list` shows.", show_default=False)
]
CacheDir = Annotated[
    Path, typer.Option(envvar="MODEL_CACHE_DIR", help="Where packs are kept, a folder for each.")
]
Mirror = Annotated[
    str | None,
    typer.Option(
        envvar="MODEL_MIRROR",
        help="Base URL to fetch the InsightFace zips from instead of their release page.",
    ),
]
DEFAULT_CACHE_DIR = Path("./models")


@app.command("list")
def list_packs(
    cache_dir: CacheDir = DEFAULT_CACHE_DIR,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash what is there: seconds, not milliseconds.")
    ] = False,
) -> None:
    """List every known pack: whether it is here, its files, its licence."""
    for pack in CATALOG.values():
        print(f"{pack.name:<12}{_state(pack, cache_dir, verify):<12}{pack.summary}")
        print(f"{'':<12}{', '.join(file.name for file in pack.files)}")
        print(f"{'':<12}licence: {pack.licence}\n")


@app.command()
def pull(pack: PackName, cache_dir: CacheDir = DEFAULT_CACHE_DIR, mirror: Mirror = None) -> None:
    """Fetch a pack, or what is absent or damaged of it.

    A broken download goes on where it stopped. Every hash is checked, and the pack appears
    only when it is whole. Pulling what is already here and whole changes nothing.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(store.pull(find(pack), cache_dir, mirror).directory)


@app.command()
def verify(pack: PackName, cache_dir: CacheDir = DEFAULT_CACHE_DIR) -> None:
    """Hash every file of a pack and compare with what the catalogue says."""
    for role, model in store.verify(find(pack), cache_dir).models.items():
        print(f"ok  {model.sha256}  {role:<12}{model.path}")


@app.command()
def path(pack: PackName, cache_dir: CacheDir = DEFAULT_CACHE_DIR) -> None:
    """Print the folder a pack is in or, while it is absent, the one it belongs in."""
    print(store.locate(find(pack), cache_dir))


def _state(pack: CatalogPack, cache_dir: Path, verify: bool) -> str:
    missing = store.missing(pack, cache_dir)
    if missing:
        return "absent" if missing == pack.files else "incomplete"
    if not verify:
        return "present"
    try:
        store.verify(pack, cache_dir)
    except PackError:
        return "corrupt"
    return "verified"
