"""Packs on disk: whole or absent, whatever happens on the way."""

from __future__ import annotations

import base64
import logging
import os
import pickle
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs import store
from face_service.packs.entries import CatalogPack, Role
from face_service.packs.store import ensure, locate, missing, pull, verify
from tests import commands
from tests.commands import Command

# A process of its own that pulls: `{hook}` may lay a trap first.
PULLER = """
import base64, os, pickle, signal, sys
from pathlib import Path
from face_service.packs import sources, store

def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

{hook}
pack, cache_dir = pickle.loads(base64.b64decode(sys.argv[1]))
print("ready", flush=True)
store.pull(pack, cache_dir)
"""


def puller(pack: CatalogPack, cache_dir: Path, hook: str = "") -> Command:
    """It has begun."""
    pickled = base64.b64encode(pickle.dumps((pack, cache_dir))).decode()
    program = PULLER.format(hook=hook)
    reader, writer = os.pipe()
    command = commands.start([pickled], os.environ, cache_dir, stdout=writer, program=program)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.readline() == "ready\n"
    return command


def assert_absent_or_whole(pack: CatalogPack, cache_dir: Path) -> bool:
    """Whether it is whole."""
    if not (cache_dir / pack.name).exists():
        return False
    verify(pack, cache_dir)
    return True


def test_pull_publishes_what_is_needed_and_nothing_else(demo: CatalogPack, tmp_path: Path) -> None:
    cache = tmp_path / "a" / "cache"
    pack = pull(demo, cache)
    assert pack.directory == cache / "demo"
    assert {path.name for path in pack.directory.iterdir()} == {"det.onnx", "rec.onnx"}
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.onnx")}
    assert files == {"a/cache/demo/det.onnx", "a/cache/demo/rec.onnx"}
    assert [path.name for path in (cache / ".pull").iterdir()] == ["demo.lock"]


def test_pack_says_what_it_is(demo: CatalogPack, tmp_path: Path) -> None:
    pack = pull(demo, tmp_path)
    assert (pack.name, pack.dimension, pack.licence) == ("demo", 512, "none")
    assert pack.threshold == demo.threshold
    assert list(pack.models) == [Role.DETECTION, Role.RECOGNITION]
    detector, entry = pack.models[Role.DETECTION], demo.files[0]
    assert detector.path == tmp_path / "demo" / "det.onnx"
    assert detector.sha256 == entry.sha256
    assert detector.normalization == entry.normalization


def test_pull_of_a_whole_pack_fetches_nothing(
    server: Any, demo: CatalogPack, tmp_path: Path
) -> None:
    pull(demo, tmp_path)
    server.requests.clear()
    assert pull(demo, tmp_path) == ensure(demo, tmp_path) == verify(demo, tmp_path)
    assert server.requests == []


