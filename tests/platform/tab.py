"""The page in Debian's Chromium: the fixture `page`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.tab import FLAGS, chromium_path

from .backend import PASSWORD, Backend


@pytest.fixture(scope="module")
def page(backend: Backend) -> Iterator[Page]:
    """A tab, logged in; what goes wrong in it fails the test."""
    path = chromium_path()
    expect.set_options(timeout=30_000)
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        tab = browser.new_page(base_url=str(backend.http.base_url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: dialog.accept())
        tab.goto("/")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").press("Enter")
        expect(tab.get_by_role("heading", name="Videos")).to_be_visible()
        yield tab
        browser.close()
    assert wrong == []


def assert_accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        result = Axe().run(page)
        assert result.violations_count == 0, f"{scheme}: {result.generate_report()}"


def open_page(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
