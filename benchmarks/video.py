"""CPU time of a frame a second out of a video: this service's way, and FFmpeg's to JPEG.

    python -m benchmarks.video [--seconds 60] [--repeat 5] [--rounds 3] [--keyframes 250 50 25]
        [--folder FOLDER] [--make] [--few-cpus 0]

Both sides end with decoded pixels: FFmpeg writes JPEGs (`-vf fps=1`), which are decoded as those of
a request are. They take turns of seconds (SIGSTOP, SIGCONT), so that whatever else this machine
does costs both the same. The clip is made first: photos of ../shared that pan, with noise, in
1080p, by libx264's preset medium, --seconds of them --repeat times one after the other (--repeat
60: an hour, 0.7 GB, and as much for JPEGs); with --folder it is kept there, and made once, with
--make nothing else is done. --few-cpus 0 decodes frames side by side (FEW_CPUS of
video/frames.py). Needs PyAV, FFmpeg and Linux. CPU time by getrusage, of all threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks.frames import SHARED
from face_service.runtime.processor import in_words, processor
from face_service.video import frames as module
from face_service.video.frames import frames
from face_service.vision.image import decode

EVERY_MS = 1000
MOST_PIXELS = 10**8
WIDTH, HEIGHT, TILE = 2560, 1440, 240
PAN = "crop=1920:1080:'320+300*sin(t*0.7)':'180+170*cos(t*0.45)',noise=alls=3:allf=t,format=yuv420p"


def cpu_seconds() -> float:
    """Of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def picture() -> np.ndarray:
    """Photos of people side by side."""
    photos = sorted((SHARED / "faces" / "lfw").glob("*/*.jpg"))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    places = [(y, x) for y in range(0, HEIGHT, TILE) for x in range(0, WIDTH, TILE)]
    for path, (y, x) in zip(photos, places, strict=False):
        tile = image[y : y + TILE, x : x + TILE]
        tile[:] = cv2.resize(cv2.imread(str(path)), (TILE, TILE))[: tile.shape[0], : tile.shape[1]]
    return image


def ffmpeg(*arguments: object) -> None:
    """Run FFmpeg."""
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *map(str, arguments)], check=True)


def make_clip(folder: Path, seconds: int, repeat: int, keyframes: int) -> Path:
    """A clip with at most so many frames from one keyframe to the next."""
    names = ("still.png", "once.mp4", f"{seconds}-{repeat}-{keyframes}.mp4")
    still, once, clip = (folder / name for name in names)
    if clip.exists():
        return clip
    if not still.exists():
        cv2.imwrite(str(still), picture())
    ffmpeg(
        *("-loop", 1, "-framerate", 25, "-t", seconds, "-i", still, "-vf", PAN),
        *("-c:v", "libx264", "-preset", "medium", "-g", keyframes, "-y", once),
    )
    ffmpeg("-stream_loop", repeat - 1, "-i", once, "-c", "copy", clip)
    return clip


def ours(clip: Path, _: Path) -> int:
    """Frames as `face-service detect` takes them."""
    return sum(1 for _ in frames(clip, EVERY_MS))


def theirs(clip: Path, folder: Path) -> int:
    """JPEGs by FFmpeg, then pixels as those of a request."""
    ffmpeg("-i", clip, "-vf", "fps=1", folder / "%d.jpg")
    files = list(folder.glob("*.jpg"))
    for file in files:
        decode(file.read_bytes(), MOST_PIXELS)
    return len(files)


def measure(
    side: Callable[[Path, Path], int], clip: Path, few_cpus: int, result: Connection
) -> None:
    """Send the frames and the CPU seconds of one run: what a process of its own does."""
    module.FEW_CPUS = few_cpus
    with tempfile.TemporaryDirectory() as folder:
        before = cpu_seconds()
        result.send((side(clip, Path(folder)), cpu_seconds() - before))


def tell(pid: int, what: signal.Signals) -> None:
    """Signal a process and its children."""
    with suppress(OSError):  # it may have ended
        os.kill(pid, what)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), what)


TURNS: dict[Callable[[Path, Path], int], float] = {theirs: 4, ours: 2}
"""Seconds, about as what each needs in all."""


def side_by_side(clip: Path, few_cpus: int) -> tuple[float, float]:
    """CPU seconds of FFmpeg's way and of this service's, in turns of TURNS seconds."""
    context = get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in TURNS]
    processes = [
        context.Process(target=measure, args=(side, clip, few_cpus, sender))
        for side, (_, sender) in zip(TURNS, pipes, strict=True)
    ]
    for process in processes:
        process.start()
        tell(process.pid or 0, signal.SIGSTOP)
    for process, seconds in cycle(zip(processes, TURNS.values(), strict=True)):
        if not any(each.is_alive() for each in processes):
            break
        tell(process.pid or 0, signal.SIGCONT)
        process.join(seconds)
        if process.is_alive():
            tell(process.pid or 0, signal.SIGSTOP)
    (others, their_seconds), (own, our_seconds) = (receiver.recv() for receiver, _ in pipes)
    if abs(others - own) > 1:
        raise SystemExit(f"{others} frames by FFmpeg, {own} by this")
    return their_seconds, our_seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keyframes", type=int, nargs="+", default=[250, 50, 25])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--few-cpus", type=int, default=module.FEW_CPUS)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    length = arguments.seconds * arguments.repeat
    print(f"A clip of {length} s, CPU seconds, medians of {arguments.rounds} rounds:\n")
    print("| frames from keyframe to keyframe | FFmpeg to JPEG, and decoding | this | ratio |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        for keyframes in arguments.keyframes:
            clip = make_clip(folder, arguments.seconds, arguments.repeat, keyframes)
            if arguments.make:
                continue
            rounds = [side_by_side(clip, arguments.few_cpus) for _ in range(arguments.rounds)]
            first, second = (median(column) for column in zip(*rounds, strict=True))
            ratio = median(mine / other for other, mine in rounds)
            print(f"| {keyframes} | {first:.2f} | {second:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
