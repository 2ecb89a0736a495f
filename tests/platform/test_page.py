"""The page, in Debian's Chromium, as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from .backend import Backend
from .clips import Scene, write_clip
from .conftest import Photos
from .tab import assert_accessible, open_page, page

__all__ = ["page"]

KNOWN, UNKNOWN = "Charlton_Heston", "Christine_Todd_Whitman"


def test_a_new_person_gets_photos(page: Page, photos: Photos) -> None:
    open_page(page, "People")
    page.get_by_label("Somebody new").fill(KNOWN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=KNOWN)).to_be_visible()
    page.get_by_label("Photos").set_input_files([photos(KNOWN, 0), photos(KNOWN, 1)])
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("img", name=f"{KNOWN}, from a photo")).to_have_count(2)
    assert_accessible(page)


def test_a_video_shows_who_is_seen_when_and_why(page: Page, photos: Photos, tmp_path: Path) -> None:
    clip = write_clip(tmp_path, [Scene(2, (photos(KNOWN, 2),)), Scene(2, (photos(UNKNOWN, 0),))])
    open_page(page, "Videos")
    page.get_by_label("Videos or pictures").set_input_files(clip)
    page.get_by_role("button", name="Hand in").click()
    page.get_by_role("link", name=clip.name).click()
    expect(page.get_by_role("heading", name=KNOWN)).to_be_visible()
    expect(page.get_by_text("recognised", exact=True)).to_be_visible()
    expect(page.get_by_text("2 faces in 2 frames.").first).to_be_visible()
    expect(page.get_by_role("button", name=f"{KNOWN}, from 0:00 to 0:01")).to_be_visible()
    page.get_by_role("button", name="Somebody unknown, from 0:02 to 0:03").click()
    assert page.evaluate("document.querySelector('video').currentTime") == pytest.approx(2)
    page.get_by_role("button", name=f"Confirm {KNOWN}").click()
    expect(page.get_by_text("confirmed", exact=True)).to_be_visible()
    assert_accessible(page)


def test_somebody_unknown_gets_a_name(page: Page) -> None:
    open_page(page, "Unknown")
    expect(page.locator("main li img")).not_to_have_count(0)
    assert_accessible(page)
    page.get_by_label("Name").press_sequentially("heston")
    expect(page.locator("#names option")).to_have_attribute("value", KNOWN)
    page.get_by_label("Name").fill(UNKNOWN)
    page.keyboard.press("Enter")
    expect(page.get_by_text("everybody who was seen has a name")).to_be_visible()
    open_page(page, "People")
    page.get_by_role("link", name=UNKNOWN).click()
    expect(page.get_by_role("img", name=f"{UNKNOWN}, from a video").first).to_be_visible()


def test_what_was_confirmed_by_mistake_is_taken_back(page: Page) -> None:
    open_page(page, "People")
    page.get_by_role("link", name=KNOWN).click()
    page.get_by_role("link", name="clip.mp4").click()
    page.get_by_role("button", name=f"Reject {KNOWN}").click()
    expect(page.get_by_role("button", name=f"Reject {KNOWN}")).to_have_count(0)
    page.get_by_role("button", name=f"Confirm {KNOWN}").click()
    expect(page.get_by_role("button", name=f"Reject {KNOWN}")).to_be_visible()


def test_a_person_gets_another_name_and_says_where_and_why(page: Page) -> None:
    """One that is written from right to left, too."""
    open_page(page, "People")
    page.get_by_role("link", name=KNOWN).click()
    expect(page.get_by_text(re.compile(r"with a similarity of 0\.\d\d"))).to_be_visible()
    for name in ("\u05d0\u05d1\u05d2", KNOWN):
        page.get_by_label("Another name").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        assert_accessible(page)


def test_a_suggestion_is_no_name(page: Page, backend: Backend) -> None:
    [[video, creator]] = backend.query("""
        WITH video AS (
          INSERT INTO videos (name, file, bytes, duration_ms, done_at)
          VALUES ('doubt', 'none', 1, 1000, now()) RETURNING id),
        creator AS (INSERT INTO creators (name) VALUES ('Doubtful') RETURNING id),
        seen AS (
          INSERT INTO appearances (video_id, usable) SELECT id, true FROM video RETURNING id),
        track AS (
          INSERT INTO video_tracks (appearance_id, first_ms, last_ms)
          SELECT id, 0, 0 FROM seen RETURNING id),
        face AS (
          INSERT INTO video_face_detections
            (video_id, frame_ms, bbox, det_score, quality, usable, track_id)
          SELECT video.id, 0, '{0,0,9,9}', 1, 1, true, track.id FROM video, track),
        tag AS (
          INSERT INTO video_tags
            (appearance_id, creator_id, state, similarity, threshold, second_creator_id,
             second_similarity)
          SELECT seen.id, creator.id, 'suggested', 0.3, 0.25, creator.id, -0.001
          FROM seen, creator)
        SELECT video.id, creator.id FROM video, creator""")
    page.goto(f"/#/videos/{video}")
    expect(page.get_by_role("heading", name="Perhaps Doubtful")).to_be_visible()
    expect(page.get_by_text("next is Doubtful with 0.00")).to_be_visible()
    backend.query(f"DELETE FROM videos WHERE id = {video}")
    backend.query(f"DELETE FROM creators WHERE id = {creator}")


def test_a_video_that_failed_is_tried_again(page: Page, backend: Backend, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video at all")
    video = backend.upload(broken)
    backend.settled()
    backend.query("UPDATE jobs SET attempts = 5, error = 'FFmpeg has hung' WHERE state = 'failed'")
    page.goto(f"/#/videos/{video}")
    expect(page.get_by_text("failed: FFmpeg has hung")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("failed: This file is no video")).to_be_visible()
    backend.delete(f"/api/videos/{video}")
    assert backend.http.post(f"/api/videos/{video}/retry").status_code == 404


def test_who_was_deleted_in_another_tab_gets_no_name(
    page: Page, backend: Backend, photos: Photos
) -> None:
    backend.analysed(backend.upload(photos("Ana_Guevara", 0)))
    [group] = backend.get("/api/groups")
    open_page(page, "Unknown")
    expect(page.get_by_label("Name")).to_be_visible()
    backend.delete(f"/api/videos/{group['appearances'][0]['video_id']}")
    page.get_by_label("Name").fill("Named here")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("No such group")
    assert backend.get("/api/creators?name=Named%20here") == []


@pytest.mark.parametrize(
    ("heading", "make", "first", "last", "remove"),
    [
        (
            "Videos",
            """INSERT INTO videos (name, file, bytes, done_at)
            SELECT 'clip ' || n, 'none', 1, now() FROM generate_series(1, 51) n""",
            "clip 1",
            "clip 51",
            "DELETE FROM videos WHERE file = 'none'",
        ),
        (
            "People",
            "INSERT INTO creators (name) SELECT 'person ' || n FROM generate_series(1, 51) n",
            "person 1",
            "person 51",
            "DELETE FROM creators WHERE name LIKE 'person %'",
        ),
        (
            "Unknown",
            """WITH video AS (
              INSERT INTO videos (name, file, bytes, done_at)
              SELECT 'clip ' || n, 'none', 1, now() FROM generate_series(1, 51) n RETURNING id),
            made AS (
              INSERT INTO face_groups OVERRIDING SYSTEM VALUE SELECT id + 1000 FROM video
              RETURNING id),
            seen AS (
              INSERT INTO appearances (video_id, group_id, usable)
              SELECT id - 1000, id, true FROM made RETURNING id, video_id),
            tracks AS (
              INSERT INTO video_tracks (appearance_id, first_ms, last_ms)
              SELECT id, 0, 0 FROM seen RETURNING id, appearance_id)
            INSERT INTO video_face_detections
              (video_id, frame_ms, bbox, det_score, quality, usable, picture, track_id)
            SELECT video_id, 0, '{0,0,9,9}', 1, 1, true, '', tracks.id
            FROM tracks JOIN seen ON seen.id = appearance_id""",
            "clip 1 at 0:00",
            "clip 51 at 0:00",
            "DELETE FROM videos WHERE file = 'none'; DELETE FROM face_groups WHERE id > 1000",
        ),
    ],
    ids=["videos", "people", "unknown"],
)
def test_older_ones_are_on_further_pages(
    page: Page, backend: Backend, heading: str, make: str, first: str, last: str, remove: str
) -> None:
    backend.query(make)
    open_page(page, "People" if heading == "Videos" else "Videos")
    open_page(page, heading)
    expect(page.get_by_role("link", name=last, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=first, exact=True)).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name=first, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=last, exact=True)).to_have_count(0)
    assert_accessible(page)
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name=last, exact=True)).to_be_visible()
    backend.query(remove)


def test_a_person_is_found_by_a_part_of_the_name(page: Page) -> None:
    open_page(page, "People")
    page.get_by_role("searchbox", name="Find").fill("heston")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=KNOWN)).to_be_visible()
    expect(page.get_by_role("link", name=UNKNOWN)).to_have_count(0)


NEXT = """
    INSERT INTO models (pack, recogniser, precision, alignment, state)
    VALUES ('another', 'r', 'fp32', 'area', 'next');
    INSERT INTO jobs (kind, subject, state, done, total, error)
    VALUES ('reembed', 0, 'failed', 3, 12, 'It was interrupted')"""


def test_the_model_is_changed_and_the_change_stopped(page: Page, backend: Backend) -> None:
    """With one face service there is no other model; here a change has failed."""
    open_page(page, "Model")
    expect(page.get_by_text("open: ")).to_be_visible()
    expect(page.get_by_text("People are recognised from a similarity of 0.")).to_be_visible()
    page.get_by_role("button", name="Change the model").click()
    none = "No face service is ready with another model"
    expect(page.get_by_role("status")).to_have_text(none)
    assert_accessible(page)
    backend.query(NEXT)
    open_page(page, "People")
    open_page(page, "Model")
    expect(page.get_by_role("progressbar", name="Embedded")).to_be_visible()
    expect(page.get_by_text("3 of 12 pictures embedded")).to_be_visible()
    expect(page.get_by_text("It was interrupted")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Change the model")).to_be_visible()
    assert backend.get("/api/models")["next"] is None


LONG_NAMES = """
    INSERT INTO creators (name) VALUES (repeat('W', 200));
    INSERT INTO videos (name, file, bytes, done_at) VALUES (repeat('W', 200), 'none', 1, now())"""


def test_it_fits_a_phone(page: Page, backend: Backend) -> None:
    """Long names too."""
    backend.query(LONG_NAMES)
    page.set_viewport_size({"width": 360, "height": 700})
    for name in ("Videos", "Unknown", "People", "Model"):
        open_page(page, name)
        page.wait_for_function("document.querySelector('[aria-current]')")
        expect(page.get_by_text("W" * 200)).to_have_count(int(name in ("Videos", "People")))
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{name} is {wide} pixels wide"
    backend.query(
        "DELETE FROM creators WHERE name LIKE 'WW%'; DELETE FROM videos WHERE name LIKE 'WW%'"
    )


def test_a_person_is_forgotten(page: Page, backend: Backend) -> None:
    page.set_viewport_size({"width": 1000, "height": 700})
    open_page(page, "People")
    page.get_by_role("link", name=KNOWN).click()
    page.get_by_role("button", name="Forget this person").click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    expect(page.get_by_role("link", name=KNOWN)).to_have_count(0)
    assert [creator["name"] for creator in backend.get("/api/creators")] == [UNKNOWN]


def test_who_presses_again_while_it_is_sent_hands_in_once(
    page: Page, backend: Backend, photos: Photos
) -> None:
    before = len(backend.get("/api/videos"))
    held: list[Route] = []
    page.route("**/api/videos", lambda route: held.append(route))
    open_page(page, "Videos")
    page.get_by_label("Videos or pictures").set_input_files(photos(UNKNOWN, 0))
    page.get_by_role("button", name="Hand in").dblclick()
    expect(page.get_by_role("status")).to_have_text("Under way …")
    page.get_by_role("button", name="Hand in").click()
    held[0].continue_()
    expect(page.locator("main li")).to_have_count(before + 1)
    page.unroute("**/api/videos")
    assert len(held) == 1


def test_a_double_click_drops_one_reference(page: Page, backend: Backend, photos: Photos) -> None:
    """The next one takes its place at once."""
    creator = backend.enrol("Somebody", [photos(KNOWN, 0), photos(KNOWN, 1), photos(KNOWN, 2)])
    backend.settled()
    references = len(backend.get(f"/api/creators/{creator}")["references"])
    assert references > 1
    page.goto(f"/#/people/{creator}")
    page.get_by_role("button", name="Drop").first.dblclick()
    expect(page.get_by_role("button", name="Drop")).to_have_count(references - 1)
    page.wait_for_timeout(300)
    assert len(backend.get(f"/api/creators/{creator}")["references"]) == references - 1
