"""Clients at their worst, for minutes; then one request must be right.

    .venv/bin/python -m tests.chaos [--seconds 180]

Processes that post photos, rubbish and mutated images, with timeouts too short to be
answered, and are killed in the middle of it. At the end the same photo must have the same
faces as in the beginning, nothing may be left inside, and the server must end with 0.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time

import cv2
import numpy as np

from face_service.tools.bench.server import Address, running
from tests.hostile.pictures import mutations
from tests.images import encode

CLIENTS = 6


def misbehave(host: str, port: int, seed: int) -> None:
    """Post in a loop, with no patience, until somebody kills this process."""
    chance = random.Random(seed)
    noise = np.random.default_rng(seed).integers(0, 255, (700, 900, 3), np.uint8)
    honest = [encode(noise, "JPEG"), encode(cv2.resize(noise, (64, 48)), "PNG")]
    for damaged in mutations(1_000_000, seed):
        body = chance.choice((*honest, damaged, b"", b"x" * chance.randrange(200_000)))
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(
                host, port, timeout=chance.choice((0.001, 0.02, 0.2, 5))
            )
            path = chance.choice(
                ("/detect", "/detect", "/extract-embedding", "/detect/batch", "/compare", "/x")
            )
            kind = chance.choice(
                ("image/jpeg", "application/json", "multipart/form-data; boundary=x")
            )
            connection.request(
                chance.choice(("POST", "POST", "PUT")), path, body, {"Content-Type": kind}
            )
            connection.getresponse().read()
            connection.close()


def faces_of(server: Address, photo: bytes) -> object:
    """The faces in a photo, as the server sees them."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.request("POST", "/detect", photo, {"Content-Type": "image/jpeg"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["faces"]


def inside(server: Address) -> float:
    """The requests that the server still holds."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return float(lines["face_service_requests_inside"])


def disturb(server: Address, photo: bytes, seconds: float) -> str | None:
    """Chaos for so long; what was wrong afterwards, None if nothing was."""
    process = server.process
    assert process is not None
    right, chance = faces_of(server, photo), random.Random(0)
    # Their imports, a second of a processor for each client, are those of one process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos"])
    clients, killed, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        while len(clients) < CLIENTS:
            arguments = (server.host, server.port, killed + len(clients))
            clients.append(context.Process(target=misbehave, args=arguments, daemon=True))
            clients[-1].start()
        time.sleep(chance.uniform(0.2, 1.5))
        clients.pop(chance.randrange(CLIENTS)).kill()
        killed += 1
    for client in clients:
        client.kill()
    print(f"{killed} clients were killed")
    if process.poll() is not None:
        return f"the server ended with {process.returncode}"
    until = time.monotonic() + 40
    while inside(server) and time.monotonic() < until:
        time.sleep(0.1)
    if left := inside(server):
        return f"{left:g} requests are still inside"
    if faces_of(server, photo) != right:
        return "the photo has other faces now"
    process.send_signal(signal.SIGTERM)
    try:
        status = process.wait(40)
    except subprocess.TimeoutExpired:
        return "the server does not end"
    return f"the server ended with {status}" if status else None


def main() -> int:
    """Print what was wrong."""
    from tests.conftest import ROOT

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    arguments = parser.parse_args()
    photo = (ROOT / "models/.photos/solvay.jpg").read_bytes()
    with running({"INSIGHTFACE_MODEL": "starter", "LOG_LEVEL": "ERROR"}) as server:
        fault = disturb(server, photo, arguments.seconds)
    print(fault or "right")
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
