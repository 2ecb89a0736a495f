"""`python -m tests.browser.shots`: takes the pictures of docs/demo.md again, into docs/images.

The font is Debian's fonts-inter; the photo, and the cuttings of it, is Solvay 1927.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests import photos
from tests.examples import served

from .tab import DESKTOP, FLAGS, IN_BOTH, PHONE, Tab, opened

IMAGES = photos.ROOT / "docs" / "images"


def empty(tab: Tab, folder: Path) -> None:
    """As it opens."""


def faces(tab: Tab, folder: Path) -> None:
    """One picture; Einstein is pointed at."""
    tab.choose(photos.middle(folder))
    tab.answers("13 faces.")
    tab.faces()[1].click()


def compare(tab: Tab, folder: Path) -> None:
    """Two pictures of the same people."""
    tab.choose(photos.middle(folder), photos.mirrored(folder))
    tab.answers(IN_BOTH)


SHOTS: dict[str, tuple[Callable[[Tab, Path], None], dict[str, Any], str]] = {
    "demo": (empty, DESKTOP, "light"),
    "demo-faces": (faces, DESKTOP, "light"),
    "demo-faces-dark": (faces, DESKTOP, "dark"),
    "demo-compare": (compare, DESKTOP, "light"),
    "demo-compare-dark": (compare, DESKTOP, "dark"),
    "demo-phone": (faces, PHONE | {"device_scale_factor": 2}, "light"),
    "demo-phone-dark": (compare, PHONE | {"device_scale_factor": 2}, "dark"),
}


def take(browser: Browser, url: str, name: str, scratch: Path) -> None:
    """One picture of what a person sees without scrolling."""
    prepare, device, scheme = SHOTS[name]
    with opened(browser, url, color_scheme=scheme, reduced_motion="reduce", **device) as tab:
        tab.open()
        tab.ready()
        prepare(tab, scratch)
        tab.page.evaluate("scrollTo(0, 0)")
        tab.page.mouse.move(0, 0)
        tab.page.wait_for_timeout(300)  # transitions
        tab.page.screenshot(path=scratch / "shot.png")
    with Image.open(scratch / "shot.png") as shot:
        # Colours at full resolution: lines of a pixel keep theirs.
        shot.convert("RGB").save(IMAGES / f"{name}.jpg", quality=84, subsampling=0, optimize=True)


def main() -> int:
    """Take all of them, or those that are named."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on this machine: Debian's package is called chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        with served(folder, PORT="8100") as server:
            server.wait_until_ready()
            for shot in sys.argv[1:] or SHOTS:
                take(browser, server.url, shot, folder)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
