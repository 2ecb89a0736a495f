"""The demo page: pictures in, faces out, who matches whom."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.images import encode
from tests.server import Server

from .tab import IN_BOTH, PHONE, Tab, opened


@pytest.fixture(scope="module")
def six(server: Server, six_faces: Path) -> dict[str, Any]:
    """What the service says of t1.jpg."""
    answer: dict[str, Any] = server.client.post(
        "/detect", files={"file": six_faces.read_bytes()}
    ).json()
    return answer


def boxes(tab: Tab) -> list[list[float]]:
    """The boxes that are drawn, as x, y, width and height in the picture's frame."""
    script = """(rects) => rects.map((rect) =>
        ['x', 'y', 'width', 'height'].map((name) => Number(rect.getAttribute(name))))"""
    return tab.page.locator(".overlay .box").evaluate_all(script)


def drawn(face: dict[str, Any], scale: float) -> list[float]:
    x1, y1, x2, y2 = (value * scale for value in face["bbox"])
    return [x1, y1, x2 - x1, y2 - y1]


def counterparts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Each face with its best counterpart, best pair first."""
    taken: set[tuple[str, int]] = set()
    found = []
    for pair in answer["pairs"]:
        faces = {("a", pair["a"]), ("b", pair["b"])}
        if not faces & taken:
            taken |= faces
            found.append(pair)
    return found


def matches(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The counterparts that are one person's, of whom one can be sure."""
    return [pair for pair in counterparts(answer) if pair["same_person"] and pair["reliable"]]


def test_it_says_which_pack_is_loaded_and_its_licence(chromium: Browser, server: Server) -> None:
    loaded = server.client.get("/models").json()["loaded"]
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.ready()
        foot = tab.page.locator("#pack")
        for text in (loaded["name"], loaded["licence"], "0.275", "512 numbers", "fp32"):
            expect(foot).to_contain_text(text)
        foot.locator("summary").click()
        for file in loaded["files"]:
            expect(foot).to_contain_text(f"{file['file']}: {file['licence']}")


def test_a_dropped_photo_shows_its_six_faces(
    chromium: Browser, server: Server, six_faces: Path, six: dict[str, Any]
) -> None:
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.ready()
        tab.hand_over("drop", six_faces)
        tab.answers("6 faces.")
        width = tab.page.locator(".frame").evaluate("(frame) => frame.clientWidth")
        scale = width / six["image_width"]
        expected = [drawn(face, scale) for face in six["faces"]]
        # The face that is pointed at is drawn last, on top.
        found = boxes(tab)
        assert np.array(sorted(found)) == pytest.approx(np.array(sorted(expected)), abs=0.5)
        assert tab.page.locator(".overlay .point").count() == 30, "five landmarks a face"
        levels = tab.page.locator(".overlay .level").evaluate_all(
            "(bars) => bars.map((bar) => Number(bar.getAttribute('width')))"
        )
        shares = [
            face["quality"]["score"] * box[2]
            for face, box in zip(six["faces"], expected, strict=True)
        ]
        assert sorted(levels) == pytest.approx(sorted(shares), abs=0.5)
        labels = tab.page.locator(".overlay text").all_text_contents()
        for face in six["faces"]:
            assert f"{face['gender']} {face['age']} · {face['det_score']:.2f}" in labels
        assert len(tab.faces()) == 6


def test_pointing_at_a_face_shows_its_details(
    chromium: Browser, server: Server, six_faces: Path, six: dict[str, Any]
) -> None:
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.choose(six_faces)
        tab.answers("6 faces.")
        frame = tab.page.locator(".frame")
        scale = frame.evaluate("(frame) => frame.clientWidth") / six["image_width"]
        for index, face in enumerate(six["faces"]):
            x, y, width, height = drawn(face, scale)
            frame.hover(position={"x": x + width / 2, "y": y + height / 2})
            details = tab.page.locator(".face")
            expect(details).to_contain_text(f"Face {index + 1} of 6")
            expect(details).to_contain_text(f"about {face['age']}")
            expect(details).to_contain_text(f"Detection{face['det_score']:.2f}")
            expect(details).to_contain_text(f"Quality{face['quality']['score']:.2f}")
            fit = "Fit to be stored" if face["usable"] else "Not fit to be stored"
            expect(details).to_contain_text(fit)
            expect(details).to_contain_text("512 numbers")
            expect(tab.faces()[index]).to_have_attribute("aria-selected", "true")


