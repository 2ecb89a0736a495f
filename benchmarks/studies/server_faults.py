"""Decision 0022: what bad and unlucky clients get from uvicorn, Granian and Hypercorn.

    PYTHONPATH=FOLDER:src:. .venv/bin/python -m benchmarks.studies.server_faults
        [--servers uvicorn granian hypercorn] [--only headers_drip ...]

FOLDER: see server_subjects.py. A column is a server, a row is a case: yes or no, and what was
seen. "Ended" means that the server's process holds the socket no longer (/proc/net/tcp), whatever
the client sees. Bounded: at most 61 connections, 160 MB over loopback and two minutes a server.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.frames import frame
from benchmarks.studies.server_subjects import SERVERS, Running, served_by
from benchmarks.studies.servers import photo
from benchmarks.tables import table
from face_service.tools.bench.client import request_of
from face_service.tools.bench.server import LOOPBACK

BOUNDS = {"MAX_BODY_MB": "1", "REQUEST_TIMEOUT_S": "10", "DRAIN_GRACE_S": "2", "LOG_FORMAT": "json"}
LONG_S = 90.0
"""The longest a case waits: longer than the keep-alive, which is 65 s, and than all the others."""
LIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
SHAPE = {"detail", "code", "request_id"}


class Seen(NamedTuple):
    """What came of a case."""

    good: bool
    what: str


@contextmanager
def connected(server: Running, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A connection; a receive buffer of so many bytes, 0 for the system's."""
    with socket.socket() as connection:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect((LOOPBACK, server.address.port))
        yield connection


def held(server: Running, connection: socket.socket) -> bool:
    """Whether the server's process has this connection still."""
    here, there = connection.getsockname()[1], server.address.port
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, *others = line.split()
        if local.endswith(f":{there:04X}") and remote.endswith(f":{here:04X}"):
            return others[5] != "0"
    return False


def until_ended(
    server: Running, connection: socket.socket, step: Callable[[], object], limit: float
) -> Seen:
    """Call `step` once a second until the server lets go of the connection."""
    deadline = time.monotonic() + 30
    while not held(server, connection) and time.monotonic() < deadline:
        time.sleep(0.05)  # it is in the backlog of the port
    started = time.monotonic()
    while held(server, connection):
        if time.monotonic() - started > limit:
            return Seen(False, f"still held after {limit:.0f} s")
        with contextlib.suppress(OSError):
            step()
        time.sleep(1)
    return Seen(True, f"after {time.monotonic() - started:.0f} s")


