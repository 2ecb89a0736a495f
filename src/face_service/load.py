"""Load on a server over HTTP: how many requests it answers, and how fast."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

BOUNDARY = "face-service-load"


@dataclass(slots=True)
class Load:
    """What one stretch of load measured. Times in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def throughput(self) -> float:
        """Requests answered with 200 per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Latency in milliseconds below which `percent` of the answers came."""
        return float(np.percentile(self.latencies, percent)) * 1e3


def multipart(image: bytes) -> bytes:
    """A form with the image as its field `file`."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="frame.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def closed_loop(url: str, images: Sequence[bytes], clients: int, requests: int) -> Load:
    """Let `clients` post `requests` images in all to `url`/detect, each as soon as it can."""
    bodies = [multipart(image) for image in images]
    turns = itertools.count()
    load, lock = Load(), threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        while (turn := next(turns)) < requests:
            started = time.perf_counter()
            status = post(connection, bodies[turn % len(bodies)])
            elapsed = time.perf_counter() - started
            with lock:
                if status == 200:
                    load.latencies.append(elapsed)
                else:
                    load.errors += 1
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - started
    return load


def post(connection: http.client.HTTPConnection, body: bytes) -> int:
    """Post a form and read the whole answer; its status, or 0 if the connection broke."""
    try:
        connection.request(
            "POST",
            "/detect",
            body,
            {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        )
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
