"""Clients of a fleet, and what became of their requests."""

from __future__ import annotations

import math
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import cv2
import httpx
import numpy as np

from benchmarks.fleets.processes import Fleet
from benchmarks.fleets.stub import UNIT
from face_service.tools.bench.client import Client, request_of
from face_service.tools.bench.report import percentile

SETTLE_S = 2.0
"""Left out at the beginning of a measurement: the first of each client come all at once."""


@cache
def photo(times: int = 1) -> bytes:
    """A small JPEG, which takes the stub so many of its service times: what decodes it is not
    measured here."""
    return cv2.imencode(".jpg", np.full((UNIT, times * UNIT, 3), 90, np.uint8))[1].tobytes()


@dataclass(slots=True)
class Seen:
    """What clients saw: statuses (0: no answer), and start, seconds of those with a 200."""

    statuses: Counter[int] = field(default_factory=Counter)
    answered: list[tuple[float, float]] = field(default_factory=list)

    def ask(self, client: Client, request: bytes, since: float | None = None) -> None:
        """Send a request that was due at `since`, by default now."""
        since = time.monotonic() if since is None else since
        status = client.send(request).status
        self.statuses[status] += 1
        if status == 200:
            self.answered.append((since, time.monotonic() - since))


@contextmanager
def clients(fleet: Fleet, count: int) -> Iterator[Seen]:
    """So many that ask again as soon as they have an answer, for the length of the block."""
    request, seen, stop = request_of(photo(), fleet.host, fleet.port), Seen(), threading.Event()

    def ask() -> None:
        client = Client(fleet.host, fleet.port)
        while not stop.is_set():
            seen.ask(client, request)
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def shares(fleet: Fleet, run: Callable[[], Seen]) -> tuple[Seen, list[float]]:
    """What `run` saw, and how many requests each service answered of it, against the mean."""
    numbers = range(len(fleet.services))
    before = [fleet.answered(number) for number in numbers]
    seen = run()
    answered = [fleet.answered(number) - before[number] for number in numbers]
    return seen, [count / statistics.mean(answered) for count in answered]


def efficiency(fleet: Fleet, seconds: float) -> tuple[float, list[float]]:
    """Answers a second of twice as many clients as services, against services / service time; and
    the shares."""
    count = len(fleet.services)
    began = time.monotonic()

    def run() -> Seen:
        with clients(fleet, 2 * count) as seen:
            time.sleep(SETTLE_S + seconds)
        return seen

    seen, of_each = shares(fleet, run)
    ends = [since + took for since, took in seen.answered]
    within = sum(SETTLE_S <= end - began < SETTLE_S + seconds for end in ends)
    return within / seconds / (count / fleet.seconds), of_each


def open_load(
    fleet: Fleet, load: float, seconds: float, seed: int = 1
) -> tuple[float, float, list[float]]:
    """Mean and 99th percentile of waiting in service times where requests arrive at random
    (Poisson) at `load` of what the services can do; and the shares."""
    rate = load * len(fleet.services) / fleet.seconds
    chance = random.Random(seed)
    request = request_of(photo(), fleet.host, fleet.port)
    arrivals: list[float] = []
    while (last := arrivals[-1] if arrivals else 0.0) < seconds:
        arrivals.append(last + chance.expovariate(rate))

    def run() -> Seen:
        seen, lock, rest = Seen(), threading.Lock(), iter(arrivals)
        began = time.monotonic() + 0.5

        def sender() -> None:
            client = Client(fleet.host, fleet.port)
            while True:
                with lock:
                    due = next(rest, None)
                if due is None:
                    break
                time.sleep(max(0.0, began + due - time.monotonic()))
                seen.ask(client, request, began + due)
            client.close()

        threads = [threading.Thread(target=sender) for _ in range(6 * len(fleet.services))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen

    seen, of_each = shares(fleet, run)
    if set(seen.statuses) != {200}:
        raise RuntimeError(f"answers other than 200: {seen.statuses}")
    waits = [max(0.0, took - fleet.seconds) / fleet.seconds for _, took in seen.answered]
    return statistics.mean(waits), percentile(waits, 99), of_each


def rolling_restarts(fleet: Fleet, rounds: int) -> Counter[int]:
    """Statuses that as many clients as services see while each service is restarted in turn."""
    with clients(fleet, len(fleet.services)) as seen:
        for _ in range(rounds):
            for number in range(len(fleet.services)):
                fleet.restart(number)
    return seen.statuses


def inside(fleet: Fleet, number: int) -> int:
    """Requests inside a service."""
    text = httpx.get(f"http://{fleet.host}:{fleet.ports[number]}/metrics").text
    (line,) = (
        line for line in text.splitlines() if line.startswith("face_service_requests_inside ")
    )
    return int(float(line.split()[1]))


def killed(
    fleet: Fleet, number: int, ask: Callable[[], int], together: bool = False
) -> tuple[int, list[int]]:
    """SIGKILL to a service while twice as many requests as services are inside, each of a caller in
    `ask`; `together`: all of one. Returns how many the service had, and what the callers got."""
    got: list[int] = []
    wanted = 2 * len(fleet.services)
    callers = [
        threading.Thread(target=lambda: got.append(ask())) for _ in range(1 if together else wanted)
    ]
    for caller in callers:
        caller.start()
    end = time.monotonic() + 30
    while sum(inside(fleet, each) for each in range(len(fleet.services))) < wanted:
        if time.monotonic() > end:
            raise TimeoutError("the requests do not arrive")
    had = inside(fleet, number)
    fleet.services[number].kill()
    for caller in callers:
        caller.join()
    fleet.services[number].wait(30)
    fleet.replace(number)
    return had, got


def ask_once(fleet: Fleet, image: bytes) -> int:
    """The status of one request, 0 for none."""
    client = Client(fleet.host, fleet.port)
    try:
        return client.send(request_of(image, fleet.host, fleet.port)).status
    finally:
        client.close()


def lasting(fleet: Fleet) -> bytes:
    """A photo that takes seconds: time to ask each service what it has inside."""
    return photo(math.ceil((1 + 0.2 * len(fleet.services)) / fleet.seconds))