def read(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers, body. Status 0 for none."""
    try:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""


def ask(server: Running, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of their own, read one answer."""
    with connected(server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)
        return read(connection)


def in_shape(body: bytes) -> bool:
    """Whether it is our one error shape."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and set(found) == SHAPE


# What is held for nothing.


def silence(server: Running) -> Seen:
    """A connection that says nothing is ended"""
    with connected(server) as connection:
        return until_ended(server, connection, lambda: None, LONG_S)


def headers_drip(server: Running) -> Seen:
    """Headers that drip are ended"""
    with connected(server) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        return until_ended(server, connection, lambda: connection.sendall(b"x: y\r\n"), LONG_S)


def body_drips(server: Running) -> Seen:
    """A body that drips is ended"""
    with connected(server) as connection:
        connection.sendall(
            b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
            b"content-length: 99999\r\n\r\n"
        )
        return until_ended(server, connection, lambda: connection.sendall(b"x"), LONG_S)


def idle(server: Running) -> Seen:
    """Idle after an answer is ended"""
    with connected(server) as connection:
        connection.sendall(LIVE)
        read(connection)
        return until_ended(server, connection, lambda: None, LONG_S)


def idle_after_early_answer(server: Running) -> Seen:
    """Idle after an early answer and its late body is ended"""
    with connected(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + bytes(100000)
        )
        time.sleep(1)
        with contextlib.suppress(OSError):
            connection.sendall(bytes(100000))
        read(connection)
        return until_ended(server, connection, lambda: None, LONG_S)


def reads_nothing(server: Running) -> Seen:
    """A client that reads nothing is ended"""
    with connected(server, 4096) as connection:
        connection.sendall(LARGE * 100)
        return until_ended(server, connection, lambda: None, LONG_S)


def reads_nothing_and_asks(server: Running) -> Seen:
    """... nor if it goes on asking"""
    with connected(server, 4096) as connection:
        connection.sendall(LARGE * 100)
        connection.setblocking(False)
        return until_ended(server, connection, lambda: connection.send(LARGE), LONG_S)


# What is answered.


def early_413(head: bytes) -> Callable[[Running], Seen]:
    def case(server: Running) -> Seen:
        seen = 0
        for _ in range(5):
            status, _, body = ask(
                server,
                b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
                + head
                + b"content-length: 16000000\r\n\r\n"
                + bytes(16_000_000),
            )
            seen += status == 413 and in_shape(body)
        return Seen(seen == 5, f"{seen} of 5")

    return case


def upgrade_h2c(server: Running) -> Seen:
    """Upgrade: h2c with a body is answered as HTTP/1.1"""
    request = request_of(photo(), LOOPBACK, server.address.port).replace(
        b"\r\n",
        b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        1,
    )
    status, _, body = ask(server, request)
    return Seen(status == 200 and b'"bbox"' in body, str(status))


MALFORMED = {
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n",
    "absolute": b"GET http://x/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
    "absolute, no path": b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    "absolute, bad port": b"GET http://x:99999/ HTTP/1.1\r\nhost: x\r\n\r\n",
    "raw bytes in path": b"GET /h\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
    "long target": b"GET /" + b"x" * 66000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "garbage": b"nonsense\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "HTTP/9.9": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "length -1": b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "two lengths": b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"content-length: 6\r\n\r\nhello",
    "length and chunked": b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
    b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "bad header": b"GET /health HTTP/1.1\r\nbad header\r\n\r\n",
}


def malformed(server: Running) -> Seen:
    """Malformed requests get an error in our one shape"""
    wrong = []
    for name, request in MALFORMED.items():
        status, _, body = ask(server, request)
        if not (status == 200 and name == "absolute") and not (
            400 <= status < 500 and in_shape(body)
        ):
            wrong.append(f"{name}: {status or 'no answer'}")
    return Seen(not wrong, f"{len(MALFORMED) - len(wrong)} of {len(MALFORMED)}; {', '.join(wrong)}")


def header_flood(server: Running) -> Seen:
    """1 MB of headers gets 431 in our shape"""
    flood = b"".join(b"x-%d: %b\r\n" % (n, b"y" * 10_000) for n in range(99))
    status, _, body = ask(server, b"GET /health/live HTTP/1.1\r\nhost: x\r\n" + flood + b"\r\n")
    return Seen(status == 431 and in_shape(body), f"{status or 'no answer'}")


def refusals_logged(server: Running) -> Seen:
    """What the server refuses by itself is in our log, with its request_id"""
    time.sleep(2)  # lines of a kind are limited to some a second
    status, _, body = ask(server, MALFORMED["bad header"])
    time.sleep(1)
    name = json.loads(body)["request_id"] if in_shape(body) else ""
    return Seen(bool(name) and name in server.log.read_text(), f"{status}, {len(body)} bytes")


def http_1_0(server: Running) -> Seen:
    """HTTP/1.0 is answered and closed"""
    with connected(server) as connection:
        connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        status, _, _ = read(connection)
        time.sleep(0.5)
        return Seen(status == 200 and not held(server, connection), str(status))


def chunked(server: Running) -> Seen:
    """A chunked body is read"""
    whole = request_of(photo(), LOOPBACK, server.address.port)
    head, _, body = whole.partition(b"\r\n\r\n")
    head = re.sub(rb"(?i)content-length: \d+", b"Transfer-Encoding: chunked", head)
    pieces = b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece)
        for piece in (body[at : at + 1000] for at in range(0, len(body), 1000))
    )
    status, _, answer = ask(server, head + b"\r\n\r\n" + pieces + b"0\r\n\r\n")
    return Seen(status == 200 and b'"bbox"' in answer, str(status))


def expect_continue(server: Running) -> Seen:
    """Expect: 100-continue: a refusal comes in place of 100"""
    status, _, _ = ask(
        server,
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
        b"expect: 100-continue\r\ncontent-length: 16000000\r\n\r\n",
    )
    return Seen(status == 413, str(status))


def pipelined(server: Running) -> Seen:
    """Two requests in one packet have two answers"""
    with connected(server) as connection:
        connection.sendall(LIVE + LIVE.replace(b"/live", b"/nowhere"))
        # One reader for both: what the first answer buffered belongs to the second.
        time.sleep(1)
        data = connection.recv(65536)
        found = re.findall(rb"HTTP/1\.1 (\d+)", data)
    return Seen(found == [b"200", b"404"], b" ".join(found).decode())


def half_closed(server: Running) -> Seen:
    """A client that closes its sending half has its answer"""
    with connected(server) as connection:
        connection.sendall(request_of(photo(), LOOPBACK, server.address.port))
        connection.shutdown(socket.SHUT_WR)
        status, _, _ = read(connection)
    return Seen(status == 200, str(status or "no answer"))


def inside(server: Running) -> float:
    """face_service_requests_inside."""
    connection = http.client.HTTPConnection(LOOPBACK, server.address.port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(map(float, re.findall(r"^face_service_requests_inside (\S+)", text, re.M)))


def lines_of_499(server: Running) -> int:
    """Lines of the log of requests whose client had gone."""
    return len(re.findall(r'"status": ?499', server.log.read_text()))


def disconnect(server: Running) -> Seen:
    """Work of clients that left is cancelled"""
    earlier, request = lines_of_499(server), request_of(frame(6, 1), LOOPBACK, server.address.port)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(server)).sendall(request)
        time.sleep(1)
        begun = inside(server)
    left = time.monotonic()
    while inside(server) and time.monotonic() - left < 60:
        time.sleep(0.2)
    took = time.monotonic() - left
    time.sleep(1)
    found = lines_of_499(server) - earlier
    return Seen(found >= begun - 1, f"{found} of {begun:.0f}, the last after {took:.1f} s")


# Cases with a server of their own.


def connections_bounded(name: str) -> Seen:
    """Connections are bounded, and a full server recovers"""
    with served_by(name, **BOUNDS, MAX_CONNECTIONS="40") as server, contextlib.ExitStack() as stack:
        full = [stack.enter_context(connected(server)) for _ in range(60)]
        time.sleep(2)
        count = sum(held(server, connection) for connection in full)
        started = time.monotonic()
        recovered = None
        while recovered is None and time.monotonic() - started < LONG_S:
            with contextlib.suppress(OSError), connected(server) as connection:
                connection.settimeout(1)
                connection.sendall(LIVE)
                if read(connection)[0] == 200:
                    recovered = time.monotonic() - started
            time.sleep(0.5)
    what = f"{count} of 60 held; " + (
        "answers no more" if recovered is None else f"answers after {recovered:.0f} s"
    )
    return Seen(count <= 40 and recovered is not None, what)


def drain(name: str) -> Seen:
    """SIGTERM: 503 from readiness, answers to all that was accepted, port closed, status 0"""
    with served_by(name, **BOUNDS | {"REQUEST_TIMEOUT_S": "60"}) as server:
        process = server.address.process
        assert process
        request = request_of(frame(1, 1), LOOPBACK, server.address.port)
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(ask(server, request)[0]))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        ready = ask(server, LIVE.replace(b"/live", b"/ready"))[0]
        for thread in threads:
            thread.join()
        try:
            status: int | str = process.wait(30)
        except Exception:
            status = "did not end in 30 s"
        traceback = "Traceback" in server.log.read_text()
    good = statuses == [200] * 6 and ready == 503 and status == 0 and not traceback
    what = f"answers {sorted(statuses)}, readiness {ready}, status {status}"
    return Seen(good, what + ", traceback" * traceback)


EARLY = early_413(b""), early_413(b"connection: close\r\n")
EARLY[0].__doc__, EARLY[0].__name__ = "Early 413 reaches a client that sends on", "early_413"
EARLY[1].__doc__, EARLY[1].__name__ = "... with Connection: close", "early_413_close"
SLOW = (
    silence,
    headers_drip,
    body_drips,
    idle,
    idle_after_early_answer,
    reads_nothing,
    reads_nothing_and_asks,
)
QUICK = (
    *EARLY,
    upgrade_h2c,
    malformed,
    header_flood,
    refusals_logged,
    http_1_0,
    chunked,
    expect_continue,
    pipelined,
    half_closed,
    disconnect,
)


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
