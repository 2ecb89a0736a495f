"""Embeds items in a child process, so that a decoder that crashes costs only the item at hand."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from face_service.config import Settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.engine_info import EngineInfo
from face_service.errors import FaceServiceError, InferenceFailed, RequestError
from face_service.face_engine import FaceEngine, Options
from face_service.offline.frames import VideoFrame, find_frames
from face_service.offline.manifest import Item, absolute
from face_service.offline.reading import open_video, read_bytes
from face_service.offline.schema import Failure, Frame, Outcome
from face_service.serving.validation import validate
from face_service.vision.image import decode

BROKEN = 70
"""Exit status of a process whose engine fails on a black image too: another one is started."""
WATCH_S = 1.0
"""Between two checks whether the parent process still runs."""


@dataclass(frozen=True, slots=True)
class Task:
    """What every process of a run does. folder: the one that paths of items are relative to, or its
    address. every_s: seconds of an interval, of which one frame of a video is taken each."""

    settings: Settings
    options: Options
    folder: str
    every_s: float


class Analyser:
    """Embeds items with one engine."""

    def __init__(self, task: Task, engine: FaceEngine) -> None:
        self._task = task
        self._engine = engine
        self._most_bytes = task.settings.max_body_bytes

    @property
    def info(self) -> EngineInfo:
        """What the engine is made of."""
        return self._engine.info

    def embed(self, item: Item) -> Outcome:
        """The outcome of an item: all of its frames with their faces, or a failure.

        Errors of the item and of the networks become the failure and are not raised. Where the
        networks fail, and then on a black image too, this process ends at once with BROKEN.
        """
        outcome = Outcome(item)
        try:
            for time_ms, image in self._images(item):
                faces = self._engine.analyse_image(image, self._task.options)
                validate(faces)
                height, width = image.shape[:2]
                outcome.frames.append(Frame(time_ms, width, height, faces))
        except RequestError as error:
            if isinstance(error, InferenceFailed):
                self._test_engine()
            outcome.failure = Failure(error.code, str(error))
        except (OSError, FaceServiceError) as error:
            outcome.failure = Failure("unreadable", str(error))
        except Exception as error:
            self._test_engine()
            outcome.failure = Failure(InferenceFailed.code, f"{type(error).__name__}: {error}")
        if not outcome.frames and not outcome.failure:
            every = self._task.every_s
            why = f"The video has none of its frames, one each {every:g} s, in this time"
            outcome.failure = Failure("no_frames", why)
        if outcome.failure:
            outcome.frames.clear()  # also those of a video before its first bad frame
        return outcome

    def _images(self, item: Item) -> Iterator[VideoFrame | tuple[None, Any]]:
        uri = absolute(item.uri, self._task.folder)
        if item.is_video:
            with open_video(uri) as file:
                yield from find_frames()(file, item.start_s, item.end_s, self._task.every_s)
        else:
            data = read_bytes(uri, self._most_bytes)
            yield None, decode(data, self._task.settings.max_image_pixels)

    def _test_engine(self) -> None:
        try:
            self._engine.self_test()
        except Exception:
            os._exit(BROKEN)


def serve(task: Task, parent: int, pipe: Connection) -> None:
    """Run as a child process: embed the items that come through a pipe, one after the other, until
    it is closed.

    Sends an EngineInfo once the engine is loaded, and then an Outcome for each Item that it
    receives; or else why no engine could be loaded, as a str, and returns. parent: the id of the
    parent process; when that ends, this process ends too (not on Windows).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends this
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    settings = task.settings
    try:
        analyser = Analyser(task, load_engine(settings, runtime_config(settings)))
    except Exception as error:
        pipe.send(str(error) or type(error).__name__)
        return
    pipe.send(analyser.info)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(analyser.embed(pipe.recv()))


def end_with(parent: int) -> None:
    """Wait until the parent process, by its id, has ended, then end this process with status 0. On
    Windows it waits for ever."""
    while sys.platform == "win32" or os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(0)
