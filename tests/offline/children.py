"""What processes of `Processes` run in tests, in place of an engine. An item is a text that says
what becomes of its process, and `task` what it sends first, pickled: importing the service would
take longer than all else that they do."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path


def serve(task: bytes, parent: int, pipe: Connection) -> None:
    """Answers each item with how many there were before it."""
    pipe.send_bytes(task)
    before = 0
    while True:
        try:
            word, _, rest = pipe.recv().partition(" ")
        except EOFError:
            return
        if word == "exit":
            os._exit(9)
        if word == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            time.sleep(3600)
        if word == "once" and Path(rest).exists():
            Path(rest).unlink()
            os._exit(9)
        if word == "touch":
            Path(rest).touch()
        if word == "slow":
            time.sleep(0.2)
        pipe.send((word, before))
        before += 1


def without_engine(task: bytes, parent: int, pipe: Connection) -> None:
    pipe.send("the pack is broken")


def dying(task: bytes, parent: int, pipe: Connection) -> None:
    os._exit(7)


def dying_later(task: tuple[bytes, str], parent: int, pipe: Connection) -> None:
    """The first of a folder has an engine, and ends with its first item; the others have none."""
    info, folder = task
    try:
        Path(folder).mkdir()
    except FileExistsError:
        os._exit(7)
    pipe.send_bytes(info)
    pipe.recv()
    os._exit(9)
