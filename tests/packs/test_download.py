"""Resumed downloads, against a real server that misbehaves on purpose."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import requests

from face_service.packs.download import TRIES, download

BODY = random.Random(1).randbytes(600_000)
OTHER = random.Random(2).randbytes(600_000)
HALF = 300_000


@pytest.fixture
def url(server: Any) -> str:
    server.files["/a.zip"] = BODY
    return f"{server.url}/a.zip"


def assert_only(part: Path) -> None:
    assert list(part.parent.iterdir()) == [part]


def test_whole_download(server: Any, url: str, tmp_path: Path, capfd: Any) -> None:
    part = tmp_path / "a.part"
    download(url, part)
    assert part.read_bytes() == BODY
    assert [request.range for request in server.requests] == [None]
    assert_only(part)
    assert capfd.readouterr().err == "", "a progress bar where there is no terminal"


def test_broken_download_goes_on_where_it_stopped(server: Any, url: str, tmp_path: Path) -> None:
    server.breaks = [HALF]
    part = tmp_path / "a.part"
    download(url, part)
    assert part.read_bytes() == BODY
    _, second = server.requests
    start = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert HALF - (1 << 16) <= start <= HALF
    assert (second.status, second.sent) == (206, len(BODY) - start)
    assert_only(part)


def test_part_of_a_dead_process_is_continued(server: Any, url: str, tmp_path: Path) -> None:
    part = tmp_path / "a.part"
    server.breaks = [HALF]
    server.statuses = [200, *[503] * (TRIES - 1)]
    with pytest.raises(requests.HTTPError):
        download(url, part)
    kept = part.stat().st_size
    assert kept > 0
    server.requests.clear()
    download(url, part)
    assert part.read_bytes() == BODY
    assert [request.sent for request in server.requests] == [len(BODY) - kept]


def test_many_breaks_are_survived_while_bytes_come(server: Any, url: str, tmp_path: Path) -> None:
    server.breaks = [70_000] * 8
    download(url, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == BODY


def test_server_that_ignores_range_starts_again(server: Any, url: str, tmp_path: Path) -> None:
    server.breaks, server.ignores_range = [HALF], True
    download(url, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == BODY
    assert [request.status for request in server.requests] == [200, 200]


def test_changed_file_is_not_spliced(server: Any, url: str, tmp_path: Path) -> None:
    part = tmp_path / "a.part"
    server.breaks, server.statuses = [HALF], [200, *[503] * (TRIES - 1)]
    with pytest.raises(requests.HTTPError):
        download(url, part)
    server.files["/a.zip"] = OTHER
    download(url, part)
    assert part.read_bytes() == OTHER
    assert server.requests[-1].if_range is not None
    assert server.requests[-1].status == 200


def test_without_a_validator_nothing_is_continued(server: Any, url: str, tmp_path: Path) -> None:
    server.breaks, server.has_etag = [HALF], False
    download(url, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == BODY
    assert [request.range for request in server.requests] == [None, None]


def test_wrong_range_is_not_appended(server: Any, url: str, tmp_path: Path) -> None:
    server.breaks, server.shifts_range = [HALF], True
    download(url, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == BODY
    assert [request.status for request in server.requests] == [200, 206, 200]


def test_part_longer_than_the_file_starts_again(server: Any, url: str, tmp_path: Path) -> None:
    part = tmp_path / "a.part"
    server.breaks, server.statuses = [HALF], [200, *[503] * (TRIES - 1)]
    with pytest.raises(requests.HTTPError):
        download(url, part)
    part.write_bytes(b"x" * (len(BODY) + 1))
    download(url, part)
    assert part.read_bytes() == BODY


def test_missing_file_is_not_asked_for_twice(server: Any, tmp_path: Path) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        download(f"{server.url}/no.zip", tmp_path / "a.part")
    assert len(server.requests) == 1


def test_overloaded_server_is_asked_again(server: Any, url: str, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    download(url, tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == BODY


def test_server_that_never_answers_is_given_up(server: Any, url: str, tmp_path: Path) -> None:
    server.statuses = [503] * 100
    with pytest.raises(requests.HTTPError, match="503"):
        download(url, tmp_path / "a.part")
    assert len(server.requests) == TRIES


def test_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(requests.RequestException):
        download("not an address", tmp_path / "a.part")