def test_mirror(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.files["/m/demo.zip"] = server.files.pop("/v0/demo.zip")
    pull(demo, tmp_path, f"{server.url}/m")
    assert [request.path for request in server.requests] == ["/m/demo.zip"]


def test_wrong_archive(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.files["/v0/demo.zip"] += b"!"
    with pytest.raises(PackError, match="does not match the known hash"):
        pull(demo, tmp_path)
    assert not assert_absent_or_whole(demo, tmp_path)


def test_wrong_member(server: Any, make: Any, tmp_path: Path) -> None:
    archive = server.files["/v0/demo.zip"] = make.zip({"det.onnx": b"D", "rec.onnx": b"other"})
    members = {Role.DETECTION: ("det.onnx", b"D"), Role.RECOGNITION: ("rec.onnx", b"R")}
    pack = make.pack(f"{server.url}/v0/demo.zip", archive, members)
    with pytest.raises(PackError, match=r"rec\.onnx in demo\.zip has SHA-256 .* was expected"):
        pull(pack, tmp_path)
    assert not assert_absent_or_whole(pack, tmp_path)


def test_missing_member(server: Any, make: Any, tmp_path: Path) -> None:
    archive = server.files["/v0/demo.zip"] = make.zip({"det.onnx": b"D"})
    members = {Role.DETECTION: ("det.onnx", b"D"), Role.RECOGNITION: ("in/rec.onnx", b"R")}
    pack = make.pack(f"{server.url}/v0/demo.zip", archive, members)
    with pytest.raises(PackError, match=r"demo\.zip lacks a file.*in/rec\.onnx"):
        pull(pack, tmp_path)
    assert not assert_absent_or_whole(pack, tmp_path)


def test_dead_server_says_what_was_tried_and_the_ways_out(
    demo: CatalogPack, tmp_path: Path
) -> None:
    with pytest.raises(PackError) as caught:
        ensure(demo, tmp_path, "http://127.0.0.1:9/mirror")
    message = str(caught.value)
    assert message.startswith("Failed to download model pack 'demo'. Tried:")
    assert "http://127.0.0.1:9/mirror/demo.zip: " in message
    assert "Connection refused" in message
    assert f"place det.onnx, rec.onnx by hand in {tmp_path / 'demo'}" in message
    assert "INSIGHTFACE_MODEL=open" in message


def test_place_that_cannot_be_written(demo: CatalogPack, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PackError, match=r"(?s)Failed to download.*Not a directory.*by hand in"):
        ensure(demo, tmp_path / "file")


@pytest.mark.parametrize("place", ["demo", "models/demo"])
def test_pack_placed_by_hand_is_found(
    server: Any, demo: CatalogPack, tmp_path: Path, place: str
) -> None:
    """The second place is where insightface's FaceAnalysis(root="./models") unpacks."""
    pull(demo, tmp_path / "other")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / "other" / "demo").rename(tmp_path / place)
    server.requests.clear()
    assert ensure(demo, tmp_path).directory == locate(demo, tmp_path) == tmp_path / place
    assert server.requests == []


def test_corrupt_file_stops_the_start_and_is_repaired_by_pull(
    server: Any, demo: CatalogPack, tmp_path: Path
) -> None:
    pack = pull(demo, tmp_path)
    detector = pack.models[Role.DETECTION]
    content = bytearray(detector.path.read_bytes())
    content[1000] ^= 1
    detector.path.write_bytes(content)
    (pack.directory / "notes.txt").write_text("mine")
    server.requests.clear()
    with pytest.raises(PackError) as caught:
        ensure(demo, tmp_path)
    assert f"det.onnx has SHA-256 {store.sha256_of(detector.path)}, " in str(caught.value)
    assert f"{detector.sha256} was expected" in str(caught.value)
    assert "rec.onnx" not in str(caught.value)
    assert "face-service models pull demo" in str(caught.value)
    assert server.requests == []

    assert pull(demo, tmp_path) == pack
    assert (pack.directory / "notes.txt").read_text() == "mine"


def test_missing_file_stops_the_start_and_is_repaired_by_pull(
    demo: CatalogPack, tmp_path: Path
) -> None:
    recogniser = pull(demo, tmp_path).models[Role.RECOGNITION]
    recogniser.path.unlink()
    assert missing(demo, tmp_path) == (demo.files[1],)
    with pytest.raises(PackError, match=f"rec.onnx is missing.*{recogniser.sha256}"):
        ensure(demo, tmp_path)
    pull(demo, tmp_path)
    verify(demo, tmp_path)


def test_empty_folder_counts_as_absent(demo: CatalogPack, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    ensure(demo, tmp_path)


def test_whole_pack_is_read_without_writing(
    demo: CatalogPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(demo, tmp_path / "first")
    (cache := tmp_path / "cache").mkdir()
    (tmp_path / "first" / "demo").rename(cache / "demo")
    monkeypatch.delattr(store, "FileLock")
    for folder in (cache / "demo", cache):
        folder.chmod(0o555)
    try:
        assert ensure(demo, cache) == verify(demo, cache) == pull(demo, cache)
        assert list(cache.iterdir()) == [cache / "demo"]  # root may write all the same
    finally:
        for folder in (cache, cache / "demo"):
            folder.chmod(0o755)


def test_second_puller_waits_and_says_so(
    server: Any, demo: CatalogPack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.chunk_pause = 0.01
    with caplog.at_level(logging.INFO):
        threads = [threading.Thread(target=pull, args=(demo, tmp_path)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert caplog.text.count("Downloading http") == 1
    assert caplog.text.count("being fetched by another process; waiting") == 1
    assert caplog.text.count("Pack demo verified") == 2


def test_two_processes_fetch_once(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.chunk_pause = 0.02
    process = puller(demo, tmp_path)
    pull(demo, tmp_path)
    ended = process.wait(60)
    assert ended.returncode == 0, ended.stderr
    verify(demo, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("hook", "whole"),
    [
        pytest.param("store.extract = die", False, id="downloaded"),
        pytest.param("os.fsync = die", False, id="unpacking"),
        pytest.param("store.sync_folder = die", False, id="unpacked"),
        pytest.param("store._publish = die", False, id="staged"),
        pytest.param(
            "rename = Path.rename; Path.rename = lambda *a: (rename(*a), die())",
            True,
            id="published",
        ),
        pytest.param("store.shutil.rmtree = lambda p, **o: '.pull' in str(p) and "
                     "not p.name == 'staging' and die()", True, id="cleaning"),
    ],
)  # fmt: skip
def test_process_killed_at(
    server: Any, demo: CatalogPack, tmp_path: Path, hook: str, whole: bool
) -> None:
    assert puller(demo, tmp_path, hook).wait(60).returncode == -9
    assert assert_absent_or_whole(demo, tmp_path) is whole
    ensure(demo, tmp_path)
    assert len(server.requests) == 1, "the dead process had the archive: it is used"
    pull(demo, tmp_path)
    assert [path.name for path in (tmp_path / ".pull").iterdir()] == ["demo.lock"]


def test_process_killed_at_any_moment(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.chunk_pause = 0.01  # about 0.6 s for the whole archive
    moments = random.Random(0)
    for _ in range(6):
        process = puller(demo, tmp_path)
        time.sleep(moments.uniform(0, 0.3))
        process.process.kill()
        process.wait()
        assert_absent_or_whole(demo, tmp_path)
    server.chunk_pause = 0.0
    ensure(demo, tmp_path)
    assert any(request.range for request in server.requests), "no pull went on from a dead one"


def test_pack_appears_all_at_once(server: Any, demo: CatalogPack, tmp_path: Path) -> None:
    server.chunk_pause = 0.002
    puller_thread = threading.Thread(target=pull, args=(demo, tmp_path))
    puller_thread.start()
    looks = 0
    while puller_thread.is_alive():
        looks += 1
        assert_absent_or_whole(demo, tmp_path)
    puller_thread.join()
    assert looks > 10
    assert assert_absent_or_whole(demo, tmp_path)
