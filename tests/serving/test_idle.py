"""Networks that are let go while nobody asks, and loaded for whoever asks next."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from face_service.serving.idle import IdleClock
from face_service.serving.supervisor import EngineSupervisor
from tests.server import Server

from .engines import FakeEngine, entry
from .pools import ages
from .test_supervisor import Pool, supervised, until

WEIGHTS = "weights.bin"
"""How the file of a saved network's weights is called."""


def test_engines_are_released_and_loaded_for_the_next_entry() -> None:
    made: list[FakeEngine] = []

    def load(number: int) -> FakeEngine:
        made.append(FakeEngine(lambda _: 1))
        return made[-1]

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        watching = asyncio.create_task(supervisor.watch())
        supervisor.unload()
        assert (supervisor.networks, len(pool)) == ("unloaded", 0)
        await until(lambda: [engine.released for engine in made] == [1, 1])
        await asyncio.sleep(0.6)  # two looks of the watch: nothing is missing
        assert len(made) == 2
        waiting = asyncio.create_task(pool.run(entry("a")))
        supervisor.reload()
        assert supervisor.networks == "loading"
        assert ages((await waiting).results) == [["a"]]
        await until(lambda: len(pool) == 2)
        assert (supervisor.networks, len(made)) == ("loaded", 4)
        supervisor.reload()  # no more than it is
        assert len(made) == 4
        watching.cancel()

    supervised(load, test, wanted=2)


def test_engines_that_have_something_to_do_are_not_let_go() -> None:
    engine = FakeEngine()

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        engine.gate.clear()
        running = asyncio.create_task(pool.run(entry("a")))
        await until(engine.entered.is_set)
        supervisor.unload()
        assert (supervisor.networks, len(pool), engine.released) == ("loaded", 1, 0)
        engine.gate.set()
        await running
        await until(lambda: not pool._workers[0].occupied)
        supervisor.unload()
        assert supervisor.networks == "unloaded"

    supervised(lambda _: engine, test)


def test_a_load_that_fails_is_a_fault_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()

    def load(number: int) -> FakeEngine:
        if broken.is_set():
            broken.clear()
            raise OSError("the disk has gone")
        return FakeEngine()

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        supervisor.unload()
        broken.set()
        supervisor.reload()
        await until(lambda: supervisor.networks == "loaded")
        assert len(pool) == 0  # which is `recovering`
        await until(lambda: len(pool) == 1)

    monkeypatch.setattr("face_service.serving.supervisor.FIRST_PAUSE_S", 0.05)
    supervised(load, test)


def test_nobody_is_idle_during_a_call() -> None:
    clock = IdleClock()
    with clock.busy(), clock.busy():
        assert clock.seconds == 0
    assert clock.seconds < 60
    time.sleep(0.01)
    assert clock.seconds >= 0.01


def test_a_service_says_what_it_has_let_go_and_answers_all_the_same(
    start_server: Callable[..., Server], four_faces: Path
) -> None:
    server = start_server(IDLE_UNLOAD_S="0.5", WORKERS="2")
    server.wait_until_ready()
    maps = Path(f"/proc/{server.process.pid}/maps")

    def detect() -> httpx.Response:
        return server.client.post(
            "/detect", content=four_faces.read_bytes(), headers={"Content-Type": "image/jpeg"}
        )

    def wait_for(networks: str) -> None:
        for _ in range(600):
            health = server.client.get("/health")
            assert (health.status_code, health.json()["status"]) == (200, "healthy")
            if health.json()["networks"] == networks:
                return
            time.sleep(0.05)
        raise AssertionError(health.text)

    def wait_until_nothing_is_mapped() -> None:
        for _ in range(200):
            if WEIGHTS not in maps.read_text():
                return
            time.sleep(0.05)
        raise AssertionError(maps.read_text())

    before = detect().json()["faces"]
    for _ in range(2):
        assert WEIGHTS in maps.read_text()
        wait_for("unloaded")
        wait_until_nothing_is_mapped()
        assert server.client.get("/health/ready").status_code == 200
        assert detect().json()["faces"] == before
