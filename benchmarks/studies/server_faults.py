"""Decision 0022: what bad and unlucky clients get from uvicorn, Granian and Hypercorn.

    PYTHONPATH=FOLDER:src:. .venv/bin/python -m benchmarks.studies.server_faults
        [--servers uvicorn granian hypercorn] [--only headers_drip ...]

FOLDER: see server_subjects.py. A column is a server, a row is a case: yes or no, and what was
seen. "Ended" means that the server's process holds the socket no longer (/proc/net/tcp), whatever
the client sees. Bounded: at most 61 connections, 160 MB over loopback and two minutes a server.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.studies.server_answers import QUICK, drain
from benchmarks.studies.server_clients import BOUNDS, Seen
from benchmarks.studies.server_connections import SLOW, connections_bounded
from benchmarks.studies.server_subjects import SERVERS, served_by
from benchmarks.tables import table


def slow_cases(name: str, only: list[str]) -> dict[str, Seen]:
    """What waits for a server's clocks, all at once."""
    with served_by(name, **BOUNDS) as server, ThreadPoolExecutor(len(SLOW) + 1) as pool:
        cases = wanted(SLOW, only)
        found = list(pool.map(lambda case: guarded(case, server), cases))
        bounded = [guarded(case, name) for case in wanted((connections_bounded,), only)]
    return {
        str(case.__doc__): seen
        for case, seen in zip(
            [*cases, *wanted((connections_bounded,), only)], [*found, *bounded], strict=True
        )
    }


def quick_cases(name: str, only: list[str]) -> dict[str, Seen]:
    """One after the other, with the machine to themselves."""
    with served_by(name, **BOUNDS | {"REQUEST_TIMEOUT_S": "60"}) as server:
        found = {str(case.__doc__): guarded(case, server) for case in wanted(QUICK, only)}
        alive = server.address.health().get("status") == "healthy"
        traces = server.log.read_text().count("Traceback")
        found["Afterwards it is healthy, without a traceback"] = Seen(
            alive and not traces, f"healthy: {alive}, tracebacks: {traces}"
        )
    return found | {str(case.__doc__): guarded(case, name) for case in wanted((drain,), only)}


def wanted(cases: Sequence[Callable[..., Seen]], only: list[str]) -> list[Callable[..., Seen]]:
    return [case for case in cases if not only or case.__name__ in only]


def guarded(case: Callable[..., Seen], subject: object) -> Seen:
    try:
        return case(subject)
    except Exception as error:
        return Seen(False, f"{type(error).__name__}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--only", nargs="+", default=[])
    arguments = parser.parse_args()
    names, only = arguments.servers, arguments.only
    with ThreadPoolExecutor() as pool:
        slow = list(pool.map(lambda name: slow_cases(name, only), names))
    found = {
        name: waited | quick_cases(name, only) for name, waited in zip(names, slow, strict=True)
    }
    sentences = next(iter(found.values()))
    print(
        table(
            "| | " + " | ".join(arguments.servers) + " |",
            (
                f"| {sentence} | "
                + " | ".join(
                    f"{'yes' if seen.good else '**no**'}: {seen.what}"
                    for seen in (found[name][sentence] for name in arguments.servers)
                )
                + " |"
                for sentence in sentences
            ),
        )
    )


if __name__ == "__main__":
    main()