def test_a_face_that_is_not_fit_says_why(
    chromium: Browser, server: Server, six_faces: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.png"
    picture = cv2.imread(str(six_faces))
    small.write_bytes(encode(cv2.resize(picture, None, fx=0.2, fy=0.2), "PNG"))
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.choose(small)
        expect(tab.page.locator(".face .fit.no")).to_contain_text("too small")
        assert tab.page.locator(".overlay .unfit").count() > 0
        expect(tab.page.locator(".thumb .unfit").first).to_be_visible()


def test_a_pasted_picture_is_taken(chromium: Browser, server: Server, middle: Path) -> None:
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.hand_over("paste", middle, "image.png")
        tab.answers("13 faces.")
        expect(tab.page.locator("figcaption")).to_contain_text("image.png · 1200 × 760")


def test_the_camera_takes_a_picture(chromium_with_camera: Browser, server: Server) -> None:
    with opened(chromium_with_camera, server.url, permissions=["camera"]) as tab:
        tab.open()
        tab.page.get_by_role("button", name="Use the camera").click()
        tab.page.get_by_role("button", name="Take the picture").click()
        tab.answers("13 faces.")
        expect(tab.page.locator("figcaption")).to_contain_text("camera.jpg")
        expect(tab.page.get_by_role("dialog")).to_be_hidden()


def test_a_camera_that_is_not_allowed_is_said(
    chromium_with_camera: Browser, server: Server
) -> None:
    with opened(chromium_with_camera, server.url) as tab:
        tab.open()
        tab.page.get_by_role("button", name="Use the camera").click()
        dialog = tab.page.get_by_role("dialog")
        expect(dialog.get_by_role("alert")).to_contain_text("not allowed")
        expect(dialog.get_by_role("button", name="Take the picture")).to_be_disabled()
        tab.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_a_page_without_a_camera_says_where_there_is_one(chromium: Browser, server: Server) -> None:
    with opened(chromium, server.url) as tab:
        tab.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined })"
        )
        tab.open()
        tab.page.get_by_role("button", name="Use the camera").click()
        expect(tab.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("HTTPS")


def test_two_photos_show_who_matches_whom(
    chromium: Browser, server: Server, middle: Path, mirrored: Path
) -> None:
    answer = server.client.post(
        "/compare", files={"file_a": middle.read_bytes(), "file_b": mirrored.read_bytes()}
    ).json()
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.choose(middle)
        tab.answers("13 faces.")
        tab.choose(mirrored)
        tab.answers(f"{len(matches(answer))} people in both.")
        best, threshold = answer["best"], answer["threshold"]
        pairs = tab.page.locator(".pairs")
        expect(pairs).to_contain_text(f"from a similarity of {threshold['similarity']}")
        rate = f"{100 * threshold['false_match_rate']:g} % of pairs of different people"
        expect(pairs).to_contain_text(rate)
        rows = tab.page.locator(".pair")
        mark = rows.first.locator(".threshold").evaluate("(mark) => mark.style.left")
        assert mark == f"{100 * threshold['similarity']:g}%"
        joined = matches(answer)[:12] + [best] * (best not in matches(answer))
        assert tab.page.locator(".links .line").count() == len(joined), "a dozen, and the chosen"
        expect(tab.page.locator(".links text")).to_have_text(f"{best['similarity']:.2f}")

        # Every pair is there: first each face with its counterpart, then the others.
        assert rows.count() == 8
        while tab.page.locator(".more").is_visible():
            tab.page.locator(".more").click()
        assert rows.count() == len(answer["pairs"]) == 13 * 13
        by_name = {f"{pair['a']}-{pair['b']}": pair for pair in answer["pairs"]}
        names = rows.evaluate_all("(rows) => rows.map((row) => row.dataset.pair)")
        assert [by_name[name] for name in names[:13]] == counterparts(answer)
        assert sorted(names) == sorted(by_name)
        for name, text in zip(names, rows.all_inner_texts(), strict=True):
            pair = by_name[name]
            said = "same person" if pair["same_person"] else "below the threshold"
            assert (said if pair["reliable"] else "too poor to say") in text, name
            assert f"{pair['similarity']:.2f}".replace("-", "−") in text, name
        rows.nth(12).hover()
        for place, index in enumerate(map(int, names[12].split("-"))):
            expect(tab.faces(place)[index]).to_have_attribute("aria-selected", "true")


def test_two_photos_of_one_person_each(chromium: Browser, server: Server, shared: Path) -> None:
    folder = shared / "faces" / "lfw"
    people = sorted(path for path in folder.iterdir() if len(list(path.glob("*.jpg"))) > 1)[:2]
    first, again = sorted(people[0].glob("*.jpg"))[:2]
    other = sorted(people[1].glob("*.jpg"))[0]
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.choose(first, again)
        tab.answers("The same person.")
        tab.choose(other, button="Replace the second picture")
        tab.answers("Different people.")
        expect(tab.page.locator(".pair .word")).to_have_text("below the threshold")
        expect(tab.page.locator(".links .no")).to_have_count(1)
        tab.page.get_by_role("button", name="Start over").click()
        tab.answers("Every face in the picture.")
        expect(tab.page.get_by_role("button", name="Choose a photo")).to_be_focused()


def test_the_curl_line_is_the_same_request(
    chromium: Browser, server: Server, six_faces: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "a photo.jpg"
    photo.write_bytes(six_faces.read_bytes())
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(chromium, server.url, permissions=permissions) as tab:
        tab.open()
        tab.choose(photo)
        tab.answers("6 faces.")
        tab.page.get_by_role("button", name="Copy").click()
        expect(tab.page.get_by_role("button", name="Copied")).to_be_visible()
        line = tab.page.evaluate("navigator.clipboard.readText()")
    output = subprocess.run(
        ["bash", "-c", f"{line} --silent"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    assert output.count(b'"det_score"') == 6


def test_a_format_that_browsers_cannot_show_has_its_faces_all_the_same(
    chromium: Browser, server: Server, six_faces_image: Any, tmp_path: Path
) -> None:
    path = tmp_path / "scan.tiff"
    path.write_bytes(encode(six_faces_image, "TIFF"))
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.choose(path)
        tab.answers("6 faces.")
        expect(tab.page.locator(".blank")).to_contain_text("cannot show this format")
        assert len(boxes(tab)) == 6


def test_the_name_of_a_file_is_text(chromium: Browser, server: Server, middle: Path) -> None:
    name = "<img src=x onerror=document.title='owned'>\"$(id).jpg"
    with opened(chromium, server.url) as tab:
        tab.open()
        tab.hand_over("drop", middle, name)
        tab.answers("13 faces.")
        expect(tab.page.locator("figcaption")).to_contain_text(name)
        assert tab.page.title() == "Face Recognition Service"
        assert "$(id)" not in tab.page.locator(".command").inner_text()


def test_on_a_phone_nothing_is_cut_off_and_a_tap_chooses_a_face(
    chromium: Browser, server: Server, six_faces: Path, six: dict[str, Any]
) -> None:
    with opened(chromium, server.url, **PHONE) as tab:
        tab.open()
        tab.ready()

        def fits() -> bool:
            return tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        assert fits()
        tab.choose(six_faces)
        tab.answers("6 faces.")
        assert fits()
        scale = tab.page.locator(".frame").evaluate("(frame) => frame.clientWidth") / 1280
        x, y, width, height = drawn(six["faces"][3], scale)
        tab.page.locator(".frame").tap(position={"x": x + width / 2, "y": y + height / 2})
        expect(tab.page.locator(".face")).to_contain_text("Face 4 of 6")
        tab.choose(six_faces)
        tab.answers(IN_BOTH)
        assert fits()
        for control in tab.page.get_by_role("button").all():
            box = control.bounding_box()
            assert box is None or min(box["width"], box["height"]) >= 24, control.inner_text()
