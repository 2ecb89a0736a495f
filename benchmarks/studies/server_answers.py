"""Decision 0022: how requests are answered: malformed, refused, odd, abandoned, at the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable

from benchmarks.frames import frame
from benchmarks.studies.server_clients import (
    BOUNDS,
    LIVE,
    Seen,
    ask,
    connected,
    held,
    in_shape,
    read,
)
from benchmarks.studies.server_subjects import Running, served_by
from benchmarks.studies.servers import photo
from face_service.tools.bench.client import request_of
from face_service.tools.bench.server import LOOPBACK


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
