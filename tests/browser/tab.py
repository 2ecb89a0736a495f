"""A page in Chromium, and everything it did that it should not have done."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

# As root in a container; and nothing that Chromium asks the internet by itself.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path(*programs: str) -> str:
    """The first of these that is here; by default Debian's Chromium without windows, which needs
    half the time, or the one with them. Skips without."""
    wanted = programs or ("chromium-headless-shell", "chromium")
    path = next(filter(None, map(shutil.which, wanted)), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine: Debian's package is called {wanted[0]}")
    return path


DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "has_touch": True,
    "is_mobile": True,
}
IN_BOTH = re.compile(r"^\d+ people in both\.$")
REFUSED = "Failed to load resource"
"""What Chromium itself writes for every answer that is an error."""


class Tab:
    """One page on a server, and what it wrote to the console and asked of whom."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        context.on("request", lambda request: self._note(request.url))
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(20_000)
        # From the start: a key is pressed faster than Chromium hears that choosers are awaited.
        self.page.on("filechooser", lambda _: None)

    def _note(self, address: str) -> None:
        if not address.startswith((f"{self.url}/", f"blob:{self.url}/", "data:")):
            self.elsewhere.append(address)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, path: str = "/") -> None:
        """Load a page."""
        self.page.goto(self.url + path)

    def ready(self) -> None:
        """Wait until the demo has seen the models."""
        expect(self.page.locator("#state")).to_have_attribute("data-is", "healthy", timeout=60_000)
        expect(self.page.locator("#pack")).to_contain_text("Model pack")

    def choose(self, *files: Any, button: str = "Choose a photo") -> None:
        """Press a button that asks for a file, and give it some."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name=button).click()
        chooser.value.set_files(list(files))

    def hand_over(self, kind: str, path: Path, name: str | None = None, on: str = "body") -> None:
        """Let a file arrive by an event, `drop` or `paste`, as the desktop would send it."""
        content = base64.b64encode(path.read_bytes()).decode()
        self.page.locator(on).first.evaluate(
            """(node, [kind, content, name]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], name));
                const more = kind === 'paste' ? { clipboardData: data } : { dataTransfer: data };
                const event = kind === 'paste' ? ClipboardEvent : DragEvent;
                node.dispatchEvent(new event(kind, { bubbles: true, cancelable: true, ...more }));
            }""",
            [kind, content, name or path.name],
        )

    def answers(self, headline: str | re.Pattern[str]) -> None:
        """Wait for the headline, which is the answer."""
        expect(self.page.locator("h1")).to_have_text(headline, timeout=30_000)

    def faces(self, place: int = 0) -> list[Any]:
        """The options of a contact sheet."""
        return self.page.get_by_role("listbox").nth(place).get_by_role("option").all()


@contextmanager
def opened(browser: Browser, url: str, refused: bool = False, **options: Any) -> Iterator[Tab]:
    """A tab that must end without complaints and without having asked any other host.

    `refused`: some requests are meant to be answered with an error.
    """
    context = browser.new_context(**(DESKTOP | options))
    tab = Tab(context, url)
    try:
        yield tab
        complaints = [text for text in tab.complaints if not (refused and text.startswith(REFUSED))]
        assert complaints == []
        assert tab.elsewhere == []
    finally:
        context.close()
