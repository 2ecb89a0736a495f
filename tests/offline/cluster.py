"""A Ray cluster of two nodes on this machine, run by the Python of .ray:

    .ray/bin/python -m tests.offline.cluster CPUS

Prints its address and the folder of its logs; loses the second node, by SIGKILL, at a line on
stdin, and ends when stdin does.
"""

from __future__ import annotations

import signal
import sys

import ray
from ray.cluster_utils import Cluster

ATTEMPTS = 3
"""On a busy machine Ray gives up on the processes that it starts."""


def start(cpus: int) -> tuple[Cluster, object]:
    for attempt in range(ATTEMPTS):
        cluster = Cluster()
        try:
            arguments = {"num_cpus": cpus, "object_store_memory": 100_000_000}
            cluster.add_node(include_dashboard=False, **arguments)
            return cluster, cluster.add_node(**arguments)
        except Exception as error:
            print(f"again: {error}", file=sys.stderr)
            cluster.shutdown()
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("not reached")


def main() -> None:
    cluster, node = start(int(sys.argv[1]))
    print(cluster.address, cluster.head_node.get_logs_dir_path(), flush=True)
    for _ in sys.stdin:
        (raylet,) = node.all_processes["raylet"]  # type: ignore[attr-defined]
        raylet.process.send_signal(signal.SIGKILL)
        print("lost", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    assert ray.__version__.startswith("2.60")
    main()
