"""Decision 0022: the three ways of `processes.py` to an engine, and the faults in them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Protocol

import numpy as np

from benchmarks.frames import ROOT
from face_service.config import Settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import DEFAULTS, Face, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.runtime.memory import set_up_malloc
from face_service.vision.image import check, decode_checked, set_up_opencv

WAYS = ("thread", "pixels", "encoded")
CLIENTS = 4
SLOT_BYTES = 1920 * 1080 * 3
MAX_PIXELS = 50_000_000
FAULTS = {"crash": b"crash", "hang": b"hang"}
"""What takes the place of an image."""


STARTED = "started"


class NotStartedError(Exception):
    """The child ended before it began on this image: another one may have it."""


class Way(Protocol):
    """An image in, faces out, from any thread."""

    def analyse(self, data: bytes) -> list[Face]: ...

    def close(self) -> None: ...


class Engine:
    """An engine with a lock around it: one image at a time, decoding beside it."""

    def __init__(self, pack: str) -> None:
        set_up_opencv()
        settings = Settings(_env_file=None, insightface_model=pack, model_cache_dir=ROOT / "models")
        self._engine = load_engine(settings, runtime_config(settings))
        self._lock = threading.Lock()

    def analyse(self, data: bytes) -> list[Face]:
        if data in FAULTS.values():
            with self._lock:
                misbehave(data)
        return self.analyse_pixels(decode_checked(check(data, MAX_PIXELS)))

    def analyse_pixels(self, image: Any, started: Callable[[], None] = bool) -> list[Face]:
        """`started` is called once it is this image's turn."""
        inputs = self._engine.preprocessor.preprocess(image)
        with self._lock:
            started()
            return self._engine.predict(PreparedImage(image, inputs, DEFAULTS), StageTimes())

    def close(self) -> None:
        pass


def misbehave(data: bytes) -> None:
    """Be the fault that `data` asks for."""
    if data == FAULTS["crash"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == FAULTS["hang"]:
        ctypes.CDLL(None).pause()


def child_main(wire: Connection, pack: str, slots: Sequence[SharedMemory]) -> None:
    """The child: answers (number, faces) to (number, slot and shape, or bytes)."""
    set_up_malloc()
    engine = Engine(pack) if pack else None
    sending = threading.Lock()

    def tell(number: int, what: Any) -> None:
        with sending:
            wire.send((number, what))

    def answer(number: int, what: Any) -> None:
        faces: list[Face] = []
        if isinstance(what, bytes):
            tell(number, STARTED)
            faces = engine.analyse(what) if engine else []
        elif engine:
            slot, shape = what
            image = np.ndarray(shape, np.uint8, slots[slot].buf)
            faces = engine.analyse_pixels(image, lambda: tell(number, STARTED))
        tell(number, faces)

    wire.send("ready")
    with ThreadPoolExecutor(CLIENTS) as pool:
        while True:
            try:
                number, what = wire.recv()
            except EOFError:
                return
            pool.submit(answer, number, what)


class Child:
    """An engine in a process. `pack` "": no engine, the way there and back alone."""

    def __init__(self, pack: str, pixels: bool) -> None:
        self.ended = False
        self._pixels = pixels
        self._slots = [SharedMemory(create=True, size=SLOT_BYTES) for _ in range(CLIENTS)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(CLIENTS):
            self._free.put(slot)
        here, there = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=child_main, args=(there, pack, self._slots), daemon=True
        )
        self.process.start()
        there.close()
        assert here.recv() == "ready"
        self._wire, self._sending = here, threading.Lock()
        self._waiting: dict[int, Future[list[Face]]] = {}
        self._numbers = iter(range(10**9))
        threading.Thread(target=self._read, daemon=True).start()

    def analyse(self, data: bytes) -> list[Face]:
        if not self._pixels or data in FAULTS.values():
            return self._ask(data)
        image = decode_checked(check(data, MAX_PIXELS))
        slot = self._free.get()
        try:
            np.ndarray(image.shape, np.uint8, self._slots[slot].buf)[:] = image
            return self._ask((slot, image.shape))
        finally:
            self._free.put(slot)

    def _ask(self, what: Any) -> list[Face]:
        future: Future[list[Face]] = Future()
        with self._sending:
            if self.ended:
                raise NotStartedError
            number = next(self._numbers)
            self._waiting[number] = future
            self._wire.send((number, what))
        return future.result()

    def _read(self) -> None:
        started = set()
        while True:
            try:
                number, what = self._wire.recv()
            except (EOFError, OSError):
                self.ended = True
                for number, future in list(self._waiting.items()):
                    lost = RuntimeError("lost with its process")
                    future.set_exception(lost if number in started else NotStartedError())
                return
            if what == STARTED:
                started.add(number)
            else:
                self._waiting.pop(number).set_result(what)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        for slot in self._slots:
            slot.close()
            slot.unlink()


def make(way: str, pack: str) -> Way:
    return Engine(pack) if way == "thread" else Child(pack, way == "pixels")
