"""A tag of one person in a video, and of all in a video who have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .backend import Backend
from .clips import Scene, write_clip
from .conftest import Photos
from .tab import open_page, page

__all__ = ["page"]
KNOWN, OTHER = "Charlton_Heston", "Ana_Guevara"


@pytest.fixture(scope="module")
def backend(start_backend: Callable[..., Backend]) -> Backend:
    """One that suggests anybody who is in the least like somebody."""
    return start_backend(SUGGESTED_SIMILARITY="0")


@pytest.fixture(scope="module")
def creator(backend: Backend, photos: Photos) -> int:
    """The only one who is enrolled."""
    made = backend.enrol(KNOWN, [photos(KNOWN, 0), photos(KNOWN, 1)])
    backend.settled()
    return made


@pytest.fixture
def video(backend: Backend, creator: int, photos: Photos, tmp_path: Path) -> int:
    """Two who have the same tag, one behind the other: of one it is true."""
    clip = write_clip(tmp_path, [Scene(2, (photos(KNOWN, 2),)), Scene(3, (photos(OTHER, 0),))])
    video = backend.upload(clip)
    backend.analysed(video)
    assert states(backend, video) == ["suggested", "automatic"]
    return video


def appearances(backend: Backend, video: int) -> list[dict[str, int]]:
    """Who is seen longest comes first: the other one."""
    found: list[dict[str, int]] = backend.get(f"/api/videos/{video}")["people"]
    return found


def states(backend: Backend, video: int) -> list[str]:
    return [tag["state"] for one in appearances(backend, video) for tag in one["tags"]]


def test_one_of_two_is_rejected(backend: Backend, video: int, creator: int) -> None:
    other, known = (one["appearance_id"] for one in appearances(backend, video))
    backend.put(f"/api/appearances/{other}/tags/{creator}", {"state": "rejected"})
    backend.settled()
    assert states(backend, video) == ["rejected", "automatic"]
    backend.query("INSERT INTO jobs (kind, subject) VALUES ('decide', 0)")
    backend.settled()
    assert states(backend, video) == ["rejected", "automatic"]
    backend.put(f"/api/appearances/{known}/tags/{creator}", {"state": "confirmed"})
    backend.settled()
    assert states(backend, video) == ["rejected", "confirmed"]
    for path in (f"appearances/{other + 1000}/tags/{creator}", f"appearances/{other}/tags/1000"):
        answer = backend.http.put(f"/api/{path}", json={"state": "rejected"})
        assert (answer.status_code, answer.json()["detail"]) == (404, "No such tag")


def test_all_of_a_video_are_rejected(backend: Backend, video: int, creator: int) -> None:
    backend.put(f"/api/videos/{video}/tags/{creator}", {"state": "rejected"})
    backend.settled()
    assert states(backend, video) == ["rejected", "rejected"]


def test_in_the_page_one_of_two_is_rejected(page: Page, backend: Backend, video: int) -> None:
    open_page(page, "Videos")
    page.locator(f"a[href='#/videos/{video}']").click()
    expect(page.get_by_text("perhaps", exact=True)).to_have_count(1)
    page.get_by_role("button", name=f"Reject {KNOWN}").first.click()
    expect(page.get_by_text("not", exact=True)).to_have_count(1)
    expect(page.get_by_text("recognised", exact=True)).to_have_count(1)
    assert states(backend, video) == ["rejected", "automatic"]
