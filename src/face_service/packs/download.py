"""One file over HTTP, resumed where it broke off."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import requests
from tqdm import tqdm

logger = logging.getLogger(__name__)

TIMEOUT = (10, 30)  # seconds to connect; seconds without a byte
TRIES = 4  # failures in a row that end it; one that brought new bytes is the first of a new row
PAUSE = 1.0  # seconds after a break; doubles with every try that brings nothing
CHUNK = 1 << 16  # bytes; what a break can lose at most
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


Credentials = tuple[str, str]
"""User and password, for HTTP's basic authentication."""


def download(url: str, part: Path, credentials: Credentials | None = None) -> None:
    """Complete the file `part` from `url`, which must hold no password: log and errors show it.

    The content of `part`, from this call or from a process that died, is kept if the server
    confirms that its file is still the same one: its ETag (or date) is remembered in
    `<part>.etag` and sent as If-Range. Otherwise the file starts again from zero.

    Raises requests.RequestException after TRIES failures in a row, and at once for one that another
    try does not mend, such as an HTTP status outside RETRIED_STATUSES; OSError when the disk fails.
    """
    failures, furthest = 0, _size(part)
    while True:
        try:
            _continue(url, part, credentials)
            break
        except requests.RequestException as error:
            failures = 1 if _size(part) > furthest else failures + 1
            furthest = max(furthest, _size(part))
            if failures == TRIES or not _may_pass(error):
                raise
            logger.warning("%s broke off at byte %d: %s", url, _size(part), error)
            time.sleep(PAUSE * 2 ** (failures - 1))
    _validator_file(part).unlink(missing_ok=True)


def _continue(url: str, part: Path, auth: Credentials | None) -> None:
    have, validator = _size(part), _validator_file(part)
    headers = {"Accept-Encoding": "identity"}
    if have and validator.exists() and (known := validator.read_text()):
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    with requests.get(url, headers=headers, auth=auth, stream=True, timeout=TIMEOUT) as response:
        resumed = response.status_code == 206
        start = f"bytes {have}-"
        if response.status_code == 416 or (
            resumed and not response.headers.get("Content-Range", "").startswith(start)
        ):
            # The range is not the one asked for: what is here cannot be continued.
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"no usable range from byte {have}")
        response.raise_for_status()
        length = response.headers.get("Content-Length")
        initial = have if resumed else 0
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(
                desc=url.rpartition("/")[2],
                initial=initial,
                total=initial + int(length) if length else None,
                unit="B",
                unit_scale=True,
                disable=None,  # shown only where stderr is a terminal
            ) as bar,
        ):
            if not resumed:  # after the old content is gone, before any of the new
                validator.write_text(_validator(response))
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def _validator(response: requests.Response) -> str:
    """What If-Range may hold (RFC 9110, 13.1.5): a strong ETag, or else the file's date."""
    etag = response.headers.get("ETag", "W/")
    return response.headers.get("Last-Modified", "") if etag.startswith("W/") else etag


def _may_pass(error: requests.RequestException) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in RETRIED_STATUSES
    return isinstance(
        error,
        requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError,
    )


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
