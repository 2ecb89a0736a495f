"""The state of the pack and of its folder. Nothing is downloaded here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from face_service.packs.pack import Pack

from .probing import Failed, ask, in_one_line

READING_S = 120.0
"""Time limit for hashing every file of a pack: 400 MB at most, from a slow disk."""


@dataclass(frozen=True, slots=True)
class PackState:
    """The pack of INSIGHTFACE_MODEL. fetched: it is one of the catalogue, so it can be downloaded.
    state: `absent` where it is one of the catalogue of which no file is here. files: role, name and
    SHA-256 of each; empty unless it is whole. trouble: what is wrong with it; empty where it is
    whole."""

    name: str
    folder: Path
    fetched: bool
    state: Literal["whole", "absent", "broken"]
    files: Sequence[Sequence[str]] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class CacheState:
    """The folder of MODEL_CACHE_DIR. trouble: why it cannot be written, None if it can. free:
    bytes."""

    folder: Path
    trouble: str | None
    free: int


def stored(model: str, cache_dir: Path) -> tuple[PackState | Failed, CacheState | Failed]:
    """`pack_state` and `cache_state`, found by a child process, because a folder may be on a file
    server that does not answer."""
    order = {"task": "storage", "model": model, "cache_dir": str(cache_dir)}
    answer = ask(order, READING_S)
    if isinstance(answer, Failed):
        return answer, answer
    pack, cache = (
        Failed(**found) if "why" in found else found | {"folder": Path(found["folder"])}
        for found in (answer["pack"], answer["cache"])
    )
    return (
        pack if isinstance(pack, Failed) else PackState(**pack),
        cache if isinstance(cache, Failed) else CacheState(**cache),
    )


def pack_state(model: str, cache_dir: Path) -> PackState:
    """Whether the pack of INSIGHTFACE_MODEL is complete and unchanged; hashes every file.

    Raises PackError for a name that is not in the catalogue.
    """
    from face_service.errors import PackError
    from face_service.packs import store
    from face_service.packs.catalog import find

    fetched = not store.is_folder(model)
    folder = Path(model).expanduser()
    if fetched:
        known = find(model)
        folder = store.locate(known, cache_dir)
        if store.missing(known, cache_dir) == known.files:
            names = " and ".join(file.name for file in known.files)
            return PackState(model, folder, fetched, "absent", (), f"{names} are not in {folder}")
    try:
        pack = verify_local_pack(model, cache_dir)
    except PackError as error:
        return PackState(model, folder, fetched, "broken", (), in_one_line(str(error)))
    files = tuple((role.value, item.path.name, item.sha256) for role, item in pack.models.items())
    return PackState(pack.name, folder, fetched, "whole", files)


def verify_local_pack(model: str, cache_dir: Path) -> Pack:
    """The pack on this machine, verified and never downloaded. Raises PackError where it is absent
    or broken."""
    from face_service.packs import store
    from face_service.packs.catalog import find
    from face_service.packs.local import load_folder

    if store.is_folder(model):
        return load_folder(Path(model).expanduser())
    return store.verify(find(model), cache_dir)


def cache_state(folder: Path) -> CacheState:
    """Whether packs and compiled programs can be written below `folder`, MODEL_CACHE_DIR."""
    from face_service.runtime.providers import COMPILED

    troubles = (write_trouble(place) for place in (folder, folder / COMPILED))
    trouble = next(filter(None, troubles), None)
    return CacheState(folder, trouble, shutil.disk_usage(existing_part(folder)).free)


def write_trouble(folder: Path) -> str | None:
    """The error of writing a file in a folder or, where it does not exist, in the nearest one above
    it that does; None where it works."""
    place = existing_part(folder)
    try:
        # Without a name where the system can do that: nothing is left, whatever happens.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")
    except OSError as error:
        return f"{place}: {error.strerror}"
    return None


def existing_part(folder: Path) -> Path:
    """The folder itself or, where it does not exist, the nearest one above it that does."""
    above = (folder, *folder.absolute().parents)
    return next(place for place in above if os.path.exists(place))  # noqa: PTH110 - never raises
