"""A library of photos, and of videos whose reader does what their text says: crash, hang, fail."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np

READER = """
import os, signal, time
import cv2
import numpy as np
from face_service.errors import InvalidImage
from face_service.offline.frames import VideoFrame

def frames(file, start_s, end_s, every_s):
    word, _, rest = file.read().decode().partition(" ")
    if word == "exit":
        os._exit(9)
    if word == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "once":  # the first time only
        try:
            os.remove(rest)
        except FileNotFoundError:
            pass
        else:
            os._exit(9)
    if word == "wait":  # says that it waits, until the file is gone
        open(f"{os.path.dirname(rest)}/waits-{os.getpid()}", "w").close()
        while os.path.exists(rest):
            time.sleep(0.01)
    if word == "hang":
        time.sleep(3600)
    if word == "raise":
        raise RuntimeError("out of order")
    if word == "no-video":
        raise InvalidImage("This is no video")
    image = cv2.imread(rest) if rest and word == "faces" else np.zeros((40, 60, 3), np.uint8)
    for number in range(3):
        seconds = (start_s or 0) + number * every_s
        if end_s is None or seconds < end_s:
            yield VideoFrame(round(seconds * 1000), image)
"""


def make_reader(folder: Path, function: str = "odd_reader:frames") -> None:
    """A reader of videos, found where `folder` is on the path. function: of its entry point."""
    (folder / "odd_reader.py").write_text(READER)
    about = folder / "odd_reader-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-reader\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[face_service.frames]\nodd = {function}\n")


def make_library(folder: Path, photo: Path, extra: list[dict[str, object]]) -> Path:
    """A manifest of items of every kind, ids in tens by kind; `extra` items after them."""
    folder.mkdir(parents=True)
    shutil.copy(photo, folder / "faces.jpg")
    cv2.imwrite(str(folder / "nobody.png"), np.zeros((48, 64, 3), np.uint8))
    (folder / "text.jpg").write_text("no image")
    videos = {
        "clip.mp4": f"faces {folder / 'faces.jpg'}",
        "empty.mp4": "nobody",
        "exit.mp4": "exit",
        "killed.mp4": "killed",
        "once.mp4": f"once {folder / 'once'}",
        "hang.mp4": "hang",
        "raise.mp4": "raise",
        "no-video.mp4": "no-video",
    }
    (folder / "once").touch()
    for name, text in videos.items():
        (folder / name).write_text(text)
    rows: list[dict[str, object]] = [
        {"id": 10, "uri": "faces.jpg"},
        {"id": 11, "uri": "nobody.png"},
        {"id": 12, "uri": "text.jpg"},
        {"id": 13, "uri": "absent.jpg"},
        {"id": 20, "uri": "clip.mp4", "start_s": 60, "end_s": 61.5},
        {"id": 21, "uri": "empty.mp4"},
        *({"id": 22 + n, "uri": name} for n, name in enumerate(list(videos)[2:])),
        *extra,
    ]
    return write_manifest(folder / "manifest.csv", rows)


def write_manifest(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "uri", "start_s", "end_s"])
        writer.writeheader()
        writer.writerows(rows)
    return path


EXPECTED = {
    12: "invalid_image",
    13: "unreadable",
    22: "crashed",
    23: "crashed",
    25: "timed_out",
    26: "inference_failed",
    27: "invalid_image",
}
"""The codes of the items that fail. 24 crashes once, and is tried again."""
FACES = {10: 4, 11: 0, 20: 8, 21: 0, 24: 0}
"""Faces of the others: of all frames."""
