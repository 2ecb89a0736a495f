"""`face-service models compare`: the table, the picture, and what cannot be compared."""

from __future__ import annotations

import csv
import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from face_service.packs.pack import Pack
from face_service.tools.pack_comparison import Trial, as_dicts, as_svg, as_table
from face_service.tools.pack_trial import Accuracy
from tests import commands


def accuracy(name: str, threshold: float | None, fingerprint: str = "0" * 64) -> Accuracy:
    known = threshold is not None
    return Accuracy(
        pack=name,
        precision="fp32",
        licence="ours",
        files={"detection": "d.onnx", "recognition": "r.onnx"},
        megabytes=12.34,
        dimension=128,
        fingerprint=fingerprint,
        photos=20,
        without_face=1,
        threshold=threshold,
        accuracy=0.9 if known else None,
        false_match=0.1 if known else None,
        false_non_match=0.2 if known else None,
        best_threshold=0.4,
        best_accuracy=0.95,
        cross_validated=0.93,
        same=[0.5, 0.9, 2.0],
        different=[-0.9, 0.1, 0.2],
    )


TRIALS = [
    Trial(accuracy("one", 0.3), 20.0, 200.4),
    Trial(accuracy("<two>", None, "f" * 64), 30.0, None),
]


def test_the_table_has_a_column_for_each_pack() -> None:
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in as_table(TRIALS).splitlines()
        if line.startswith("| ")
    }
    assert rows["3 pairs of one person, 3 of two"] == ["one (fp32)", "<two> (fp32)"]
    assert rows["own threshold"] == ["0.300", "–"]
    assert rows["accuracy at it"] == ["90.00%", "–"]
    assert rows["accuracy at the best"] == ["95.00%", "95.00%"]
    assert rows["of the first"] == ["1.00×", "1.50×"]
    assert rows["memory of the process, MB"] == ["200", "–"]
    assert rows["one space with the first"] == ["yes", "no"]
    assert "Processor class: `" in as_table(TRIALS)
    assert [each["pack"] for each in as_dicts(TRIALS)] == ["one", "<two>"]


def test_the_picture_is_svg_with_a_threshold_for_each_pack() -> None:
    root = ElementTree.fromstring(as_svg(TRIALS))
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"one", "<two>", "0.300, its own", "0.400, best here"} <= set(words)


def test_two_packs_are_measured_and_written(
    shared: Path, starter: Pack, open_pack: Pack, tmp_path: Path
) -> None:
    """A dozen photos of a few people, in processes of their own."""
    with (shared / "faces" / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["same"] == "1"][:6] + [
        row for row in rows if row["same"] == "0"
    ][:6]
    pairs = tmp_path / "pairs.csv"
    with pairs.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["first", "second", "same"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    environment = {**os.environ, "MODEL_CACHE_DIR": str(starter.directory.parent)}
    arguments = ["models", "compare", "starter", "open", "--pairs", str(pairs), "--json"]
    arguments += ["--photos", str(shared / "faces" / "lfw"), "--plot", str(tmp_path / "p.svg")]
    ended = commands.run(arguments, environment, tmp_path)
    assert ended.returncode == 0, ended.stderr
    one, other = json.loads(ended.stdout)
    assert (one["pack"], other["pack"]) == ("starter", "open")
    assert one["fingerprint"] == other["fingerprint"]
    assert min(one["best_accuracy"], other["best_accuracy"]) == 1
    assert min(one["milliseconds"], other["milliseconds"]) > 0
    assert one["megabytes"] == pytest.approx(19.5, abs=0.1)
    ElementTree.parse(tmp_path / "p.svg")


def test_a_pack_that_is_none_is_said(starter: Pack, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    lines = [f"a{n}.jpg,b{n}.jpg,{n % 2}" for n in range(12)]
    pairs.write_text("\n".join(["first,second,same", *lines]))
    environment = {**os.environ, "MODEL_CACHE_DIR": str(starter.directory.parent)}
    (tmp_path / "p.svg").write_text("another's")
    arguments = ["models", "compare", "startr", "starter", "--pairs", str(pairs), "--plot", "p.svg"]
    ended = commands.run(arguments, environment, tmp_path)
    assert ended.returncode == 2
    assert "There is no model pack named 'startr'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "p.svg").read_text() == "another's", "nothing was measured"


def test_a_picture_that_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    pairs = tmp_path / "pairs.csv"
    lines = [f"a{n}.jpg,b{n}.jpg,{n % 2}" for n in range(12)]
    pairs.write_text("\n".join(["first,second,same", *lines]))
    arguments = ["models", "compare", "startr", "--pairs", str(pairs)]
    ended = commands.run([*arguments, "--plot", "no/folder.svg"], os.environ, tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "face-service: no/folder.svg: No such file or directory\n"
