"""The engines of a process, which share what they can; the first can load on a thread of its own
while the main thread imports the HTTP server."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from weakref import WeakValueDictionary

from face_service.config import Settings
from face_service.engine_factory import detector_canvases, find_pack, load_engine, runtime_config
from face_service.engine_factory.gates import GateSupply
from face_service.face_engine import FaceEngine
from face_service.runtime.progress import Progress
from face_service.serving.threads import in_daemon_thread


class EngineLoader:
    """Loads the engines of a process, on whichever thread it is called.

    The first engines of all workers share the pack, which is read and verified once, and the
    single-threaded sessions. One that replaces another shares nothing: the pack is verified again,
    and every session opened. Engines that are loaded after all were released share their sessions
    anew.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._config = runtime_config(settings)
        self._find_pack = lru_cache(maxsize=1)(partial(find_pack, settings))
        self._begun: Future[FaceEngine] | None = None
        self._loaded: set[int] = set()
        self._sharing: set[int] = set()
        self.gates = GateSupply(settings.det_gate, detector_canvases(settings), self._config)

    @property
    def progress(self) -> Progress:
        """How far compilation has come."""
        return self._config.progress

    def begin(self) -> None:
        """Start to load the engine of worker 0, on a thread of its own. The first `load` of that
        worker waits for it, and raises what it raised."""
        self._begun = in_daemon_thread(partial(self._load, 0))

    def load(self, worker: int) -> FaceEngine:
        """An engine for the worker of this number; raises as `load_engine`."""
        begun = self._begun if worker == 0 else None
        if begun is None:
            return self._load(worker)
        self._begun = None
        return begun.result()

    def _load(self, worker: int) -> FaceEngine:
        config = self._config
        if not config.single_threaded:  # none yet, or all of them were released
            self._sharing.clear()
        if worker in self._sharing:
            config = replace(config, single_threaded=WeakValueDictionary())
        self._sharing.add(worker)
        packed = None if worker in self._loaded else self._find_pack
        self._loaded.add(worker)
        return load_engine(self._settings, config, worker, self.gates, packed)
