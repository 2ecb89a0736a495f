"""`face-service` for a shell: a program of that name, which becomes a fork with the imports done.

What it is asked to do reaches this process by a socket, with its streams, folder and environment.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.commands import MAIN
from tests.forks import MOST_BYTES, fork

NAMED = "import sys; sys.argv[0] = 'face-service'; "
PROGRAM = """#!{python} -IS
import json, os, socket, sys
asked = [sys.argv[1:], dict(os.environ), os.getcwd()]
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as to:
    to.connect({at!r})
    socket.send_fds(to, [json.dumps(asked).encode()], [1, 2])
    status = int(to.recv(16))
sys.exit(status if status >= 0 else 128 - status)
"""


@contextmanager
def face_service(folder: Path) -> Iterator[Path]:
    """A folder for PATH with the program in it, which works until the end of the block. Its stdin
    is empty, and a signal does not reach what it does. folder: one with a short name."""
    program, at = folder / "face-service", str(folder / "socket")
    program.write_text(PROGRAM.format(python=sys.executable, at=at))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.bind(at)
        asked.listen()
        thread = threading.Thread(target=serve, args=(asked,))
        thread.start()
        yield folder
        asked.shutdown(socket.SHUT_RDWR)
        thread.join()


def serve(asked: socket.socket) -> None:
    """Answer until the socket is shut down."""
    while True:
        try:
            caller, _ = asked.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(caller,)).start()


def answer(caller: socket.socket) -> None:
    """Do what one caller asks for, and tell it the exit status."""
    with caller:
        request, streams, *_ = socket.recv_fds(caller, MOST_BYTES, 2)
        arguments, environment, folder = json.loads(request)
        process = fork(NAMED + MAIN, arguments, environment, Path(folder), *streams)
        for stream in streams:
            os.close(stream)
        caller.send(str(process.wait()).encode())
