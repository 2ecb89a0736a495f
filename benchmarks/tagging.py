"""How well the platform tags, and what it costs: python -m benchmarks.tagging [SEED]

40 people of ../shared/faces/lfw are enrolled with two photos each; 12 clips show six of them, on
their other photos, and four of the 20 others, two at a time, with cuts and a moving camera. Prints
precision and recall of (clip, person) pairs, the thresholds that gave them, the CPU time of each
part, and how right faces are grouped. Whose photos are all refused is one more stranger. Ends with
status 1 below a precision of 0.99 or a recall of 0.97.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.grouped import print_grouping
from tests.conftest import ROOT, SHARED
from tests.platform.backend import Backend
from tests.platform.clips import Scene, write_clip
from tests.platform.conftest import PLATFORM, FaceService

CREATORS, CLIPS, KNOWN, STRANGERS = 40, 12, 6, 4
SEED = 18


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tagging-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        command = [sys.executable, ROOT / "scripts" / "postgres.py", folder / "postgres"]
        with (folder / "log").open("w") as log:
            database = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        (folder / "service").mkdir()
        service = FaceService("starter", ROOT / "models", folder / "service")
        url = folder / "postgres" / "url"
        while not url.exists():
            time.sleep(0.1)
        service.server.wait_until_ready()
        bun = PLATFORM / "node_modules" / ".bin" / "bun"
        data = Path(tempfile.mkdtemp(prefix="backend-"))
        settings = {"FACE_SERVICE_URL": service.url}
        backend = Backend(bun, PLATFORM, data, url.read_text(), settings)
        try:
            return report(backend, folder, service.server.process.pid, database.pid)
        finally:
            backend.close()
            service.stop()
            database.terminate()
            database.wait()
            shutil.rmtree(data)


def wait_until_done(backend: Backend) -> None:
    """Asks rarely: every question costs PostgreSQL a process."""
    while backend.query("SELECT count(*) FROM jobs") != [["0"]]:
        time.sleep(2)


def cpu_seconds(backend: int, service: int, database: int) -> dict[str, float]:
    """CPU time of each part until now; FFmpeg is the backend's only child."""

    def own(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def ended(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.children_user + times.children_system)

    bun, starter = psutil.Process(backend), psutil.Process(database)
    servers = starter.children(recursive=True)
    return {
        "face service": own(psutil.Process(service)),
        "FFmpeg": ended(bun),
        "Bun": own(bun),
        "PostgreSQL": sum(own(process) + ended(process) for process in servers),
    }


def report(backend: Backend, folder: Path, service: int, database: int) -> int:
    """Enrol, upload, count."""
    chance = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else SEED)
    people = sorted((SHARED / "faces" / "lfw").iterdir())
    chance.shuffle(people)
    creators, others = people[:CREATORS], people[CREATORS:]
    for person in creators:
        backend.enrol(person.name, sorted(person.glob("*.jpg"))[:2])
    wait_until_done(backend)
    [[references]] = backend.query("SELECT count(*) FROM creator_references")
    enrolled = {
        name
        for [name] in backend.query(
            "SELECT name FROM creators WHERE id IN (SELECT creator_id FROM creator_references)"
        )
    }
    print(f"{references} of {2 * CREATORS} photos taken, {len(enrolled)} people enrolled")

    known = [photo for person in creators for photo in sorted(person.glob("*.jpg"))[2:]]
    chance.shuffle(known)
    # Everybody once before anybody twice.
    unknown = [sorted(person.glob("*.jpg"))[n] for n in range(4) for person in others]
    before = cpu_seconds(backend.process.pid, service, database)
    truth: set[tuple[int, str]] = set()
    shown: set[str] = set()
    layout: dict[int, list[str]] = {}
    for n in range(CLIPS):
        seen = known[n * KNOWN : (n + 1) * KNOWN] + unknown[n * STRANGERS : (n + 1) * STRANGERS]
        chance.shuffle(seen)
        pairs = zip(seen[::2], seen[1::2], strict=True)
        clip = write_clip(folder, [Scene(2, pair, travel=40) for pair in pairs])
        video = backend.upload(clip)
        truth |= {(video, photo.parent.name) for photo in seen if photo.parent.name in enrolled}
        shown |= {photo.parent.name for photo in seen} - enrolled
        layout[video] = [photo.parent.name for photo in seen]
    wait_until_done(backend)

    spent = cpu_seconds(backend.process.pid, service, database)
    [[frames]] = backend.query("SELECT sum(frames) FROM videos")
    for part, seconds in spent.items():
        milliseconds = 1000 * (seconds - before[part]) / int(frames)
        share = (seconds - before[part]) / (sum(spent.values()) - sum(before.values()))
        print(f"{part}: {milliseconds:.1f} ms of CPU a frame, {share:.1%}")
    print(f"{CLIPS} clips, {frames} frames, {len(truth)} true pairs, {len(shown)} strangers")
    print(f"thresholds {backend.get('/api/models')['thresholds']}")
    found: dict[str, set[tuple[int, str]]] = {}
    for video, state, name in backend.query("""
        SELECT a.video_id, t.state, c.name FROM video_tags t
        JOIN appearances a ON a.id = t.appearance_id JOIN creators c ON c.id = t.creator_id"""):
        found.setdefault(state, set()).add((int(video), name))
    automatic = found.get("automatic", set())
    suggested = found.get("suggested", set()) - automatic
    precision = len(automatic & truth) / max(len(automatic), 1)
    recall = len(automatic & truth) / len(truth)
    print(f"automatic: {len(automatic)}, precision {precision:.4f}, recall {recall:.4f}")
    print(f"suggested beside: {len(suggested)}, {len(suggested & truth)} of them right")
    print_grouping(backend, layout, enrolled)
    for video, name in sorted(automatic - truth):
        print("wrong:", video, name, similarity(backend, video, name))
    for video, name in sorted(truth - automatic):
        print("missed:", video, name, similarity(backend, video, name))
    return 0 if precision >= 0.99 and recall >= 0.97 else 1


def similarity(backend: Backend, video: int, name: str) -> list[list[str]]:
    """Of the one in a video who is nearest to somebody; and whether that face is usable."""
    return backend.query(f"""
        SELECT round(n.similarity::numeric, 3), a.usable FROM appearances a
        JOIN appearance_embeddings e ON e.appearance_id = a.id
        CROSS JOIN LATERAL nearest_creators(e.model_id, e.embedding, 40) n
        JOIN creators c ON c.id = n.creator_id AND c.name = '{name}'
        WHERE a.video_id = {video} ORDER BY n.similarity DESC LIMIT 1""")


if __name__ == "__main__":
    raise SystemExit(main())
