"""`python client.py FOLDER COMMAND…`: pip or npm, which end with their caller.

The caller keeps the other end of stdin open for as long as it wants the command. When it ends, in
whatever way, stdin ends: the command is killed with all that it has started, and FOLDER, which was
the caller's to remove, is removed. The exit status is the command's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command until it ends or stdin does."""
    folder, *command = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on a terminal ends the caller, not this
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    alone = threading.Event()
    threading.Thread(target=wait_for_caller, args=(child, alone), daemon=True).start()
    status = child.wait()
    if alone.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status


def wait_for_caller(child: subprocess.Popen[bytes], alone: threading.Event) -> None:
    """Wait for the end of stdin, set `alone`, and kill the command."""
    while os.read(0, 1024):  # sys.stdin would hold a lock that the end of this process wants
        pass
    alone.set()
    if sys.platform == "win32":
        child.kill()
    else:
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
