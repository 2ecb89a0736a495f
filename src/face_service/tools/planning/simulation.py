"""Requests that arrive at random at replicas, and how long they wait: by events, one at a time."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Choose = Callable[[list[int]], int]
"""The index of the replica for the next request, given how many requests each replica has."""
CONNECTIONS = 4
"""Kept-alive connections for each replica, of all clients together; for `connections`."""


def fewest_requests(replicas: int, chance: random.Random) -> Choose:
    """The replica that has the fewest requests, in turn where several do: HAProxy's `leastconn`."""
    last = -1

    def choose(inside: list[int]) -> int:
        nonlocal last
        least = min(inside)
        try:
            last = inside.index(least, last + 1)
        except ValueError:
            last = inside.index(least)
        return last

    return choose


def two_choices(replicas: int, chance: random.Random) -> Choose:
    """Of two replicas drawn at random the one that has fewer requests: Envoy's LEAST_REQUEST."""

    def choose(inside: list[int]) -> int:
        one, other = (int(chance.random() * replicas) for _ in range(2))
        return one if inside[one] <= inside[other] else other

    return choose


def round_robin(replicas: int, chance: random.Random) -> Choose:
    """Each replica in turn."""
    last = -1

    def choose(_: list[int]) -> int:
        nonlocal last
        last = (last + 1) % replicas
        return last

    return choose


def at_random(replicas: int, chance: random.Random) -> Choose:
    """A replica drawn at random, each with equal probability."""
    return lambda _: int(chance.random() * replicas)


def connections(replicas: int, chance: random.Random) -> Choose:
    """The replica of the connection on which a request comes, each with equal probability. There
    are CONNECTIONS for each replica, and each was given a replica at random when it was opened:
    kube-proxy under a Service."""
    ends = [int(chance.random() * replicas) for _ in range(CONNECTIONS * replicas)]
    return lambda _: ends[int(chance.random() * len(ends))]


POLICIES: dict[str, Callable[[int, random.Random], Choose]] = {
    "fewest requests": fewest_requests,
    "two choices": two_choices,
    "round robin": round_robin,
    "at random": at_random,
    "connections": connections,
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests. gaps: seconds since the one before. services: seconds of an engine for each."""

    gaps: Sequence[float]
    services: Sequence[float]

    @property
    def busy(self) -> float:
        """Engines that are busy on average."""
        return sum(self.services) / sum(self.gaps)


def traffic(
    rate: float, image: float, face: float, faces: float, count: int = 20_000, seed: int = 1
) -> Traffic:
    """`count` requests at random (Poisson), `rate` a second, with `faces` faces on average
    (Poisson), the same for the same `seed`.

    image, face: seconds of an engine for an image without a face, and for each face.
    """
    chance = random.Random(seed)  # noqa: S311
    gaps = [chance.expovariate(rate) for _ in range(count)]
    return Traffic(gaps, [image + face * poisson(faces, chance) for _ in range(count)])


def poisson(mean: float, chance: random.Random) -> int:
    """A random number of the Poisson distribution with this mean, by Knuth's method, whose time
    grows with the mean: for tens at most."""
    limit, number, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        number += 1
        product *= chance.random()
    return number


def waits(
    requests: Traffic, replicas: int, engines: int, policy: str, seed: int = 2
) -> list[float]:
    """Seconds that each request waits for an engine of the replica that a policy gives it to.

    engines: of each replica; first in, first out. policy: a key of POLICIES. The first tenth of the
    requests is left out, because the queues begin empty.
    """
    choose = POLICIES[policy](replicas, random.Random(seed))  # noqa: S311
    free = [[0.0] * engines for _ in range(replicas)]
    inside = [0] * replicas
    leaving: list[tuple[float, int]] = []
    found, now = [], 0.0
    for gap, service in zip(requests.gaps, requests.services, strict=True):
        now += gap
        while leaving and leaving[0][0] <= now:
            inside[heapq.heappop(leaving)[1]] -= 1
        replica = choose(inside)
        start = max(now, free[replica][0])
        heapq.heapreplace(free[replica], start + service)
        heapq.heappush(leaving, (start + service, replica))
        inside[replica] += 1
        found.append(start - now)
    return found[len(found) // 10 :]
