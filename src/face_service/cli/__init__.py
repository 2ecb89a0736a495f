"""`face-service`: serve, detect, compare, and look after model packs.

The modules that declare commands import nothing heavy at their top: for completion a shell runs
this program at every press of Tab.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from typing import Annotated, TextIO

import typer

from face_service import __version__
from face_service.cli.bench import bench
from face_service.cli.compare import EPILOG as COMPARE
from face_service.cli.compare import compare
from face_service.cli.detect import EPILOG as DETECT
from face_service.cli.detect import detect
from face_service.cli.doctor import EPILOG as DOCTOR
from face_service.cli.doctor import doctor
from face_service.cli.embed import EPILOG as EMBED
from face_service.cli.embed import embed
from face_service.cli.evaluate import EPILOG as EVALUATE
from face_service.cli.evaluate import evaluate
from face_service.cli.frames import EPILOG as FRAMES
from face_service.cli.frames import frames
from face_service.cli.group import EPILOG as GROUP
from face_service.cli.group import group
from face_service.cli.key import key
from face_service.cli.load import EPILOG as LOAD
from face_service.cli.load import load
from face_service.cli.models import app as models
from face_service.cli.plan import EPILOG as PLAN
from face_service.cli.plan import plan
from face_service.cli.tune import tune
from face_service.errors import FaceServiceError

NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a write that are no fault of the program: disk or quota full, file too large, I/O."""
READER_GONE = 141
"""The exit status that shells give to what ends because nobody reads it: 128 + SIGPIPE."""

app = typer.Typer(
    help="An image in, every face out. Settings come from the environment and from .env.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=DETECT)(detect)
app.command(epilog=FRAMES)(frames)
app.command(epilog=COMPARE)(compare)
app.command(epilog=EVALUATE)(evaluate)
app.command(epilog=EMBED)(embed)
app.command(epilog=LOAD)(load)
app.command(epilog=GROUP)(group)
app.add_typer(models, name="models")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port [PORT].")] = None,
) -> None:
    """Serve faces over HTTP, as `python -m face_service.main` does."""
    from face_service.main import main as serve_forever

    raise typer.Exit(serve_forever(host=host, port=port))


app.command(epilog=DOCTOR)(doctor)
app.command()(bench)
app.command()(tune)
app.command(epilog=PLAN)(plan)
app.command()(key)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command line and end the process with the status that `run` returns."""
    status = run()
    if is_computing():  # interrupted
        # Its return into a finalised interpreter would abort the process.
        os._exit(status)
    gc.freeze()  # all of it ends with the process: Python need not look for garbage in it first
    sys.exit(status)


def run() -> int:
    """Run the command line and return its exit status. A FaceServiceError, or a write that failed
    (NOT_WRITTEN), is one line on stderr and status 2; any other exception is its traceback and
    status 2, for 1 is an answer of commands, such as "different people"."""
    stdout = sys.stdout
    try:
        app()
    except FaceServiceError as error:
        print(f"face-service: {error}", file=sys.stderr)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in NOT_WRITTEN:
            if not flush(stdout):  # stdout had no buffer, or another file failed
                print(f"face-service: writing failed: {error.strerror}", file=sys.stderr)
        else:
            traceback.print_exc()
    except SystemExit as end:
        return flush(stdout) or int(end.code or 0)
    return 2


def is_computing() -> bool:
    """Whether a thread may still be inside a network or an image."""
    if "face_service.serving.threads" not in sys.modules:
        return False
    from face_service.serving.decoders import is_decoding
    from face_service.serving.threads import is_inside_a_network

    return is_inside_a_network() or is_decoding()


def flush(stdout: TextIO | None) -> int:
    """Write what is left in the buffer of stdout. Returns 0, or the exit status where it could not
    be written.

    `stdout`: as it was before the command ran; None in a process that was started without one.
    """
    if sys.stdout is not stdout:  # Typer has replaced it as nobody reads it, and ends with 1
        return READER_GONE
    if stdout is None:
        return 0
    try:
        stdout.flush()
    except OSError as error:
        # Python itself would try once more, at its very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return READER_GONE
        print(f"face-service: stdout: {error.strerror}", file=sys.stderr)
        return 2
    return 0
