"""What the demo says when there is no answer, and how it goes on by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Browser, expect

from tests.server import Server
from tests.wire import metric, settled

from .tab import IN_BOTH, opened

KEY = "the-key-of-the-demo"
TEXT = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Not a picture at all"}


@pytest.fixture(scope="module")
def small(start_server: Callable[..., Server]) -> Iterator[Server]:
    """A server that takes little, and wants a key."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    server = start_server(API_KEYS=digest, MAX_BODY_MB="0.1", DRAIN_GRACE_S="0")
    server.wait_until_ready()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def starting(start_server: Callable[..., Server]) -> Iterator[Server]:
    """A server whose warming up takes seconds, and that takes one request at a time."""
    server = start_server("tests.faulty", MAX_QUEUE="1", DRAIN_GRACE_S="0")
    set_fault(server, "slow")
    settled(lambda: "Uvicorn running" in server.log())
    yield server
    server.stop()


@pytest.fixture
def faulty(starting: Server) -> Server:
    """The same, ready."""
    set_fault(starting, None)
    starting.wait_until_ready()
    return starting


def set_fault(server: Server, fault: str | None) -> None:
    path = server.folder / "fault"
    if fault:
        path.write_text(fault)
    else:
        path.unlink(missing_ok=True)


def test_what_is_no_picture_is_said_and_the_next_one_is_taken(
    chromium: Browser, server: Server, middle: Path
) -> None:
    with opened(chromium, server.url, refused=True) as tab:
        tab.open()
        tab.choose(TEXT)
        tab.answers("This is not a picture that can be read.")
        expect(tab.page.locator("#lead")).to_contain_text("Supported: JPEG, PNG")
        tab.choose(middle)
        tab.answers("13 faces.")
        tab.choose(TEXT)
        tab.answers("This is not a picture that can be read.")
        expect(tab.page.locator("#lead")).to_contain_text("The second picture: Invalid")
        tab.choose(middle, button="Replace the second picture")
        tab.answers(IN_BOTH)


def test_a_key_is_asked_for_and_kept_in_memory_alone(
    chromium: Browser, small: Server, tmp_path: Path, middle: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    picture = cv2.resize(cv2.imread(str(middle)), None, fx=0.6, fy=0.6)
    cv2.imwrite(str(photo), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert photo.stat().st_size < 100_000
    with opened(chromium, small.url, refused=True) as tab:
        tab.open()
        field, problem = tab.page.get_by_label("API key"), tab.page.locator("#key-problem")
        expect(field).to_be_visible()
        tab.choose(photo)
        tab.answers("An API key is needed.")
        expect(field).to_be_focused()
        field.fill("another key")
        field.press("Enter")
        expect(problem).to_contain_text("without spaces")
        field.fill("another")
        field.press("Enter")
        expect(problem).to_contain_text("does not know this key")
        field.fill(KEY)
        field.press("Enter")
        tab.answers("13 faces.")
        expect(field).to_be_hidden()
        expect(tab.page.locator("#pack")).to_contain_text("face_detection_yunet_2023mar.onnx")
        expect(tab.page.locator(".command")).to_contain_text('"Authorization: Bearer $API_KEY"')
        assert KEY not in tab.page.content()
        assert tab.page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert tab.context.cookies() == []
        tab.page.reload()
        expect(field).to_be_visible()
        assert field.input_value() == ""


def test_a_picture_that_is_too_large_is_said(
    chromium: Browser, small: Server, middle: Path
) -> None:
    with opened(chromium, small.url, refused=True) as tab:
        tab.open()
        tab.page.get_by_label("API key").fill(KEY)
        tab.page.get_by_role("button", name="Use this key").click()
        tab.ready()
        tab.choose(middle)
        tab.answers("This picture is too large.")
        expect(tab.page.locator("#lead")).to_contain_text("limit of 100,000 bytes")


def test_a_service_that_is_away_is_said_and_asked_again_once_it_is_back(
    chromium: Browser, server: Server, middle: Path
) -> None:
    with opened(chromium, server.url, refused=True) as tab:
        tab.open()
        tab.ready()
        tab.context.set_offline(True)
        tab.choose(middle)
        tab.answers("The service cannot be reached.")
        expect(tab.page.locator("#state")).to_have_text("Not reachable")
        tab.context.set_offline(False)
        tab.answers("13 faces.")
        tab.ready()


def test_a_service_that_starts_is_waited_for(
    chromium: Browser, starting: Server, middle: Path
) -> None:
    with opened(chromium, starting.url, refused=True) as tab:
        tab.open()
        expect(tab.page.locator("#state")).to_have_text("Loading the models")
        tab.choose(middle)
        tab.answers("The service is not ready yet.")
        expect(tab.page.locator("#lead")).to_contain_text("tried again by itself")
        set_fault(starting, None)
        tab.answers("13 faces.")
        tab.ready()


def test_a_busy_service_is_asked_again_after_the_pause_it_wants(
    chromium: Browser, faulty: Server, middle: Path
) -> None:
    with opened(chromium, faulty.url, refused=True) as tab:
        tab.open()
        tab.ready()
        set_fault(faulty, "slow")
        with opened(chromium, faulty.url) as other:
            other.open()
            other.choose(middle)
            settled(lambda: metric(faulty, "face_service_requests_inside") == 1)
            tab.choose(middle)
            tab.answers("The service is busy.")
            set_fault(faulty, None)
            other.answers("13 faces.")
        tab.answers("13 faces.")


def test_a_service_that_fails_offers_another_try(
    chromium: Browser, faulty: Server, middle: Path
) -> None:
    with opened(chromium, faulty.url, refused=True) as tab:
        tab.open()
        set_fault(faulty, "raise")
        tab.choose(middle)
        tab.answers("The service failed on this picture.")
        set_fault(faulty, None)
        settled(lambda: faulty.client.get("/health").status_code == 200)
        tab.page.get_by_role("button", name="Try again").click()
        tab.answers("13 faces.")


@pytest.mark.parametrize("body", ['{"message": "Bad gateway"}', "null"])
def test_an_error_of_somebody_in_between_is_said(
    chromium: Browser, faulty: Server, middle: Path, body: str
) -> None:
    with opened(chromium, faulty.url, refused=True) as tab:
        tab.open()
        tab.ready()
        tab.page.route(
            "**/detect",
            lambda route: route.fulfill(status=502, content_type="application/json", body=body),
        )
        tab.choose(middle)
        tab.answers("The service failed on this picture.")
        expect(tab.page.locator("#lead")).to_contain_text("answered with status 502.")
        tab.page.unroute("**/detect")
        tab.page.get_by_role("button", name="Try again").click()
        tab.answers("13 faces.")
