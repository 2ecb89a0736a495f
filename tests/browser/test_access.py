"""The demo by keyboard, for screen readers, in both colours; the documentation without internet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.server import Server

from .tab import DESKTOP, IN_BOTH, PHONE, Tab, opened

TEXT = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Not a picture at all"}


def focused(tab: Tab) -> str:
    """What a screen reader would call the element that has the focus."""
    name: str = tab.page.evaluate(
        """() => {
            const node = document.activeElement;
            return node.ariaLabel ?? node.textContent.trim();
        }"""
    )
    return name


def walk_to(tab: Tab, name: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(20):
        tab.page.keyboard.press("Tab")
        if focused(tab).startswith(name):
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def give(tab: Tab, *files: Path) -> None:
    """Press Enter where a file is asked for."""
    with tab.page.expect_file_chooser() as chooser:
        tab.page.keyboard.press("Enter")
    chooser.value.set_files(list(files))


def test_everything_is_done_by_keyboard(
    chromium: Browser, server: Server, middle: Path, mirrored: Path
) -> None:
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.ready()
        tab.page.keyboard.press("Tab")
        assert focused(tab) == "Skip to the picture"
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_role("main")).to_be_focused()
        walk_to(tab, "Choose a photo")
        give(tab, middle)
        tab.answers("13 faces.")

        walk_to(tab, "Start over")
        walk_to(tab, "Replace the first picture")
        walk_to(tab, "Face 1 of 13")
        details = tab.page.locator(".face")
        for key, index in {
            "ArrowRight": 2,
            "ArrowDown": 3,
            "ArrowLeft": 2,
            "End": 13,
            "Home": 1,
        }.items():
            tab.page.keyboard.press(key)
            assert focused(tab).startswith(f"Face {index} of 13:")
            expect(details).to_contain_text(f"Face {index} of 13")
        tab.page.keyboard.press("ArrowRight")
        tab.page.keyboard.press("Tab")
        assert focused(tab) == "Choose a photo", "the faces are one stop, not thirteen"
        tab.page.keyboard.press("Shift+Tab")
        assert focused(tab).startswith("Face 2 of 13"), "where it was left"

        walk_to(tab, "Choose a photo")
        give(tab, mirrored)
        tab.answers(IN_BOTH)
        walk_to(tab, "Replace the first picture")
        walk_to(tab, "Face 9 and face")
        expect(tab.page.locator(".pair").first).to_be_focused()
        tab.page.keyboard.press("Tab")
        second = tab.page.locator(".pair").nth(1)
        expect(second).to_be_focused()
        expect(second).to_have_attribute("aria-pressed", "true")
        walk_to(tab, "Copy")
        walk_to(tab, "Licence")


def test_who_listens_is_told(chromium: Browser, server: Server, middle: Path) -> None:
    with opened(chromium, server.url, refused=True) as tab:
        tab.open()
        tab.ready()
        said = tab.page.get_by_role("status")
        tab.choose(middle)
        expect(said.filter(has_text="13 faces.")).to_contain_text("fit to be stored")
        image = tab.page.get_by_role("img", name="middle.jpg: 13 faces found")
        expect(image).to_be_visible()
        options = tab.page.get_by_role("listbox", name="Faces in the first picture")
        first = options.get_by_role("option").first
        expect(first).to_have_accessible_name("Face 1 of 13: Woman, about 40, score 0.93")
        tab.choose(TEXT)
        expect(said.filter(has_text="not a picture")).to_be_visible()


@pytest.mark.parametrize(("scheme", "device"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing(
    chromium: Browser,
    server: Server,
    middle: Path,
    mirrored: Path,
    scheme: str,
    device: dict[str, Any],
) -> None:
    options = device | {"color_scheme": scheme, "reduced_motion": "reduce"}
    with opened(chromium, server.url, refused=True, **options) as tab:
        axe = Axe()

        def check(state: str) -> None:
            results = axe.run(tab.page, options={"resultTypes": ["violations"]})
            assert results.violations_count == 0, f"{state}\n{results.generate_report()}"

        tab.open()
        tab.ready()
        check("no picture")
        tab.page.get_by_role("button", name="Use the camera").click()
        expect(tab.page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()
        check("camera")
        tab.page.get_by_role("button", name="Close").click()
        tab.choose(middle)
        tab.answers("13 faces.")
        tab.page.locator("#pack summary").click()
        check("one picture")
        tab.choose(mirrored)
        tab.answers(IN_BOTH)
        check("two pictures")
        tab.choose(TEXT, button="Replace the second picture")
        tab.answers("This is not a picture that can be read.")
        check("an error")


def test_both_colours_are_its_own(chromium: Browser, server: Server) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with opened(chromium, server.url, color_scheme=scheme) as tab:
            tab.open()
            ground = tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            grounds.append(ground)
    assert grounds == ["rgb(244, 242, 236)", "rgb(18, 17, 16)"]


def test_docs_show_every_operation(chromium: Browser, server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    with opened(chromium, server.url) as tab:
        tab.open("/docs")
        expect(tab.page.locator(".opblock")).to_have_count(len(paths))
        for path in paths:
            expect(tab.page.locator(f'.opblock [data-path="{path}"]')).to_be_visible()
        tab.page.locator('.opblock [data-path="/detect"]').click()
        operation = tab.page.locator(".opblock.is-open")
        for status in ("200", "400", "401", "413", "429", "500", "503", "504"):
            expect(operation.locator(f'tr.response[data-code="{status}"]')).to_be_visible()
        expect(operation).to_contain_text("det_score")
        expect(operation).to_contain_text("cut to 3 of 512 numbers")
        tab.page.locator('.opblock [data-path="/detect"]').click()
        tab.page.locator('.opblock [data-path="/health/live"]').click()
        tab.page.get_by_role("button", name="Try it out").click()
        tab.page.get_by_role("button", name="Execute").click()
        expect(tab.page.locator(".live-responses-table")).to_contain_text('"alive"')


def test_redoc_shows_every_operation(chromium: Browser, server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    with opened(chromium, server.url) as tab:
        tab.open("/redoc")
        expect(tab.page.locator("h2", has_text="Compare every face")).to_be_visible()
        sections = tab.page.locator("[data-section-id^='operation/']").evaluate_all(
            "(nodes) => nodes.map((node) => node.dataset.sectionId)"
        )
        assert len(set(sections)) == len(paths)
        body = tab.page.locator("body")
        for text in (*paths, "The queue is full"):
            expect(body).to_contain_text(text)
        tab.page.get_by_placeholder("Search").fill("batch")
        expect(tab.page.locator("[role=search]")).to_contain_text("several images")
