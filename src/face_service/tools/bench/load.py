"""The client: posts images to a server on this machine and measures the latency of each answer.

It runs in a process of its own, `python -m face_service.tools.bench.load`: the plan and the images
as JSON on stdin, a Load as JSON on stdout (see child_process). It imports neither
NumPy nor OpenCV and sends bytes that were prepared beforehand, for it shares the machine with the
server it measures.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from face_service.errors import FaceServiceError
from face_service.runtime.child_process import (
    answer_stream,
    end_with_parent,
    python_module,
    requests,
    write_answer,
)
from face_service.runtime.child_process import run as run_program

from .client import Client, Reply, request_of


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to send, and when.

    clients: connections. requests: at most. seconds: no request starts later than this after the
    first one, or, where a rate is given, than twice this. rate: arrivals per second, whether the
    server keeps up or not (open loop); None lets each client post as soon as it has its answer
    (closed loop).
    """

    clients: int
    requests: int
    seconds: float
    rate: float | None = None

    @property
    def arrivals(self) -> int:
        """Requests to send if nothing stops them."""
        if self.rate is None:
            return self.requests
        return min(self.requests, max(1, math.floor(self.rate * self.seconds)))

    @property
    def last_start(self) -> float:
        """Seconds after the first request after which none is sent."""
        return self.seconds if self.rate is None else 2 * self.seconds

    def due(self, number: int) -> float | None:
        """Seconds after the start at which the request of this number, from 0, is to be sent; None
        in a closed loop."""
        return None if self.rate is None else number / self.rate


@dataclass(slots=True)
class Sample:
    """One request. status: of HTTP, 0 for a broken connection. latency: seconds from when the
    request was due to the end of the answer. late: seconds of these before it was sent; 0 in a
    closed loop. stages: milliseconds by stage, of the header Server-Timing."""

    status: int
    latency: float
    late: float
    faces: int
    stages: dict[str, float]


@dataclass(slots=True)
class Load:
    """The measurement of a plan. seconds: from the first request to the last answer. cpu_seconds:
    CPU time of the client itself. unsent: requests that were not sent because time was up."""

    samples: list[Sample]
    seconds: float
    cpu_seconds: float
    unsent: int

    @property
    def latencies(self) -> list[float]:
        """Seconds, of the requests that were answered with 200."""
        return [sample.latency for sample in self.samples if sample.status == 200]

    @property
    def throughput(self) -> float:
        """Requests answered with 200 per second."""
        return len(self.latencies) / self.seconds

    @property
    def errors(self) -> dict[str, int]:
        """Number of requests by status, `broken` for a connection that broke; without 200."""
        counts = Counter(sample.status for sample in self.samples if sample.status != 200)
        return {str(status) if status else "broken": n for status, n in sorted(counts.items())}


def send_requests(
    plan: Plan,
    numbers: Callable[[], int],
    send: Callable[[int], Reply],
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    started: float = 0.0,
) -> list[Sample]:
    """What one client does: send requests until the plan is fulfilled.

    numbers: returns the number of the next request, shared by all clients. send: sends the request
    of a number. started: the start on `clock`. A request is timed from the moment it was due: if
    all clients were busy then, the wait for one of them counts.
    """
    samples = []
    while (number := numbers()) < plan.arrivals:
        due, now = plan.due(number), clock() - started
        if due is not None and due > now:
            sleep(due - now)
            now = clock() - started
        if now > plan.last_start:
            break
        since = now if due is None else due
        reply = send(number)
        samples.append(
            Sample(
                reply.status,
                clock() - started - since,
                max(0.0, now - since),
                reply.faces,
                reply.stages,
            )
        )
    return samples


def run(plan: Plan, host: str, port: int, images: Sequence[bytes]) -> Load:
    """Post the images in turn according to the plan, with a thread for each client."""
    requests = [request_of(image, host, port) for image in images]
    numbers = itertools.count()
    samples: list[Sample] = []

    def client() -> None:
        connection = Client(host, port)
        samples.extend(
            send_requests(
                plan,
                numbers.__next__,
                lambda number: connection.send(requests[number % len(requests)]),
                started=started,
            )
        )
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(min(plan.clients, plan.arrivals))]
    cpu, started = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    return Load(samples, seconds, time.process_time() - cpu, plan.arrivals - len(samples))


def run_apart(plan: Plan, host: str, port: int, images: Sequence[bytes]) -> Load:
    """`run` in a child process. Raises FaceServiceError where that fails."""
    order = {
        "plan": asdict(plan),
        "host": host,
        "port": port,
        "images": [base64.b64encode(image).decode() for image in images],
    }
    ended = run_program(python_module("face_service.tools.bench.load"), None, json.dumps(order))
    if ended is None or ended.status:
        raise FaceServiceError(f"the client of the bench failed: {ended.err if ended else ''}")
    content = json.loads(ended.out)
    return Load(**{**content, "samples": [Sample(**each) for each in content["samples"]]})


def main() -> None:
    """Run the plan on stdin."""
    answers = answer_stream()
    order = next(requests())
    end_with_parent()
    images = [base64.b64decode(image) for image in order["images"]]
    load = run(Plan(**order["plan"]), order["host"], order["port"], images)
    write_answer(answers, asdict(load))


if __name__ == "__main__":
    main()
