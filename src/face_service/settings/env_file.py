"""Errors in `.env` and the environment: a file that cannot be read, and misspelt names."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from face_service.errors import StartupError
from face_service.settings.address import ENV_FILE

ALIKE = 0.81
"""Least ratio of difflib.SequenceMatcher for a name to count as a misspelt setting: it allows two
swapped letters of eight (DET_SZIE) and a missing one of eight (API_KEY), and keeps POST, which is
not PORT, apart."""


def values_in_env_file() -> dict[str, str | None]:
    """Names and values in `.env`, None for a name without `=`; empty where there is no such file.

    Raises StartupError with a sentence that names the file if it cannot be read, or has a line that
    cannot be parsed. Skipping that line could lose API_KEYS and leave the service open to anybody.
    """
    path = Path(ENV_FILE).absolute()
    try:
        text = _text_of(path)
    except UnicodeDecodeError as error:
        raise StartupError(
            f"{path} is not UTF-8 ({error.reason}): save it as UTF-8; in PowerShell, "
            "Out-File -Encoding utf8 in place of >"
        ) from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror}") from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            # The line itself may hold a secret.
            raise StartupError(
                f"{path} cannot be understood from line {binding.original.line} on: a line is "
                "NAME=value, with quotes that are closed, or begins with #"
            )
    return dict(dotenv_values(stream=io.StringIO(text)))


def _text_of(path: Path) -> str:
    """The text of the file, "" where there is none. Raises UnicodeDecodeError, OSError."""
    if not os.path.lexists(path):
        return ""
    # Not taken for a missing file, but an error: a link that leads nowhere, and a folder, which
    # Docker makes where the file to be mounted is missing.
    return path.read_text(encoding="utf-8")


def misspelt(settings: Collection[str]) -> list[str]:
    """A sentence for each name in `.env` or the environment that is nearly one of `settings`."""
    return sorted({*_sentences(values_in_env_file(), settings, ".env"),
                   *_sentences(os.environ, settings, "the environment")})  # fmt: skip


def _sentences(names: Iterable[str], settings: Collection[str], where: str) -> Iterable[str]:
    known = [name.upper() for name in settings]
    for name in names:
        if name.upper() not in known and (
            found := difflib.get_close_matches(name.upper(), known, 1, ALIKE)
        ):
            yield f"{name} in {where} is not a setting and has no effect; {found[0]} is"
