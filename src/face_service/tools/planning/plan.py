"""The fewest replicas that keep the 99th percentile of the latency, by policy of the balancer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from face_service.tools.bench.report import mean, percentile
from face_service.tools.planning.simulation import POLICIES, Traffic, traffic, waits

SIMULATED = 250
"""The largest fleet that is simulated whole, in replicas that the load needs at the least. A larger
one is divided into equal shares, and one of them is simulated: its requests wait as long as those
of the whole or, with the policy `fewest requests`, a little longer."""
MOST_REPLICAS = 4
"""Most replicas that are tried, as a multiple of those that the load needs at the least: a policy
that would need more is given up."""
BALANCER_MS = 0.4
"""Milliseconds of a processor that HAProxy takes for a request with a photo of 273 kB
(docs/capacity.md). Added to the latency as well, as a bound: of that it adds 0.3."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load, what a replica can do, and the latency that is wanted.

    rate: requests a second. faces: of an image on average. p99: seconds that the 99th percentile of
    the latency may be. image, face: seconds that an engine takes for an image without its faces,
    and for each face. engines: of a replica. decode: seconds of another processor that decoding an
    image takes before the engine; 0 where `image` includes it. price: of a replica an hour, in
    any currency; 0 where it is not known.
    """

    rate: float
    faces: float
    p99: float
    image: float
    face: float
    engines: int
    decode: float
    price: float

    @property
    def engines_busy(self) -> float:
        """Engines that the load keeps busy on average, of all replicas together."""
        return self.rate * (self.image + self.face * self.faces)


@dataclass(frozen=True, slots=True)
class Row:
    """What a policy needs. replicas: None where MOST_REPLICAS times the least are not enough; the
    other numbers are then of so many. load: share of the engines that is busy, 0..1. wait: mean
    seconds that a request waits for an engine. p99: seconds, the 99th percentile of the latency."""

    policy: str
    replicas: int | None
    load: float
    wait: float
    p99: float

    def cost(self, plan: Load) -> float | None:
        """Cost of a million requests in the currency of `plan.price`; None without `replicas`."""
        if self.replicas is None:
            return None
        return self.replicas * plan.price / 3600 / plan.rate * 1e6


def least_replicas(plan: Load, requests: Traffic) -> int:
    """The fewest replicas whose queues do not grow for ever."""
    return math.floor(requests.busy / plan.engines) + 1


def rows(plan: Load) -> Iterator[Row]:
    """Simulate every policy of POLICIES: a row for each."""
    busy = plan.rate * (plan.image + plan.face * plan.faces)
    shares = math.ceil(busy / plan.engines / SIMULATED)
    share = replace(plan, rate=plan.rate / shares)
    requests = traffic(share.rate, plan.image, plan.face, plan.faces)
    for policy in POLICIES:
        found = row(share, requests, policy)
        yield replace(found, replicas=found.replicas and found.replicas * shares)


def row(plan: Load, requests: Traffic, policy: str) -> Row:
    """The fewest replicas with which a policy keeps the latency, found by bisection: with more
    replicas requests do not wait longer, but for chance."""
    low = least_replicas(plan, requests)
    high = MOST_REPLICAS * low
    simulated = partial(simulate, plan, requests, policy)
    found = simulated(high)
    if found.p99 > plan.p99:
        return Row(policy, None, found.load, found.wait, found.p99)
    while low < high:
        middle = (low + high) // 2
        tried = simulated(middle)
        if tried.p99 <= plan.p99:
            high, found = middle, tried
        else:
            low = middle + 1
    return found


def simulate(plan: Load, requests: Traffic, policy: str, replicas: int) -> Row:
    """Simulate a policy with so many replicas."""
    waited = waits(requests, replicas, plan.engines, policy)
    services = requests.services[-len(waited) :]
    added = plan.decode + BALANCER_MS / 1e3
    latencies = [wait + service + added for wait, service in zip(waited, services, strict=True)]
    load = requests.busy / plan.engines / replicas
    return Row(policy, replicas, load, mean(waited), percentile(latencies, 99))


def as_dict(plan: Load, found: list[Row]) -> dict[str, Any]:
    """The plan in the types of JSON, times in milliseconds."""
    return {
        "engines_busy": plan.engines_busy,
        "balancer_cores": plan.rate * BALANCER_MS / 1e3,
        "decode_cores": plan.rate * plan.decode,
        "policies": [
            {
                "policy": each.policy,
                "replicas": each.replicas,
                "load": round(each.load, 3),
                "wait_ms": round(each.wait * 1e3, 1),
                "p99_ms": round(each.p99 * 1e3, 1),
                "cost_per_million": each.cost(plan) if plan.price else None,
            }
            for each in found
        ],
    }


def as_text(plan: Load, found: list[Row]) -> str:
    """The plan for people: a Markdown table, and the cores that balancer and decoding need."""
    money = bool(plan.price)
    lines = [
        f"{plan.rate:g} requests/s keep {plan.engines_busy:.1f} engines busy, "
        f"{plan.engines} to a replica.",
        "",
        "| policy | replicas | load | wait, ms | p99, ms |" + " cost of a million |" * money,
        "|---|---|---|---|---|" + "---|" * money,
    ]
    for each in found:
        cells = [
            each.policy,
            "none" if each.replicas is None else str(each.replicas),
            f"{each.load:.2f}",
            f"{each.wait * 1e3:.0f}",
            f"{each.p99 * 1e3:.0f}",
        ]
        if money:
            cost = each.cost(plan)
            cells.append("" if cost is None else f"{cost:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Beside them: {plan.rate * BALANCER_MS / 1e3:.2f} cores for the balancer, "
        f"{plan.rate * plan.decode:.1f} for decoding.",
    ]
    if all(each.replicas is None for each in found):
        lines.append(
            f"No number keeps {plan.p99 * 1e3:g} ms: an image with more faces than usual takes "
            "longer by itself. Faster replicas, fewer faces (max_faces), or more time."
        )
    return "\n".join(lines)
