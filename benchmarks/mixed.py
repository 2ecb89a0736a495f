"""Memory over thousands of mixed requests: sizes, formats, numbers of faces, errors.

    .venv/bin/python -m benchmarks.mixed [--requests 5000] [--pack starter]

Prints the resident memory, open files and threads of the server as it goes.
"""

from __future__ import annotations

import argparse
import random
import threading
from pathlib import Path

import cv2
import numpy as np

from benchmarks.opponents import SHARED
from face_service.bench.client import Client, request_of
from face_service.bench.frames import generate
from face_service.bench.server import running

CLIENTS = 4
STEPS = 10


def mixed_images() -> list[bytes]:
    """Frames of 0, 1 and 6 faces in several formats and sizes, and things that are none."""
    frames = [frame for faces in (0, 1, 6) for frame in generate(faces, SHARED / "faces", 3)]
    images = list(frames)
    for index, frame in enumerate(frames):
        pixels = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
        side = (64, 333, 700, 1280, 2500)[index % 5]
        small = cv2.resize(pixels, (side, side * (3 + index % 4) // 6))
        suffix = (".png", ".webp", ".bmp", ".tiff", ".jpg")[index % 5]
        images.append(cv2.imencode(suffix, small)[1].tobytes())
    return [*images, b"", b"text", frames[0][:5000], frames[1][:-5000], b"\xff\xd8\xff" + bytes(99)]


def state(pid: int) -> tuple[float, int, int]:
    """Resident memory in MB, open files, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(values["VmRSS"].split()[0]) * 1024 / 1e6, files, int(values["Threads"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--pack", default="starter")
    arguments = parser.parse_args()
    variables = {"INSIGHTFACE_MODEL": arguments.pack, "LOG_LEVEL": "WARNING"}
    with running(variables) as server:
        assert server.process is not None
        requests = [request_of(image, server.host, server.port) for image in mixed_images()]
        statuses: dict[int, int] = {}

        def client(seed: int, count: int) -> None:
            order, connection = random.Random(seed), Client(server.host, server.port)
            for _ in range(count):
                status = connection.send(order.choice(requests)).status
                statuses[status] = statuses.get(status, 0) + 1
            connection.close()

        print("| requests | resident | open files | threads |\n|---|---|---|---|")
        for step in range(1, STEPS + 1):
            share = arguments.requests // STEPS // CLIENTS
            threads = [
                threading.Thread(target=client, args=(step * CLIENTS + k, share))
                for k in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            memory, files, count = state(server.process.pid)
            print(f"| {step * share * CLIENTS} | {memory:.0f} MB | {files} | {count} |", flush=True)
        print(f"answers by status: {dict(sorted(statuses.items()))}")


if __name__ == "__main__":
    main()
