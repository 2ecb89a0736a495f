"""What `.env` and the environment hold beside the settings: a file that is no text, and names that
are nearly those of settings."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from dotenv import dotenv_values

from face_service.address import ENV_FILE
from face_service.errors import StartupError

ALIKE = 0.81
"""Least ratio of difflib for two names to be taken for one: two letters may be swapped among eight
(DET_SZIE), one missing among five (API_KEY); LINES, which shells set, is not LANES."""


def names_in_env_file() -> list[str]:
    """The names that `.env` sets; none where there is no such file.

    Raises StartupError with a sentence that names the file where it cannot be read.
    """
    path = Path(ENV_FILE).absolute()
    try:
        return list(dotenv_values(path, encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise StartupError(
            f"{path} is not UTF-8 ({error.reason}): save it as UTF-8; in PowerShell, "
            "Out-File -Encoding utf8 in place of >"
        ) from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror}") from error


def misspelt(settings: Collection[str]) -> list[str]:
    """A sentence for each name in `.env` or in the environment that is nearly a setting's."""
    return sorted({*_sentences(names_in_env_file(), settings, ".env"),
                   *_sentences(os.environ, settings, "the environment")})  # fmt: skip


def _sentences(names: Iterable[str], settings: Collection[str], where: str) -> Iterable[str]:
    known = [name.upper() for name in settings]
    for name in names:
        if name.upper() not in known and (
            found := difflib.get_close_matches(name.upper(), known, 1, ALIKE)
        ):
            yield f"{name} in {where} is not a setting and has no effect; {found[0]} is"
