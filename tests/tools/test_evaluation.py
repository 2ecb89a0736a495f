"""Telling people apart: the arithmetic, and the packs on real pairs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from face_service.cli import app
from face_service.errors import InvalidRequest
from face_service.packs.pack import Pack
from face_service.tools.evaluation import Pairs, read_pairs
from tests.server import ONE_THREAD

PAIRS = Pairs(np.array([0.9, 0.5, 0.2, 0.4, 0.1, -0.2]), np.array([1, 1, 1, 0, 0, 0], bool), 0)


def test_rates_at_a_threshold() -> None:
    assert PAIRS.accuracy(0.3) == pytest.approx(4 / 6)
    assert PAIRS.false_match_rate(0.3) == pytest.approx(1 / 3)
    assert PAIRS.false_non_match_rate(0.3) == pytest.approx(1 / 3)
    assert PAIRS.false_match_rate(0.4) == pytest.approx(1 / 3), "the threshold itself matches"


def test_the_best_threshold_lies_between_two_similarities() -> None:
    assert PAIRS.best_threshold() in (pytest.approx(0.15), pytest.approx(0.45))
    assert PAIRS.accuracy(PAIRS.best_threshold()) == pytest.approx(5 / 6)


def test_the_tenth_fold_does_not_choose_its_own_threshold() -> None:
    random = np.random.default_rng(0)
    noise = Pairs(random.random(400), random.random(400) < 0.5, 0)
    assert noise.accuracy(noise.best_threshold()) > noise.cross_validated_accuracy()


LARGE = "a" * 200_000
"""More than `csv` takes for a field."""


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "first,second,same\na,b,1\n", f"first,second,same\n{LARGE},b,1\n"]
)
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InvalidRequest, match=r"pairs\.csv"):
        read_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize("row", ["a", "a,b"])
def test_a_row_without_all_columns_is_named(row: str, tmp_path: Path) -> None:
    rows = "".join(f"a,b,{n % 2}\n" for n in range(12))
    (tmp_path / "pairs.csv").write_text(f"first,second,same\n{rows}{row}\n")
    with pytest.raises(InvalidRequest, match=r"pairs\.csv, line 14: a column is missing"):
        read_pairs(tmp_path / "pairs.csv")


def test_pairs_that_are_all_alike_are_a_sentence() -> None:
    """No face on any photo."""
    alike = Pairs(np.full(20, -1.0), np.arange(20) < 10, 4)
    with pytest.raises(InvalidRequest, match="All pairs have the similarity -1"):
        alike.best_threshold()


def test_fewer_pairs_than_folds_are_a_sentence(tmp_path: Path) -> None:
    rows = "".join(f"a,b,{n % 2}\n" for n in range(9))
    (tmp_path / "pairs.csv").write_text(f"first,second,same\n{rows}")
    with pytest.raises(InvalidRequest, match=r"pairs\.csv has 9 pairs, 10 or more are needed"):
        read_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize("what", ["alike", "few"])
def test_a_set_of_pairs_that_tells_nothing_is_no_traceback(
    what: str, starter: Pack, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    rows = "".join(f"a.png,a.png,{n % 2}\n" for n in range(12 if what == "alike" else 4))
    (tmp_path / "pairs.csv").write_text(f"first,second,same\n{rows}")
    environment = {**ONE_THREAD, "MODEL_CACHE_DIR": str(starter.directory.parent)}
    command = ["evaluate", str(tmp_path / "pairs.csv"), "--model", "starter"]
    result = CliRunner().invoke(app, command, env=environment)
    assert isinstance(result.exception, InvalidRequest), result.output
    assert "nan" not in result.output


@pytest.fixture(scope="module")
def edgeface(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of a pack with a manifest, as the README puts it together."""
    folder = tmp_path_factory.mktemp("edgeface")
    shutil.copy(Path(__file__).parents[2] / "examples" / "edgeface" / "manifest.json", folder)
    for name in ("det_2.5g.onnx", "edgeface_xs.onnx"):
        shutil.copy(shared / "models" / name, folder)
    return folder


def pairs_of_some_people(faces: Path, first: int, folder: Path) -> Path:
    """Those of 15 of the 60 people with each other: a quarter of the photos."""
    head, *rows = (faces / "pairs.csv").read_text().splitlines()
    people = sorted({row.partition("/")[0] for row in rows})
    some = {*people[first:][:15]}
    kept = [row for row in rows if {name.split("/")[0] for name in row.split(",")[:2]} <= some]
    file = folder / "pairs.csv"
    file.write_text("\n".join([head, *kept, ""]))
    return file


@pytest.mark.parametrize(("pack", "first"), [("open", 0), ("edgeface", 30)])
def test_packs_tell_people_apart_at_their_threshold(
    pack: str,
    first: int,
    open_pack: Pack,
    request: pytest.FixtureRequest,
    shared: Path,
    tmp_path: Path,
) -> None:
    model = "open" if pack == "open" else str(request.getfixturevalue(pack))
    faces = shared / "faces"
    pairs = pairs_of_some_people(faces, first, tmp_path)
    command = ["evaluate", str(pairs), "--photos", str(faces / "lfw")]
    environment = {**ONE_THREAD, "MODEL_CACHE_DIR": str(open_pack.directory.parent)}

    result = CliRunner().invoke(app, [*command, "--model", model], env=environment)

    assert result.exit_code == 0, result.output
    measured = re.search(r"pack's threshold .* accuracy ([\d.]+)%", result.output)
    assert measured
    assert float(measured[1]) >= 99.1
    assert "photos               60, 0 of them without a face" in result.output
    assert "pairs                90 of one person" in result.output
