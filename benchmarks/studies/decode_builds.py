"""Decoding of JPEG by this code and by an older one, in turns: CPU time, and the ratio.

    .venv/bin/python -m benchmarks.studies.decode_builds ../older [--processes 25]
        [--rounds 5] [--kinds progressive]

`../older`: a checkout of the older code. Each build has a process of its own, which decodes every
file of a kind when it is told to, so often, and then another process: where in memory it lies
decides up to 7 % (one build against itself). A ratio is the median over all rounds of all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import cv2

from benchmarks.frames import ROOT, SHARED
from face_service.runtime.processor import in_words, processor

CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from face_service.vision.image import decode
kinds = [[path.read_bytes() for path in sorted(Path(f).iterdir())] for f in sys.argv[2:]]
for line in sys.stdin:
    files = kinds[int(line)]
    started = time.process_time()
    for data in files:
        decode(data, 50_000_000)
    print(time.process_time() - started, flush=True)
"""
SIZES = {"250 pixels": (250, 250), "1080p": (1920, 1080), "12 megapixels": (4000, 3000)}
ENCODINGS = {
    "sequential": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "with restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 8],
}
PHOTOS = {"250 pixels": 64, "1080p": 6, "12 megapixels": 1}


def write_files(folder: Path, wanted: str = "") -> dict[str, Path]:
    """Photos of several sizes and encodings, a folder for each kind with `wanted` in its name."""
    photos = sorted((SHARED / "faces/lfw").glob("*/*_0001.jpg"))
    folders = {}
    for size, sides in SIZES.items():
        for encoding, options in ENCODINGS.items():
            kind = f"{size}, {encoding}"
            if wanted not in kind:
                continue
            folders[kind] = folder / kind.replace(", ", "-").replace(" ", "-")
            folders[kind].mkdir()
            for number, path in enumerate(photos[: PHOTOS[size]]):
                image = cv2.resize(cv2.imread(str(path)), sides, interpolation=cv2.INTER_CUBIC)
                quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
                data = cv2.imencode(".jpg", image, [*quality, *options])[1].tobytes()
                (folders[kind] / f"{number}.jpg").write_bytes(data)
    return folders


def start(source: Path, folders: list[Path]) -> subprocess.Popen[str]:
    """A process that decodes with the code below `source`."""
    command = [sys.executable, "-c", CHILD, str(source), *map(str, folders)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=source
    )


def cpu_seconds(process: subprocess.Popen[str], kind: int) -> float:
    """Of one round of a kind."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{kind}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("older", type=Path)
    parser.add_argument("--processes", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", default="", help="those with this in their name")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = write_files(Path(folder), arguments.kinds)
        sources = [(arguments.older / "src").resolve(), ROOT / "src"]
        print(in_words(processor()), end="\n\n")
        print("| JPEG | older, ms | this, ms | ratio |")
        print("|---|---|---|---|")
        rounds: dict[str, list[list[float]]] = {kind: [] for kind in folders}
        for _ in range(arguments.processes):
            builds = [start(source, [*folders.values()]) for source in sources]
            for number, kind in enumerate(folders):
                times = [
                    [cpu_seconds(build, number) for build in builds]
                    for _ in range(arguments.rounds + 1)
                ]
                rounds[kind] += times[1:]
            for build in builds:
                build.communicate()
        for kind, files in folders.items():
            each = len([*files.iterdir()])
            older, this = (median(times) / each * 1e3 for times in zip(*rounds[kind], strict=True))
            ratio = median(new / old for old, new in rounds[kind])
            print(f"| {kind} | {older:.2f} | {this:.2f} | {ratio:.3f} |", flush=True)


if __name__ == "__main__":
    main()
