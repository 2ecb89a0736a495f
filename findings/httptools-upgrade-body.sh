#!/usr/bin/env bash
# A request that offers h2c loses its body on the way through httptools, and uvicorn answers it all the same.
#
# Versions: httptools 0.9.0, uvicorn 0.54.0, h11 0.16.0.
# Behaviour: where a request has `Connection: Upgrade` and `Upgrade: h2c`, httptools ends the message behind its headers
# (llhttp's rule for a protocol that changes). uvicorn ignores the offer, as a server may, and hands the application a
# request with an empty body. With h11 in place of httptools the body is there. Java's HttpClient makes this offer by
# default on plain http, curl with --http2.
# Guess: a server that does not upgrade delivers the body; Content-Length says how long it is.
# Seen, a body of 5 bytes, as counted by the application:
#   httptools: plain 5, with Upgrade: h2c 0
#   h11: plain 5, with Upgrade: h2c 5
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check httptools==0.9.0 uvicorn==0.54.0 h11==0.16.0 click==8.5.1
cd "$scratch"
venv/bin/python - <<'PYTHON'
import asyncio
import socket
import sys

import uvicorn

OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


async def count_body(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(b"content-length", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def post(port, headers):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n{headers}\r\nhello".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return int(answer.rpartition(b"\r\n\r\n")[2])


async def measure(parser):
    config = uvicorn.Config(count_body, http=parser, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.05)
        port = listener.getsockname()[1]
        sizes = await post(port, ""), await post(port, OFFER)
        server.should_exit = True
        await task
    return sizes


seen = {parser: asyncio.run(measure(parser)) for parser in ("httptools", "h11")}
for parser, (plain, offered) in seen.items():
    print(f"{parser}: plain {plain}, with Upgrade: h2c {offered}")
sys.exit(0 if seen == {"httptools": (5, 0), "h11": (5, 5)} else "The behaviour has changed.")
PYTHON
