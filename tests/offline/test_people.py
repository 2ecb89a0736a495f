"""`face-service group`: the faces of a library to people."""

from __future__ import annotations

import errno
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from face_service.errors import FaceServiceError
from face_service.offline import people
from face_service.offline.manifest import Item
from face_service.offline.people import Faces, Pairs, components, group, pairs_of, read_faces
from face_service.offline.results import Results
from face_service.offline.schema import Frame, Outcome
from tests import commands
from tests.conftest import environment_of_servers
from tests.offline.faces import MODEL, face, failed, photo, unit, write

THRESHOLD = 0.4


def faces_of(people_of: NDArray[np.int64], seed: int = 0, noise: float = 0.8) -> Faces:
    """Faces of people, about 0.6 like each other, each on a photo of its own."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((int(people_of.max()) + 1, 512))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    around = chance.standard_normal((len(people_of), 512))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    vectors = centres[people_of] + noise * around
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.arange(len(people_of))
    return Faces(vectors.astype(np.float32), numbers, 0 * numbers, 0 * numbers)


def numbered(labels: NDArray[np.int64]) -> list[int]:
    seen: dict[int, int] = {}
    return [seen.setdefault(label, len(seen)) for label in labels.tolist()]


@pytest.mark.parametrize("exact", [True, False])
def test_people_are_found(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each compared with each, or with those near it by the index."""
    if not exact:
        monkeypatch.setattr(people, "EXACT", 100)
    true = np.random.default_rng(1).integers(0, 300, 3000)
    faces = faces_of(true)
    assert group(faces, THRESHOLD, 2).tolist() == numbered(true)


def test_the_people_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the index, of faces that it does not all find."""
    monkeypatch.setattr(people, "EXACT", 100)
    true = np.arange(6000) // 10
    faces = faces_of(true, noise=1.1)
    alone = group(faces, THRESHOLD, 1)
    assert alone.max() > true.max()
    for _ in range(2):
        assert (group(faces, THRESHOLD, 2) == alone).all()


def test_pairs_are_those_that_reach_the_threshold() -> None:
    faces = faces_of(np.arange(60) // 3, noise=1.2)
    cosines = faces.vectors @ faces.vectors.T
    expected = set(zip(*np.nonzero(np.triu(cosines, 1) >= THRESHOLD), strict=True))
    found = pairs_of(faces.vectors, THRESHOLD, 1)
    assert set(zip(found.first, found.second, strict=True)) == expected
    assert np.allclose(found.cosines, cosines[found.first, found.second], atol=1e-5)


def test_faces_of_one_frame_are_never_one_person() -> None:
    faces = faces_of(np.zeros(4, np.int64), noise=0.1)
    together = Faces(faces.vectors, np.array([1, 1, 2, 2]), np.array([0, 0, 0, 1]), faces.places)
    labels = group(together, THRESHOLD, 1)
    assert labels[0] != labels[1]
    assert labels[2] == labels[3], "two frames of a video"


def test_many_who_are_alike_by_chance_are_cut_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of weak pairs between groups of strong ones."""
    monkeypatch.setattr(people, "LARGEST", 4)
    strong = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7)]
    weak = [(2, 3), (5, 6)]
    first, second = np.array([*strong, *weak]).T
    pairs = Pairs(first, second, np.array([0.8] * 5 + [0.42] * 2, np.float32))
    found = [sorted(each.tolist()) for each in components(pairs, 9, THRESHOLD)]
    assert sorted(found) == [[0, 1, 2], [3, 4, 5], [6, 7], [8]]


def library(folder: Path) -> Path:
    """One person on two photos and in a video beside another; a stranger; nobody; a failure."""
    one, other = unit(1), unit(2)
    outcomes = [
        photo(Item(10, "a.jpg"), [face(one), face(None)]),
        photo(Item(11, "b.jpg"), []),
        photo(Item(12, "c.jpg"), [face(unit(3)), face(one, score=0.6)]),
        failed(Item(13, "d.jpg"), "unreadable"),
        Outcome(
            Item(14, "e.mp4"),
            [
                Frame(0, 100, 100, []),
                Frame(1000, 100, 100, [face(other), face(one)]),
                Frame(2000, 100, 100, [face(other)]),
            ],
        ),
    ]
    return write(folder, outcomes, rows=2, model=MODEL | {"pack": "starter"})


def test_faces_are_read_with_their_places(tmp_path: Path) -> None:
    faces = read_faces(Results(str(library(tmp_path / "faces"))), usable=False)
    found = zip(faces.items.tolist(), faces.frames.tolist(), faces.places.tolist(), strict=True)
    assert [*found] == [(10, 0, 0), (12, 0, 0), (12, 0, 1), (14, 1, 0), (14, 1, 1), (14, 2, 0)]
    for number, seed in enumerate([1, 3, 1, 2, 1, 2]):
        assert np.allclose(faces.vectors[number], unit(seed))


def test_faces_are_in_memory_once_while_they_are_read(tmp_path: Path) -> None:
    outcomes = [photo(Item(n, f"{n}.jpg"), [face(unit(n))]) for n in range(3000)]
    results = Results(str(write(tmp_path / "faces", outcomes, rows=64)))
    tracemalloc.start()
    faces = read_faces(results, usable=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert faces.vectors.shape == (3000, 512)
    assert most < 1.5 * faces.vectors.nbytes


def test_the_command_writes_a_row_for_each_face(tmp_path: Path) -> None:
    folder, out = library(tmp_path / "faces"), tmp_path / "people.parquet"
    done = commands.run(["group", folder, "--out", out], environment_of_servers(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "6 faces, 3 people, 2 of them seen more than once"
    assert pq.read_table(out).to_pydict() == {
        "id": [10, 12, 12, 14, 14, 14],
        "frame": [0, 0, 0, 1, 1, 2],
        "face": [0, 0, 1, 0, 1, 0],
        "person": [0, 1, 0, 2, 0, 2],
    }


def test_a_pack_that_is_not_known_needs_a_similarity(tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", [photo(Item(1, "a.jpg"), [face(unit(1))])])
    with pytest.raises(FaceServiceError, match="--similarity is needed"):
        people.run(str(folder), str(tmp_path / "out"), None, False, str)
    assert people.run(str(folder), str(tmp_path / "out"), 0.4, False, str) == 0


def test_a_library_of_nobody_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", [photo(Item(1, "a.jpg"), [])])
    with pytest.raises(FaceServiceError, match="no face"):
        people.run(str(folder), str(tmp_path / "out"), 0.4, False, str)


def test_where_people_cannot_be_written_nothing_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "faces", [photo(Item(1, "a.jpg"), [face(unit(1))])])
    monkeypatch.setattr(people, "read_faces", None)
    with pytest.raises(FaceServiceError, match=r"--out .*absent.*No such file"):
        people.run(str(folder), str(tmp_path / "absent" / "p.parquet"), 0.4, False, str)


def test_people_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "faces", [photo(Item(1, "a.jpg"), [face(unit(1))])])
    out = tmp_path / "p.parquet"
    monkeypatch.setattr(people.pyarrow.parquet, "write_table", full)
    with pytest.raises(FaceServiceError, match=r"--out .*No space left"):
        people.run(str(folder), str(out), 0.4, False, str)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    monkeypatch.undo()
    assert people.run(str(folder), str(out), 0.4, False, str) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "p.parquet"]


def full(table: object, path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device")
