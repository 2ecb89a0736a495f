"""Files go through the service in order, decoding beside the networks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import onnxruntime
import pytest

from face_service.cli import analysis
from face_service.cli.analysis import analyse_files, started
from face_service.cli.detection import Output, run
from face_service.cli.files import File, find_files
from face_service.config import Settings
from face_service.engine_factory import load_engine
from face_service.errors import InvalidImage, StartupError
from face_service.face_engine import FaceEngine, Options
from face_service.packs.pack import Pack
from face_service.runtime import compiling
from face_service.runtime.providers import CPU
from face_service.schemas import DetectOptions
from face_service.serving.answers import Answer, ImageAnalysis
from face_service.serving.service import Limits
from face_service.serving.threads import WORKER
from tests import accelerated
from tests.wire import settled

MIGRAPHX = "MIGraphXExecutionProvider"

SETTINGS = Settings(_env_file=None)
Read = list[tuple[File, Answer | None]]


class Watched:
    """An engine that says what is asked of it, and may be held up."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.prepared: list[int] = []
        self.before_analysis: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def release(self) -> None:
        """The engine is that of all tests."""

    @property
    def preprocessor(self) -> Any:
        return self

    @property
    def max_bytes(self) -> int:
        return self._engine.preprocessor.max_bytes

    def preprocess(self, image: Any) -> Any:
        self.prepared.append(image.shape[0])
        return self._engine.preprocessor.preprocess(image)

    def detect(self, *arguments: Any) -> Any:
        self.before_analysis()
        return (yield from self._engine.detect(*arguments))


@pytest.fixture
def watched(open_engine: FaceEngine, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """What `started` gets instead of an engine of its own."""
    double = Watched(open_engine)
    monkeypatch.setattr(analysis, "load_engine", create_autospec(load_engine, return_value=double))
    return double


async def read(files: list[File], settings: Settings = SETTINGS) -> Read:
    async with started(settings) as service:
        return [pair async for pair in analyse_files(service, files, Options(), settings)]


def test_every_file_has_its_outcome_in_order(watched: Watched, crops: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    files = find_files([tmp_path, crops])
    answers = asyncio.run(read(files))
    assert [file for file, _ in answers] == files
    assert isinstance(answers[0][1], InvalidImage)
    assert answers[1][1] is None
    faces = [len(found.faces) for _, found in answers[2:] if isinstance(found, ImageAnalysis)]
    assert len(faces) == 12
    assert min(faces) == 0 < max(faces)


def test_the_next_images_are_decoded_while_a_network_runs(watched: Watched, crops: Path) -> None:
    def wait_for_another() -> None:
        settled(lambda: len(watched.prepared) > 1)

    watched.before_analysis = wait_for_another
    answers = asyncio.run(read(find_files([crops / "row-0"])))
    assert len(answers) == 4
    assert all(isinstance(answer, ImageAnalysis) for _, answer in answers)


def test_only_so_many_are_under_way(watched: Watched, crops: Path) -> None:
    async def after_the_first() -> int:
        async with started(SETTINGS) as service:
            answers = analyse_files(service, find_files([crops]), Options(), SETTINGS)
            await anext(answers)
            await asyncio.sleep(1)  # in which all 12 would be decoded
            await answers.aclose()
        return len(watched.prepared)

    limits = Limits.of(SETTINGS)
    assert asyncio.run(after_the_first()) <= limits.decoders + 2 * limits.workers_on_cpu


def test_engines_that_may_not_run_side_by_side_do_not(
    open_pack: Pack, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With WORKERS=2 on MIGraphX, whose runs capture each other's streams."""
    inside, overlaps, runs = threading.Lock(), [], []

    class Exclusive(accelerated.Session):
        def run(self, *arguments: Any) -> Any:
            free = inside.acquire(blocking=False)
            (runs if free else overlaps).append(threading.get_ident())
            try:
                time.sleep(0.002)  # so that another one could come in
                return super().run(*arguments)
            finally:
                if free:
                    inside.release()

    monkeypatch.setattr(onnxruntime, "InferenceSession", Exclusive)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [MIGRAPHX, CPU])
    monkeypatch.setattr(compiling, "compile_one", lambda *_: None)
    (tmp_path / open_pack.name).symlink_to(open_pack.directory.absolute())
    settings = Settings(
        _env_file=None,
        workers=2,
        onnx_providers=MIGRAPHX,
        insightface_model=open_pack.name,
        model_cache_dir=tmp_path,
    )
    for _, answer in asyncio.run(read(find_files([crops]), settings)):
        assert isinstance(answer, ImageAnalysis)
    assert len(set(runs)) > 1, "both workers computed"
    assert not overlaps


def test_a_large_file_costs_only_itself(watched: Watched, crops: Path) -> None:
    row = crops / "row-0"
    sizes = sorted(path.stat().st_size for path in row.iterdir())
    settings = SETTINGS.model_copy(update={"max_body_mb": sizes[-2] / 1e6})
    answers = asyncio.run(read(find_files([row]), settings))
    refused = [answer for _, answer in answers if not isinstance(answer, ImageAnalysis)]
    assert [answer.code for answer in refused if answer] == ["too_large"]


def test_a_pack_that_cannot_be_loaded_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = create_autospec(load_engine, side_effect=StartupError("no such pack"))
    monkeypatch.setattr(analysis, "load_engine", fail)
    with pytest.raises(StartupError, match="no such pack"):
        asyncio.run(read([]))


def test_engines_that_hang_again_and_again_end_it(watched: Watched, crops: Path) -> None:
    never = threading.Event()
    watched.before_analysis = lambda: never.wait(600)
    settings = SETTINGS.model_copy(update={"stall_timeout_s": 0.01, "workers": 1})
    with pytest.raises(StartupError, match="3 engines have hung"):
        asyncio.run(read(find_files([crops]), settings))
    never.set()
    for thread in threading.enumerate():
        if thread.name == WORKER:  # which would go on while the interpreter ends
            thread.join(60)


def test_what_failed_for_no_fault_of_the_image_is_tried_again(
    watched: Watched, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = iter(range(1000))

    def fail_once() -> None:
        if next(turns) == 5:
            raise RuntimeError("the driver was reset")

    def detect() -> tuple[int, list[str]]:
        options = DetectOptions.model_validate({})
        status = run(SETTINGS, [crops, gone], options, Output(file=out))
        return status, [json.loads(line)["file"] for line in out.read_bytes().splitlines()]

    out, gone = tmp_path / "faces.jsonl", tmp_path / "gone.jpg"
    watched.before_analysis = fail_once
    status, names = detect()
    assert (status, len(names), len(set(names))) == (1, 11, 11)
    said = capsys.readouterr().err
    assert "gone.jpg: No such file or directory" in said
    assert "Inference failed, try again later" in said
    gone.write_bytes(next(crops.rglob("*.jpg")).read_bytes())
    status, names = detect()
    assert (status, len(names), len(set(names))) == (0, 13, 13)
