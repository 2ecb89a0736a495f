"""Packs on disk: find, verify, fetch, publish.

<cache_dir>/NAME/…               a published pack: appears whole, by one rename
<cache_dir>/models/NAME/…        also looked at: where insightface's root="./models" puts it
<cache_dir>/.pull/NAME.lock      held by the one process that is fetching NAME
<cache_dir>/.pull/NAME/…         its downloads and staging folder; gone once it has published
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from face_service.errors import PackError
from face_service.packs.archive import extract
from face_service.packs.catalog import find
from face_service.packs.entries import CatalogFile, CatalogPack, HttpsFile, Source
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack, PackModel, by_role, checked_sha256, sha256_of
from face_service.runtime.files import sync_folder

logger = logging.getLogger(__name__)

NO_PLACE = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS)
"""`errno` values of a folder that is full, or may not be written to."""


def resolve(model: str, cache_dir: Path, mirror: str | None = None) -> Pack:
    """The pack of INSIGHTFACE_MODEL: a path to a folder, or a name of the catalogue.

    A named pack that is on disk is verified, one that is absent is fetched. Raises PackError; there
    is no fallback to another pack, because embeddings of two packs must not mix.
    """
    if is_folder(model):
        return load_folder(Path(model).expanduser())
    return ensure(find(model), cache_dir, mirror)


def is_folder(model: str) -> bool:
    """Whether INSIGHTFACE_MODEL is a path to a folder, not a name of the catalogue."""
    return model.startswith("~") or model in (".", "..") or "/" in model or os.sep in model


def ensure(pack: CatalogPack, cache_dir: Path, mirror: str | None = None) -> Pack:
    """`verify` if any file of the pack is on disk, `pull` if none is."""
    if missing(pack, cache_dir) == pack.files:
        return pull(pack, cache_dir, mirror)
    return verify(pack, cache_dir)


def locate(pack: CatalogPack, cache_dir: Path) -> Path:
    """The folder that has files of the pack or, where none has, the one to put them in. Raises
    PackError for one that may not be looked into."""
    own = cache_dir / pack.name
    for directory in (own, cache_dir / "models" / pack.name):
        if any(_is_file(directory / file.name) for file in pack.files):
            return directory
    return own


def missing(pack: CatalogPack, cache_dir: Path) -> tuple[CatalogFile, ...]:
    """The files that are not on disk. Cheap: nothing is hashed. Raises PackError as `locate`."""
    directory = locate(pack, cache_dir)
    return tuple(file for file in pack.files if not _is_file(directory / file.name))


def verify(pack: CatalogPack, cache_dir: Path) -> Pack:
    """Hash every file of the pack. Raises PackError, which names those that are absent, wrong or
    not to be read."""
    directory = locate(pack, cache_dir)
    if faults := _faults(pack, directory):
        raise PackError(
            f"Model pack '{pack.name}' in {directory} is not whole:\n"
            + "\n".join(f"  {fault}" for fault in faults.values())
            + f"\nRepair it with: face-service models pull {pack.name}"
        )
    logger.info("Pack %s verified: %d files in %s", pack.name, len(pack.files), directory)
    return Pack(
        name=pack.name,
        directory=directory,
        models=by_role(
            PackModel(
                file.role, directory / file.name, file.sha256, file.normalization, file.licence
            )
            for file in pack.files
        ),
        dimension=pack.dimension,
        threshold=pack.threshold,
        operating_points=pack.operating_points,
        licence=pack.licence,
    )


def pull(pack: CatalogPack, cache_dir: Path, mirror: str | None = None) -> Pack:
    """Fetch files that are absent, wrong or not to be read, publish them, verify the pack. A
    complete pack is left as it is.

    Any number of processes may pull at once: one fetches, the others wait for it. A process that is
    killed leaves no partial pack, and its HTTPS download is resumed by the next one. mirror: see
    `sources.fetch`. Raises PackError, which says what was tried and what else can be done.
    """
    work = cache_dir / ".pull" / pack.name
    try:
        if not work.exists() and not _faults(pack, locate(pack, cache_dir)):
            return verify(pack, cache_dir)
        work.mkdir(parents=True, exist_ok=True)
        with _locked(work.with_name(f"{pack.name}.lock"), pack.name):
            directory = locate(pack, cache_dir)
            wanted = tuple(_faults(pack, directory))
            if wanted:
                work.mkdir(exist_ok=True)  # the process waited for has removed it
                _publish(_stage(pack, wanted, work, directory, mirror), directory)
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise _not_to_be_had(pack, locate(pack, cache_dir), [f"{error}"], error.errno) from error
    return verify(pack, cache_dir)


def _faults(pack: CatalogPack, directory: Path) -> dict[CatalogFile, str]:
    faults = {}
    for file in pack.files:
        path = directory / file.name
        try:
            found = sha256_of(path) if _is_file(path) else None
        except OSError as error:
            faults[file] = f"{file.name} cannot be read: {error.strerror}"
        else:
            if found is None:
                faults[file] = f"{file.name} is missing; its SHA-256 would be {file.sha256}"
            elif found != file.sha256:
                faults[file] = f"{file.name} has SHA-256 {found}, {file.sha256} was expected"
    return faults


def _is_file(path: Path) -> bool:
    # Path.is_file is False from Python 3.14 on where the folder may not be searched.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Pack %s is being fetched by another process; waiting for it", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _stage(
    pack: CatalogPack,
    wanted: Sequence[CatalogFile],
    work: Path,
    directory: Path,
    mirror: str | None,
) -> Path:
    """Fetch, unpack and check the wanted files in a fresh folder; return that folder."""
    # Imported here: its HTTP client takes a tenth of a start, and most starts fetch nothing.
    from face_service.packs.sources import describe, fetch

    staging = work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    by_source: dict[Source, list[CatalogFile]] = defaultdict(list)
    for file in wanted:
        by_source[file.source].append(file)
    tried = []
    for source, files in by_source.items():
        tried.append(f"{describe(source, mirror)}: fetched")
        try:
            archive = fetch(source, work, mirror)
            if isinstance(source, HttpsFile):
                archive.replace(staging / files[0].name)
            else:
                extract(archive, {file.member: staging / file.name for file in files})
            for file in files:
                called = f"{file.member or file.name} in {archive.name}"
                checked_sha256(staging / file.name, file.sha256, called)
        except (PackError, OSError) as error:
            tried[-1] = f"{describe(source, mirror)}: {error}"
            raise _not_to_be_had(pack, directory, tried, getattr(error, "errno", None)) from error
    sync_folder(staging)
    return staging


def _publish(staging: Path, directory: Path) -> None:
    """Make the staged files appear in `directory`, each of them whole."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        staging.rename(directory)  # new, or an empty folder: all at once
    except OSError:
        if not directory.is_dir():
            raise
        # A repair. The folder may hold more than ours: replace what is wrong, file by file.
        for path in staging.iterdir():
            path.replace(directory / path.name)
        sync_folder(directory)
    sync_folder(directory.parent)


def _not_to_be_had(
    pack: CatalogPack, directory: Path, tried: Sequence[str], reason: int | None
) -> PackError:
    """The error that says what was tried and what can be done. reason: the `errno`, if known."""
    names = ", ".join(map(_called, pack.files))
    ways_out = []
    if reason in NO_PLACE:
        ways_out.append("set MODEL_CACHE_DIR to a folder that may be written to and has room")
    ways_out += [f"place {names} by hand in {directory.absolute()}"]
    if pack.name not in ("starter", "open"):
        ways_out.append(
            "set INSIGHTFACE_MODEL=open: small networks from PyPI and npm, for a trial "
            f"(its embeddings do not compare with those of {pack.name})"
        )
    return PackError(
        "\n".join(
            (
                f"Failed to download model pack '{pack.name}'. Tried:",
                *(f"  {line}" for line in tried),
                "Ways out:",
                *(f"  {number}. {way}" for number, way in enumerate(ways_out, 1)),
            )
        )
    )


def _called(file: CatalogFile) -> str:
    """The name of a file in its pack, and the one under which a hub has it, if that is another."""
    there = file.source.url.rpartition("/")[2] if isinstance(file.source, HttpsFile) else file.name
    return file.name if there == file.name else f"{file.name} (there {there})"
