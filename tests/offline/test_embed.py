"""`face-service embed`: a row for each item whatever it is, once, and the same again."""

from __future__ import annotations

import http.server
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tqdm import tqdm

from face_service.config import Settings
from face_service.errors import FaceServiceError
from face_service.face_engine import FaceEngine, Options
from face_service.offline.isolation import Processes
from face_service.offline.manifest import Item, Part, parts_of, read_manifest, shard_of
from face_service.offline.output import Folder
from face_service.offline.run import Request, Tally, embed_parts
from face_service.offline.schema import Outcome
from face_service.packs.pack import Pack
from face_service.vision.image import decode
from tests import commands
from tests.conftest import environment_of_servers
from tests.offline.faces import MODEL
from tests.offline.library import EXPECTED, FACES, make_library, make_reader, write_manifest
from tests.wire import settled

ROWS = 4
TIMEOUT = 10


@pytest.fixture(scope="module")
def photos(four_faces: Path) -> Iterator[str]:
    """A server of files on this machine."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(four_faces.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{four_faces.name}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, four_faces: Path, photos: str) -> Path:
    folder = tmp_path_factory.mktemp("library")
    make_reader(folder)
    return make_library(folder / "items", four_faces, [{"id": 30, "uri": photos}])


def request_for(library: Path, open_pack: Pack, out: object) -> Request:
    settings = Settings(
        _env_file=None, insightface_model="open", model_cache_dir=open_pack.directory.parent
    )
    return Request(
        settings, Options(), str(library), str(out), rows=ROWS, processes=1, timeout=TIMEOUT
    )


@pytest.fixture(scope="module")
def processes(library: Path, open_pack: Pack) -> Iterator[Processes]:
    request = request_for(library, open_pack, "")
    sys.path.insert(0, str(library.parent.parent))
    try:
        with Processes(request.task, request.count, request.timeout) as running:
            running.describe()
            yield running
    finally:
        sys.path.remove(str(library.parent.parent))


def embed(processes: Processes, request: Request) -> Tally:
    """What `run` does, on processes that run already."""
    about = request.about(processes.describe())
    folder, tally = Folder(request.out), Tally()
    folder.agree(about)
    parts = parts_of(read_manifest(request.manifest), request.rows, about)
    missing = folder.missing(shard_of(parts, *request.shard), parts)
    embed_parts(processes, folder, missing, about, tqdm(disable=True), tally)
    return tally


@pytest.fixture(scope="module")
def done(
    processes: Processes, library: Path, open_pack: Pack, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Tally]:
    out = tmp_path_factory.mktemp("faces")
    return out, embed(processes, request_for(library, open_pack, out))


def rows_of(out: Path) -> dict[int, dict[str, Any]]:
    rows = pq.read_table(out).to_pylist()
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows), "an id is there twice"
    return by_id


def test_every_item_has_its_row_and_failed_is_not_nobody(done: tuple[Path, Tally]) -> None:
    out, tally = done
    rows = rows_of(out)
    assert set(rows) == {*EXPECTED, *FACES, 30}
    failed = {number: row["error"]["code"] for number, row in rows.items() if row["error"]}
    assert failed == EXPECTED
    assert all(rows[number]["error"]["detail"] for number in EXPECTED)
    assert all(rows[number]["frames"] == [] for number in EXPECTED)
    assert "SIGKILL" in rows[23]["error"]["detail"]
    assert "status 9" in rows[22]["error"]["detail"]
    counts = {
        number: sum(len(frame["faces"]) for frame in row["frames"])
        for number, row in rows.items()
        if not row["error"]
    }
    assert counts == FACES | {30: 4}
    assert all(rows[number]["frames"] for number in FACES), "looked at, and nobody there"
    assert (tally.items, tally.failed) == (len(rows), len(EXPECTED))
    assert tally.faces == sum(FACES.values()) + 4


def test_a_video_has_the_times_of_its_frames(done: tuple[Path, Tally]) -> None:
    rows = rows_of(done[0])
    assert [frame["time_ms"] for frame in rows[20]["frames"]] == [60_000, 61_000]
    assert [frame["time_ms"] for frame in rows[21]["frames"]] == [0, 1000, 2000]
    assert [frame["time_ms"] for frame in rows[10]["frames"]] == [None]


def test_faces_are_those_of_the_engine(
    done: tuple[Path, Tally], open_engine: FaceEngine, four_faces: Path
) -> None:
    faces = open_engine.analyse_image(decode(four_faces.read_bytes(), 10_000_000))
    rows = rows_of(done[0])
    for row in (rows[10], rows[30]):
        (frame,) = row["frames"]
        assert (frame["width"], frame["height"]) == (610, 340)
        for stored, face in zip(frame["faces"], faces, strict=True):
            assert np.dot(stored["embedding"], face.embedding) > 0.9999
            assert stored["score"] == pytest.approx(face.score, abs=1e-4)
            assert np.allclose(np.reshape(stored["landmarks"], (5, 2)), face.landmarks, atol=0.1)
            assert (stored["age"], stored["gender"]) == (face.age, face.gender)
            assert stored["usable"] == face.usable
            assert tuple(stored["reasons"]) == (face.quality.reasons if face.quality else ())


def test_the_files_say_what_they_are(done: tuple[Path, Tally], engine: FaceEngine) -> None:
    out, _ = done
    for path in out.glob("part-*.parquet"):
        schema = pq.read_schema(path)
        assert schema.metadata[b"face_service.schema"] == b"1"
        model = json.loads(schema.metadata[b"face_service.model"])
        assert model["recogniser"] == engine.info.recogniser_sha256
        face = schema.field("frames").type.value_type.field("faces").type.value_type
        assert face.field("embedding").type == pa.list_(pa.float32(), engine.info.dimension)
    row = rows_of(out)[11]
    assert (row["pack"], row["precision"]) == ("open", "fp32")
    assert row["recogniser"] == engine.info.recogniser_sha256


def test_shards_write_the_files_of_the_whole(
    done: tuple[Path, Tally], processes: Processes, library: Path, open_pack: Pack, tmp_path: Path
) -> None:
    """The last of two, to the byte."""
    out, _ = done
    whole = sorted(path.name for path in out.glob("part-*"))
    request = request_for(library, open_pack, tmp_path)
    last = replace(request, shard=(3, 4))
    embed(processes, last)
    names = sorted(path.name for path in tmp_path.glob("part-*"))
    assert names == whole[3 * len(whole) // 4 :]
    assert [(tmp_path / name).read_bytes() for name in names] == [
        (out / name).read_bytes() for name in names
    ]


def test_again_is_nothing_to_do_and_another_model_is_refused(
    done: tuple[Path, Tally], processes: Processes, library: Path, open_pack: Pack
) -> None:
    out, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    request = request_for(library, open_pack, out)
    assert embed(processes, request).items == 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    about = request.about(processes.describe())
    about["model"]["recogniser"] = "0" * 64
    with pytest.raises(FaceServiceError, match="another model"):
        Folder(str(out)).agree(about)


def test_parts_of_another_manifest_are_refused(
    done: tuple[Path, Tally], processes: Processes, library: Path, open_pack: Pack
) -> None:
    out, _ = done
    items = read_manifest(str(library))
    about = request_for(library, open_pack, out).about(processes.describe())
    parts = parts_of(items[1:], ROWS, about)
    with pytest.raises(FaceServiceError, match="of another manifest"):
        Folder(str(out)).missing(parts, parts)


def start(manifest: Path, out: Path, folder: Path, open_pack: Pack) -> commands.Command:
    environment = environment_of_servers() | {
        "INSIGHTFACE_MODEL": "open",
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
    }
    arguments = ["embed", manifest, "--out", out, "--rows", 1, "--processes", 1]
    return commands.start(arguments, environment, folder)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_goes_on(
    end: signal.Signals, four_faces: Path, open_pack: Pack, tmp_path: Path
) -> None:
    out = tmp_path / "faces"
    rows: list[dict[str, object]] = [{"id": n, "uri": str(four_faces)} for n in range(12)]
    manifest = write_manifest(tmp_path / "manifest.csv", [*rows, {"id": 12, "uri": "absent.jpg"}])
    running = start(manifest, out, tmp_path, open_pack)
    settled(lambda: len([*out.glob("part-*")]) >= 2, 120)
    children = psutil.Process(running.process.pid).children(recursive=True)
    running.process.send_signal(end)
    ended = running.wait(30)
    if end != signal.SIGKILL:
        assert ended.returncode == 130
        assert "Interrupted: the same command goes on." in ended.stderr
        assert "Traceback" not in ended.stderr
    settled(lambda: not any(child.is_running() for child in children), 30)
    had = len([*out.glob("part-*")])
    again = start(manifest, out, tmp_path, open_pack).wait()
    assert again.returncode == 1, again.stderr
    assert f"{had} before" in again.stderr
    assert had < len(rows)
    found = rows_of(out)
    assert set(found) == set(range(13))
    assert [number for number, row in found.items() if row["error"]] == [12]


class SlowFolder(Folder):
    """Writes nothing before a later item is computed."""

    computed = threading.Event()

    def write(self, part: Part, table: Any) -> None:
        assert self.computed.wait(30), "nothing is computed meanwhile"
        super().write(part, table)


class Computed:
    """In place of processes: the third item is computed."""

    def embed(self, items: Sequence[Item]) -> Iterator[Outcome]:
        for number, item in enumerate(items):
            if number == 2:
                SlowFolder.computed.set()
            yield Outcome(item)


def test_a_part_is_written_while_the_next_is_computed(tmp_path: Path) -> None:
    about = {"model": MODEL, "options": {}}
    folder, tally = SlowFolder(str(tmp_path)), Tally()
    parts = parts_of([Item(number, "a.jpg") for number in range(3)], 2, about)
    processes = cast(Processes, Computed())
    embed_parts(processes, folder, parts, about, tqdm(disable=True), tally)
    assert folder.parts() == {part.name for part in parts}


def test_what_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    about = {"model": MODEL, "options": {}}
    folder = Folder(str(tmp_path / "absent"))
    parts = parts_of([Item(number, "a.jpg") for number in range(3)], 1, about)
    processes = cast(Processes, Computed())
    with pytest.raises(FaceServiceError, match=r"--out .*absent: .*No such file"):
        embed_parts(processes, folder, parts, about, tqdm(disable=True), Tally())


def test_without_a_reader_of_videos_nothing_begins(
    library: Path, open_pack: Pack, tmp_path: Path
) -> None:
    environment = environment_of_servers() | {"INSIGHTFACE_MODEL": "open"}
    program = "import sys; sys.modules['av'] = None\n" + commands.MAIN
    arguments = ["embed", library, "--out", tmp_path / "out"]
    done = commands.run(arguments, environment, tmp_path, program)
    assert done.returncode == 2
    assert "Videos are read by PyAV, which is not installed" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_so(tmp_path: Path) -> None:
    program = "import sys; sys.modules['pyarrow'] = None\n" + commands.MAIN
    done = commands.run(
        ["embed", "m.csv", "--out", "out"], environment_of_servers(), tmp_path, program
    )
    assert done.returncode == 2
    assert "pip install 'face-service[embed]'" in done.stderr


@pytest.mark.parametrize("shard", ["1", "4/4", "-1/4", "a/b", "0/0"])
def test_a_shard_that_is_none_is_told(shard: str, tmp_path: Path) -> None:
    arguments = ["embed", "m.csv", "--out", "out", "--shard", shard]
    done = commands.run(arguments, environment_of_servers(), tmp_path)
    assert done.returncode == 2
    assert "from 0" in done.stderr.replace("\n", " ")
