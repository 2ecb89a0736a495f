"""Mutated images by the thousand through a real server.

    .venv/bin/python -m tests.fuzz [--images 20000] [--seed 1] [--stopped]

Ends with status 1 at the first answer that is neither faces nor a clean error, at a server
that ended, and at memory that grew by more than GROWTH_MB since the first tenth. --stopped: no
time limit is below an hour, for a run that is stopped meanwhile (SIGSTOP) for other measurements.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import Counter

from benchmarks.mixed import State

from face_service.tools.bench import client as bench_client
from face_service.tools.bench.client import Client, request_of
from face_service.tools.bench.server import running
from tests.hostile.pictures import mutations

CLIENTS = 4
STEPS = 10
HOUR_S = 3600
GROWTH_MB = 20


def main() -> int:
    """Print the state of the server as it goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stopped", action="store_true")
    arguments = parser.parse_args()
    variables = {"INSIGHTFACE_MODEL": "starter", "LOG_LEVEL": "ERROR"}
    if arguments.stopped:
        variables |= dict.fromkeys(("REQUEST_TIMEOUT_S", "STALL_TIMEOUT_S"), str(HOUR_S))
        bench_client.TIMEOUT = HOUR_S
    statuses: Counter[int] = Counter()
    surprises: list[tuple[int, bytes]] = []
    memory = []
    with running(variables) as server:
        assert server.process is not None

        def client(seed: int, count: int) -> None:
            connection = Client(server.host, server.port)
            for data in mutations(count, seed):
                answer = connection.send(request_of(data, server.host, server.port))
                statuses[answer.status] += 1
                if answer.status not in (200, 400, 413):
                    surprises.append((answer.status, data))
            connection.close()

        share = arguments.images // STEPS // CLIENTS
        for step in range(STEPS):
            threads = [
                threading.Thread(target=client, args=(arguments.seed * 1000 + step * 10 + n, share))
                for n in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            memory.append(State.at_rest(server.process.pid).memory)
            print(
                f"{sum(statuses.values()):6} sent  {memory[-1]:.0f} MB  {dict(statuses)}",
                flush=True,
            )
            if surprises or server.process.poll() is not None:
                status, data = surprises[0] if surprises else (0, b"")
                print(f"status {status} for {data[:200]!r}, server: {server.process.poll()}")
                return 1
    growth = max(memory) - memory[0]
    print(f"most memory less that after the first tenth: {growth:.1f} MB")
    return int(growth > GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
