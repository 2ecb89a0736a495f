"""What the platform costs beside the face service and FFmpeg, and how fast it is beside them.

    .venv/bin/python -m benchmarks.pipeline [--clips 1080 360] [--seconds 48] [--rounds 3]

A clip of 25 frames a second, of scenes of four seconds with none to two faces under a moving
camera, is handed in `--videos` times. Prints the CPU time of each part for each frame that is
looked at, and the wall time beside that of the same frames without the platform: FFmpeg with the
command of docs/backend.md, on two clips at a time, and eight callers who post what it gives to the
same service. Both in turn. Ends with status 1 where Bun and PostgreSQL take 5 % of a frame's CPU
time, or the platform is slower than 90 % of the others alone.
"""

from __future__ import annotations

import argparse
import queue
import shlex
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.frames import frame
from benchmarks.platform_parts import Parts, parts
from face_service.runtime.processor import in_words, processor
from tests.samples import samples

SCENE_S, RATE = 4, 25
AT_ONCE, CALLERS = 2, 8
"""As the platform by default: JOBS, and PARALLEL of each."""
OPTIONS = "crops=true&attributes=false&embedding_format=base64"
"""What the platform asks for."""
END = b"\xff\xd9"


def write_clip(folder: Path, height: int, seconds: int) -> Path:
    """A BT.709 clip whose camera moves all the time; its width is 16/9 of its height."""
    path = folder / f"{height}p.mp4"
    move = "crop=iw-64:ih-36:x=32+32*sin(t):y=18+18*cos(t)"
    filters = f"fps={RATE},{move},zscale=w={height * 16 // 9}:h={height}:m=709:r=tv,format=yuv420p"
    colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", *colours]
    source = ["-f", "image2pipe", "-framerate", f"1/{SCENE_S}", "-c:v", "mjpeg", "-i", "-"]
    stills = b"".join(frame((n + 1) % 3, n) for n in range(seconds // SCENE_S))
    command = ["ffmpeg", "-v", "error", "-y", *source, "-vf", filters, *encoder, path]
    subprocess.run(command, input=stills, check=True)
    return path


def pictures(clip: Path, folder: Path) -> Iterator[bytes]:
    """The frames of a clip, by the command of docs/backend.md, as FFmpeg gives them."""
    [sample] = [one for one in samples("bash") if one.page == "docs/backend.md"]
    words = shlex.split(sample.code.replace("\\\n", ""))
    words = [word for word in words if ">" not in word]
    command = [str(clip) if word == "video.mp4" else word for word in words]
    held = b""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as ffmpeg:
        assert ffmpeg.stdout
        while piece := ffmpeg.stdout.read1():
            *whole, held = (held + piece).split(END)
            yield from (picture + END for picture in whole)
    if ffmpeg.returncode:
        raise RuntimeError(f"FFmpeg ended with {ffmpeg.returncode}")


def alone(clip: Path, videos: int, port: int, folder: Path) -> tuple[float, int]:
    """FFmpeg and the service: seconds, and frames."""
    waiting: queue.Queue[bytes | None] = queue.Queue(CALLERS)

    def call() -> None:
        connection = HTTPConnection("127.0.0.1", port)
        while picture := waiting.get():
            headers = {"Content-Type": "application/octet-stream"}
            connection.request("POST", f"/detect?{OPTIONS}", picture, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")

    def decode(_: int) -> int:
        frames = 0
        for picture in pictures(clip, folder):
            waiting.put(picture)
            frames += 1
        return frames

    callers = [threading.Thread(target=call, daemon=True) for _ in range(CALLERS)]
    begun = time.monotonic()
    for caller in callers:
        caller.start()
    with ThreadPoolExecutor(AT_ONCE) as decoders:
        frames = sum(decoders.map(decode, range(videos)))
    for _ in callers:
        waiting.put(None)
    for caller in callers:
        caller.join()
    return time.monotonic() - begun, frames


def with_platform(clip: Path, videos: int, running: Parts) -> tuple[float, dict[str, float]]:
    """Seconds from the first upload to the last tag, and CPU milliseconds of a frame by part."""
    before = running.cpu_seconds()
    made = [running.backend.upload(clip) for _ in range(videos)]
    running.wait_until_done()
    spent = running.cpu_seconds()
    [[seconds, frames]] = running.backend.query(f"""
        SELECT extract(epoch FROM max(done_at) - min(created_at)), sum(frames)
        FROM videos WHERE id >= {made[0]}""")
    return float(seconds), {
        part: 1000 * (spent[part] - before[part]) / int(frames) for part in spent
    }


def report(height: int, options: argparse.Namespace, running: Parts) -> tuple[float, float]:
    """Prints both tables; the share of Bun and PostgreSQL, and how fast the platform is."""
    clip = write_clip(running.folder, height, options.seconds)
    walls: list[tuple[float, float]] = []
    costs: list[dict[str, float]] = []
    for n in range(-1, options.rounds):  # the first is thrown away: everything warms up
        theirs, frames = alone(clip, options.videos, running.service.port, running.folder)
        ours, cost = with_platform(clip, options.videos, running)
        if n >= 0:
            walls.append((theirs, ours))
            costs.append(cost)
    middle = {part: statistics.median(cost[part] for cost in costs) for part in costs[0]}
    total = sum(middle.values())
    print(f"\n{options.videos} videos of {options.seconds} s, {height} lines, {frames} frames")
    print("\n| CPU of a frame | " + " | ".join(middle) + " |\n|" + "---|" * (1 + len(middle)))
    print("| ms | " + " | ".join(f"{part:.1f}" for part in middle.values()) + " |")
    print("| share | " + " | ".join(f"{part / total:.1%}" for part in middle.values()) + " |")
    ratio = statistics.median(theirs / ours for theirs, ours in walls)
    each = ", ".join(f"{theirs:.1f} / {ours:.1f}" for theirs, ours in walls)
    print(f"\nWithout the platform / with it, seconds: {each}; {ratio:.0%}", flush=True)
    return (middle["Bun"] + middle["PostgreSQL"]) / total, ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="*", default=[1080, 360])
    parser.add_argument("--seconds", type=int, default=48)
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(in_words(processor()))
    with parts(LEASE_S="15", JOBS="2") as running:  # the defaults; tests have others
        found = [report(height, options, running) for height in options.clips]
    return 0 if all(share < 0.05 and ratio >= 0.9 for share, ratio in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
