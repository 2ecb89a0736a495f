"""Chromium, and the photos it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests import photos

from .tab import FLAGS, chromium_path


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pictures made of the one that may be shown."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="package")
def middle(pictures: Path) -> Path:
    """Thirteen faces."""
    return photos.middle(pictures)


@pytest.fixture(scope="package")
def mirrored(pictures: Path) -> Path:
    """The same thirteen people, the other way round."""
    return photos.mirrored(pictures)


# Of a module, not of the session: while Playwright runs, no test may start an event loop.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives a browser."""
    expect.set_options(timeout=20_000)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium, without windows where it is."""
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def chromium_with_camera(playwright: Playwright, pictures: Path, middle: Path) -> Iterator[Browser]:
    """Debian's Chromium with windows, which alone has cameras; this one sees thirteen faces."""
    film = pictures / "film.mjpeg"
    film.write_bytes(middle.read_bytes())
    camera = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    path = chromium_path("chromium")
    browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *camera])
    yield browser
    browser.close()
