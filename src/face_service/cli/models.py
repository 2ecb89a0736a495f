"""`face-service models`: list, pull, verify, path, quantize, fingerprint, compare."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from face_service.cli.fingerprint import fingerprint
from face_service.cli.packs_compared import compare
from face_service.cli.quantize import quantize
from face_service.cli.shared import PackName
from face_service.errors import PackError

if TYPE_CHECKING:
    from face_service.packs.entries import CatalogPack

app = typer.Typer(
    help="Model packs: see what there is, fetch it, check it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(quantize)
app.command()(compare)
app.command()(fingerprint)

CacheDir = Annotated[
    Path | None,
    typer.Option(
        help="Where packs are kept, a folder for each [MODEL_CACHE_DIR].", show_default=False
    ),
]
Mirror = Annotated[
    str | None,
    typer.Option(
        help="Base URL of InsightFace's PACK.zip and AuraFace's glintr100.onnx, in place of their "
        "own addresses [MODEL_MIRROR].",
        show_default=False,
    ),
]


@app.command("list")
def list_packs(
    cache_dir: CacheDir = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash what is there: seconds, not milliseconds.")
    ] = False,
) -> None:
    """List every known pack: whether it is here, its files, its licence."""
    from face_service.packs.catalog import CATALOG

    directory = cache_folder(cache_dir)
    for pack in CATALOG.values():
        print(f"{pack.name:<12}{_state(pack, directory, verify):<12}{pack.summary}")
        for licence in dict.fromkeys(file.licence for file in pack.files):
            names = ", ".join(file.name for file in pack.files if file.licence == licence)
            print(f"{'':<12}{names}: {licence}")
        print(f"{'':<12}licence: {pack.licence}\n")


@app.command()
def pull(pack: PackName, cache_dir: CacheDir = None, mirror: Mirror = None) -> None:
    """Fetch a pack, or what is absent or damaged of it.

    A broken download goes on where it stopped. Every hash is checked, and the pack appears
    only when it is whole. Pulling what is already here and whole changes nothing.
    """
    from face_service.config import load_settings
    from face_service.errors import InvalidRequest
    from face_service.packs import store
    from face_service.packs.catalog import find

    if store.is_folder(pack):
        raise InvalidRequest(f"{pack} is a folder of yours: packs of the catalogue are fetched")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = load_settings(model_cache_dir=cache_dir, model_mirror=mirror)
    print(store.pull(find(pack), settings.model_cache_dir, settings.mirror).directory)


@app.command()
def verify(pack: PackName, cache_dir: CacheDir = None) -> None:
    """Hash every file of a pack and compare with what the catalogue says; of a folder of
    networks, such as ./my-models, with its manifest.json."""
    from face_service.packs import store
    from face_service.packs.catalog import find
    from face_service.packs.local import load_folder

    if store.is_folder(pack):
        found = load_folder(Path(pack).expanduser())
    else:
        found = store.verify(find(pack), cache_folder(cache_dir))
    for role, model in found.models.items():
        print(f"ok  {model.sha256}  {role:<14}{model.path}")
    print(f"licence: {found.licence}")


@app.command()
def path(pack: PackName, cache_dir: CacheDir = None) -> None:
    """Print the folder a pack is in or, while it is absent, the one it belongs in."""
    from face_service.packs import store
    from face_service.packs.catalog import find

    own = store.is_folder(pack)
    print(Path(pack).expanduser() if own else store.locate(find(pack), cache_folder(cache_dir)))


def cache_folder(given: Path | None) -> Path:
    """The folder that packs are kept in: `given`, or MODEL_CACHE_DIR for None."""
    from face_service.config import load_settings

    return load_settings(model_cache_dir=given).model_cache_dir


def _state(pack: CatalogPack, cache_dir: Path, verify: bool) -> str:
    from face_service.packs import store

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
