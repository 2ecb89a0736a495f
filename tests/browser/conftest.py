"""Chromium, and the photos it is shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests import photos

from .tab import FLAGS


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
def chromium(pictures: Path, middle: Path) -> Iterator[Browser]:
    """Debian's Chromium, with a camera that sees thirteen faces."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium on this machine: Debian's package is called chromium")
    film = pictures / "film.mjpeg"
    film.write_bytes(middle.read_bytes())
    camera = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *camera])
        yield browser
        browser.close()
