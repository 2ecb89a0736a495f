"""Operating points: the arithmetic on a set computed by hand, and those that are committed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter
from typer.testing import CliRunner

from face_service.cli import app
from face_service.errors import InvalidRequest
from face_service.face_engine import Face, FaceEngine, Options
from face_service.packs.catalog import CATALOG
from face_service.packs.pack import Pack
from face_service.thresholds import OperatingPoints
from face_service.tools.operating_points import (
    EXTRAPOLATED,
    embed_people,
    measure_operating_points,
    people_in,
    reached_by,
)
from face_service.vision.blob import Image
from tests.server import ONE_THREAD

FORMAT = TypeAdapter(OperatingPoints)
MANIFEST = Path(__file__).parents[2] / "examples" / "edgeface" / "manifest.json"
PEOPLE = 26
"""With two photos each; 2k and 2k + 1 resemble each other."""


def by_hand() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Photo A of each person resembles nobody else. Photo B has a cosine of 0.75 to photo A, and of
    0.25 to photo B of the person beside; with the first two of all these are 0.5 and 0.5625."""
    photos = np.zeros((PEOPLE, 2, 3 * PEOPLE))
    for person in range(PEOPLE):
        mate, beside = (0.5, 0.75) if person < 2 else (0.75, 0.5)
        photos[person, 0, person] = 1
        photos[person, 1, person] = mate
        photos[person, 1, PEOPLE + person // 2] = beside
        photos[person, 1, 2 * PEOPLE + person] = np.sqrt(1 - mate**2 - beside**2)
    return photos.reshape(2 * PEOPLE, -1).astype(np.float32), np.repeat(np.arange(PEOPLE), 2)


def test_points_of_a_set_computed_by_hand() -> None:
    """Of 1,300 pairs of two people 12 have 0.25 and one 0.5625: 1 % reaches 0.25, and of 0.01 % the
    next whole pair is the one. 24 of the 26 pairs of one person reach 0.5625."""
    points = measure_operating_points(*by_hand(), "made")
    assert (
        points.measured_on == "made: 52 photos of 26 people, 26 pairs of one person, 1,300 of two"
    )
    assert [
        (one.false_match_rate, one.similarity, one.true_match_rate) for one in points.verification
    ] == [(0.01, 0.25, 1.0), (0.001, 0.25, 1.0), (0.0001, 0.563, round(24 / 26, 4))]


def test_strangers_computed_by_hand() -> None:
    """Against all others half of the 52 photos resemble nobody, 24 have 0.25, two 0.5625. Of
    20 people the one beside is one with a probability of 20/25: 40 % of the photos reach 0.25, and
    3 % 0.5625. Of 5, with 5/25: under 1 % reach 0.5625."""
    found = {
        (point.people, point.false_positive_rate): point.similarity
        for point in measure_operating_points(*by_hand(), "made").identification
        if point.measured
    }
    assert found[25, 0.1] == 0.25
    assert found[25, 0.01] == 0.563
    assert found[20, 0.1] == 0.25
    assert found[20, 0.01] == 0.563
    assert found[5, 0.01] == 0.25


def test_more_people_than_there_are_computed_by_hand() -> None:
    """Of the 1,300 similarities of a photo to another person 26 are at least 0.25, the highest 1 %
    of them: two by 0.3125 more, so the scale of the exponential is 2 · 0.3125 / 26 = 0.0240385. A
    stranger is taken for one of 1,000 in 10 % if for each in 1.0536e-4: ln(0.01 / 1.0536e-4) is
    4.5529 scales above 0.25. Likewise 6.9027, 6.8555 and 9.2053."""
    found = [
        (point.people, point.false_positive_rate, point.similarity)
        for point in measure_operating_points(*by_hand(), "made").identification
        if not point.measured
    ]
    assert found == [
        (1_000, 0.1, 0.36),
        (1_000, 0.01, 0.416),
        (10_000, 0.1, 0.415),
        (10_000, 0.01, 0.472),
    ]


def test_a_share_is_rounded_up_to_a_whole_one() -> None:
    similarities = np.arange(100) / 100
    assert reached_by(similarities, 0.05) == 0.95
    assert reached_by(similarities, 0.001) == 0.99


def test_25_people_are_needed(tmp_path: Path) -> None:
    for person in range(30):
        (tmp_path / str(person)).mkdir()
        for photo in range(2 if person < 24 else 1):
            (tmp_path / str(person) / f"{photo}.jpg").touch()
    with pytest.raises(InvalidRequest, match="24 people with two photos or more, 25 are needed"):
        people_in(tmp_path)


def people_of(faces: int, folder: Path, photo: Path) -> dict[str, list[Path]]:
    """Of PEOPLE people `photo` and another, which shows no face but of the last so many."""
    black = folder / "black.png"
    cv2.imwrite(str(black), np.zeros((32, 32, 3), np.uint8))
    return {str(n): [photo, photo if n >= PEOPLE - faces else black] for n in range(PEOPLE)}


def test_people_without_two_faces_are_left_out(
    engine: FaceEngine, four_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse, seen = engine.analyse_image, dict[bytes, list[Face]]()

    def analyse_once(image: Image, options: Options) -> list[Face]:
        if image.tobytes() not in seen:  # of a hundred photos there are two
            seen[image.tobytes()] = analyse(image, options)
        return seen[image.tobytes()]

    monkeypatch.setattr(engine, "analyse_image", analyse_once)
    embeddings, person = embed_people(engine, people_of(25, tmp_path, four_faces))
    assert person.tolist() == np.repeat(np.arange(25), 2).tolist()
    assert len(embeddings) == len(person)
    assert measure_operating_points(embeddings, person, "made").measured_on.startswith(
        "made: 50 photos of 25 people"
    )
    with pytest.raises(InvalidRequest, match=r"24 people .* face is found, 25 are needed"):
        embed_people(engine, people_of(24, tmp_path, four_faces))


def committed() -> dict[str, OperatingPoints]:
    """Of the catalogue, and of the example of a manifest."""
    manifest = json.loads(MANIFEST.read_text())
    edgeface = FORMAT.validate_python(manifest["operating_points"])
    found = {name: pack.operating_points for name, pack in CATALOG.items()}
    return {name: each for name, each in found.items() if each} | {"edgeface": edgeface}


@pytest.mark.parametrize("name", committed())
def test_committed_points_have_the_format_and_the_order_of_measured_ones(name: str) -> None:
    points = committed()[name]
    assert FORMAT.validate_json(json.dumps(asdict(points))) == points
    made = measure_operating_points(*by_hand(), "made")
    assert [one.false_match_rate for one in points.verification] == [
        one.false_match_rate for one in made.verification
    ]
    similarities = [one.similarity for one in points.verification]
    assert similarities == sorted(similarities), "a smaller rate needs more"
    rates = [one.true_match_rate for one in points.verification]
    assert rates == sorted(rates, reverse=True)
    assert [(each.false_positive_rate, each.measured) for each in points.identification] == [
        (each.false_positive_rate, each.measured) for each in made.identification
    ]
    for rate in (0.1, 0.01):
        of_rate = [each for each in points.identification if each.false_positive_rate == rate]
        assert [each.similarity for each in of_rate] == sorted(each.similarity for each in of_rate)
        assert [each.people for each in of_rate] == sorted(each.people for each in of_rate)
        assert tuple(each.people for each in of_rate if not each.measured) == EXTRAPOLATED


def evaluate(folder: Path, pack: Pack, *options: str) -> str:
    """What `face-service evaluate FOLDER` prints."""
    environment = {"MODEL_CACHE_DIR": str(pack.directory.parent), **ONE_THREAD}
    command = ["evaluate", str(folder), "--model", pack.name, *options]
    result = CliRunner().invoke(app, command, env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", ["starter", "open"])
def test_the_command_measures_what_is_committed(
    name: str, shared: Path, starter: Pack, open_pack: Pack
) -> None:
    """Another processor rounds otherwise."""
    pack = {"starter": starter, "open": open_pack}[name]
    told = json.loads(evaluate(shared / "faces" / "lfw", pack, "--json"))
    points = FORMAT.validate_python(told["operating_points"])
    stated = CATALOG[name].operating_points
    assert stated is not None
    assert points.measured_on.removeprefix("lfw") == stated.measured_on.removeprefix("LFW")
    for found, expected in zip(points.verification, stated.verification, strict=True):
        assert found.similarity == pytest.approx(expected.similarity, abs=0.004)
        assert found.true_match_rate == pytest.approx(expected.true_match_rate, abs=0.006)
    for one, other in zip(points.identification, stated.identification, strict=True):
        assert (one.people, one.measured) == (other.people, other.measured)
        assert one.similarity == pytest.approx(other.similarity, abs=0.006)


def test_the_command_prints_tables_for_people(
    shared: Path, open_pack: Pack, tmp_path: Path
) -> None:
    for person in sorted((shared / "faces" / "lfw").iterdir())[:25]:
        (tmp_path / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:2]:
            (tmp_path / person.name / photo.name).symlink_to(photo)
    text = evaluate(tmp_path, open_pack)
    assert "50 photos of 25 people, 25 pairs of one person" in text
    assert "Are these two one person?" in text
    assert "Which of so many people is it?" in text
    assert text.count("extrapolated") == 4
