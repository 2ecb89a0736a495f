"""What a fleet does behind a balancer, without the processors of one machine as its limit.

    scripts/deployment.sh                            # HAProxy, if the machine has none
    .venv/bin/python -m benchmarks.fleet [--services 16] [--seconds 0.5] [--duration 20]
                                         [--balance leastconn] [--rounds 2]

Services are the whole application on an engine that sleeps (benchmarks/fleets/stub.py). Prints what
they reach of what they could, how long requests wait at 0.8 of that, how evenly they are
shared, and what is lost in rolling restarts and by SIGKILL. Ends with status 1 where that is not
as docs/capacity.md promises.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.fleets.load import (
    ask_once,
    efficiency,
    killed,
    lasting,
    open_load,
    rolling_restarts,
)
from benchmarks.fleets.processes import Fleet
from face_service.runtime.processor import in_words, processor
from face_service_client import Client

LEAST_EFFICIENCY = 0.97
MOST_WAIT = 0.3
SHARES = (0.9, 1.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def main() -> int:
    """Print a line a measurement. 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--duration", type=float, default=20)
    parser.add_argument("--balance", default="leastconn")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    kept = []

    def line(what: str, found: str, holds: bool) -> None:
        kept.append(holds)
        print(f"{what}: {found}{'' if holds else '  (not as promised)'}", flush=True)

    ports = free_ports(options.services + 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Fleet(Path(folder), ports, options.seconds, balance=options.balance) as fleet,
    ):
        reached, even = efficiency(fleet, options.duration)
        line("steady efficiency", f"{reached:.3f}", reached >= LEAST_EFFICIENCY)
        line("shares, closed", f"{min(even):.2f} to {max(even):.2f}", within(even))
        mean, p99, even = open_load(fleet, 0.8, options.duration)
        line("wait at 0.8, in service times", f"{mean:.2f} mean, {p99:.2f} p99", mean <= MOST_WAIT)
        line("shares, open", f"{min(even):.2f} to {max(even):.2f}", within(even))
        statuses = rolling_restarts(fleet, options.rounds)
        line(f"{options.rounds} rolling restarts", f"{dict(statuses)}", set(statuses) == {200})
        slow = lasting(fleet)
        had, got = killed(fleet, 0, lambda: ask_once(fleet, slow))
        lost = sum(status != 200 for status in got)
        line("SIGKILL of one", f"it had {had} requests, {lost} are lost", lost == had)
        with Client(fleet.url) as client:
            had, got = killed(fleet, 1, lambda: len(client.detect(slow).faces))
        line("the same by the client", f"it had {had}, {len(got)} are answered", not any(got))
    return int(not all(kept))


def within(even: list[float]) -> bool:
    """Whether shares are as promised."""
    return SHARES[0] <= min(even) and max(even) <= SHARES[1]


if __name__ == "__main__":
    sys.exit(main())
