"""`python -m tests.platform.shots`: takes the pictures of platform/README.md again.

They lie in docs/images. Starts ./platform.sh with an empty home. The video is a camera that looks
at parts of Solvay 1927, which is in the public domain; three of the people are enrolled by cuttings
of the photo, and so are surer than anybody in a video of real life.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests import photos
from tests.browser.tab import FLAGS, PHONE
from tests.server import free_port

IMAGES = photos.ROOT / "docs" / "images"
PASSWORD = "password-of-the-pictures"
PEOPLE = {
    "Marie Curie": (900, 1190),
    "Hendrik Lorentz": (1237, 1217),
    "Albert Einstein": (1633, 1184),
}
"""Whose faces are about there in the photo."""
MARGINS = (1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Of a cutting, around a face, in sides of its box."""
FILM = "solvay-1927.mp4"
SECONDS = 12
LEFT, TOP = "if(lt(t,5),500+40*t,60)", "if(lt(t,5)+gte(t,8),760,0)"
"""The corner of what the camera sees: the three, then nobody, then two of the three."""
WIDE: dict[str, Any] = {"viewport": {"width": 1180, "height": 900}}
MOST_BYTES = 200_000


def video(page: Page) -> None:
    """Who is seen when, and why, from where Lorentz is seen again."""
    page.get_by_role("link", name=FILM).click()
    player = page.locator("video")
    # The page's policy forbids `wait_for_function`, which evaluates a string in it.
    wait_until(lambda: player.evaluate("video => video.readyState >= 1"))
    page.get_by_role("button", name="Hendrik Lorentz, from 0:08").first.click()
    shown = "video => video.currentTime > 7 && !video.seeking && video.readyState >= 2"
    wait_until(lambda: player.evaluate(shown))


def unknown(page: Page) -> None:
    """Faces to be named."""
    page.get_by_role("link", name="Unknown").click()
    page.get_by_role("heading", name="Unknown people").wait_for()


def person(page: Page) -> None:
    """By what somebody is recognised, and where they are."""
    page.get_by_role("link", name="People").click()
    page.get_by_role("link", name="Marie Curie").click()
    page.get_by_role("heading", name="Seen in").wait_for()


SHOTS: dict[str, tuple[Callable[[Page], None], dict[str, Any], str]] = {
    "platform-video": (video, WIDE, "light"),
    "platform-video-dark": (video, WIDE, "dark"),
    "platform-unknown": (unknown, WIDE, "light"),
    "platform-phone": (video, PHONE | {"device_scale_factor": 2}, "light"),
    "platform-phone-dark": (person, PHONE | {"device_scale_factor": 2}, "dark"),
}


@contextmanager
def started(home: Path) -> Iterator[tuple[httpx.Client, str]]:
    """The platform, as ./platform.sh starts it; logged in. And the address of its face service."""
    port, service = free_port(), free_port()
    environment = {
        **os.environ,
        "PLATFORM_HOME": str(home),
        "PLATFORM_PASSWORD": PASSWORD,
        # People of one old photo resemble each other more than those whom the pack was measured on.
        "SUGGESTED_SIMILARITY": "0.35",
        "PORT": str(port),
        "FACE_SERVICE_PORT": str(service),
        "MODEL_CACHE_DIR": str(photos.ROOT / "models"),
    }
    platform = subprocess.Popen([photos.ROOT / "platform.sh"], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not answers(client):
                if platform.poll() is not None:
                    raise SystemExit("./platform.sh has ended")
                time.sleep(0.2)
            login = {"name": "admin", "password": PASSWORD}
            client.post("/api/login", json=login).raise_for_status()
            yield client, f"http://127.0.0.1:{service}"
    finally:
        platform.terminate()
        platform.wait()


def answers(client: httpx.Client, path: str = "/api/health") -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def cut(faces: httpx.Client, boxes: np.ndarray, point: tuple[int, int], path: Path) -> Path:
    """A cutting with the face of the photo that is nearest to a point, and with no other: as much
    around it as its neighbours leave, for the detector is surer then."""
    photo = cv2.imread(str(photos.solvay_photo()))
    box = boxes[np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - point, axis=1).argmin()]
    for share in MARGINS:
        margin = share * (box[2:] - box[:2])
        (left, top), (right, bottom) = (
            (box[:2] - margin).astype(int),
            (box[2:] + margin).astype(int),
        )
        photos.saved(path, photo[top:bottom, left:right])
        found = faces.post("/detect", files={"file": path.read_bytes()}).json()["faces"]
        if len(found) == 1 and found[0]["usable"]:
            return path
    raise SystemExit(f"no cutting with one usable face: {path.stem}")


def fill(client: httpx.Client, service: str, folder: Path) -> None:
    """Enrol the three, hand the film in, and wait until it is looked through."""
    with httpx.Client(base_url=service, timeout=60) as faces:
        wait_until(lambda: answers(faces, "/health/ready"))
        found = faces.post("/detect", files={"file": photos.solvay_photo().read_bytes()}).json()
        boxes = np.array([face["bbox"] for face in found["faces"]])
        cuttings = {
            name: cut(faces, boxes, point, folder / f"{name}.jpg") for name, point in PEOPLE.items()
        }
    for name, cutting in cuttings.items():
        creator = client.post("/api/creators", json={"name": name}).json()["id"]
        files = {"files": (cutting.name, cutting.read_bytes())}
        client.post(f"/api/creators/{creator}/photos", files=files).raise_for_status()
        path = f"/api/creators/{creator}"
        wait_until(lambda path=path: client.get(path).json()["photos"][0]["state"] != "queued")
        if not client.get(path).json()["references"]:
            raise SystemExit(f"no reference of {name}: {client.get(path).json()['photos']}")
    pan = f"crop=1280:720:'{LEFT}':'{TOP}',format=yuv420p"
    film = ["-loop", "1", "-r", "25", "-i", photos.solvay_photo(), "-t", str(SECONDS), "-vf", pan]
    subprocess.run(["ffmpeg", "-v", "error", *film, "-c:v", "libx264", folder / FILM], check=True)
    files = {"files": (FILM, (folder / FILM).read_bytes())}
    [made] = client.post("/api/videos", files=files).json()
    wait_until(lambda: client.get(f"/api/videos/{made['id']}").json()["state"] == "done")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("the platform does not get done")
        time.sleep(0.2)


def take(browser: Browser, url: str, name: str, scratch: Path) -> None:
    """One picture of what a person sees without scrolling."""
    prepare, device, scheme = SHOTS[name]
    context = browser.new_context(
        base_url=url, color_scheme=scheme, reduced_motion="reduce", **device
    )
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    prepare(page)
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=scratch / "shot.png")
    context.close()
    path = IMAGES / f"{name}.jpg"
    with Image.open(scratch / "shot.png") as shot:
        for quality in (84, 76, 68, 60):
            shot.convert("RGB").save(path, quality=quality, subsampling=0, optimize=True)
            if path.stat().st_size < MOST_BYTES:
                return


def main() -> int:
    """Take all of them, or those that are named."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium on this machine: Debian's package is called chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="platform-") as name, sync_playwright() as playwright:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "home").mkdir()
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        with started(folder / "home") as (client, service):
            fill(client, service, folder)
            for shot in sys.argv[1:] or SHOTS:
                take(browser, str(client.base_url), shot, folder)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
