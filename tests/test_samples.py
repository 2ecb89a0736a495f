"""Every sample of the documentation is run as it stands there, or is listed here with a reason.

A sample runs in a folder laid out like the checkout, with the photos that samples name and with
the starter pack; localhost:8100 is a server that runs. A block of text right after it, or a
comment after its last command, is what it prints, with … for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import SHARED
from tests.postgres import Postgres
from tests.samples import ROOT, Sample, commands, samples
from tests.server import Server

SHELL, RUN = ("bash", "console", "sh"), ("bash", "python", "sql")
DATA = ("", "json", "text", "yaml", "ini")
"""Languages of blocks that nobody would run."""

NOT_RUN = {
    r"\./run\.sh": "serves until it is stopped: tests/test_scripts.py",
    r"python -m face_service\.main|face-service serve": "the same: tests/test_api.py",
    r"\./test\.sh": "it is what runs this",
    r"uv (pip|venv)\b|^pip |astral\.sh/uv": "installs: tests/test_scripts.py and every start of it",
    r"^export ONNX_PROVIDERS=": "belongs to the builds of ONNX Runtime for GPUs above it",
    r"^docker\b": "needs a Docker daemon: tests/test_containers.py reads the files it is given",
    r"models (pull|verify) buffalo_l|buffalo_l\.zip": "InsightFace's files are 300 MB on a site "
    "that cannot be reached from everywhere: tests/packs/test_download.py",
    r"face-service evaluate": "720 photos: tests/test_verification.py has some of them",
    r"face-service bench": "many seconds of load: tests/test_bench.py",
    r"(python -m |^)benchmarks[./]": "minutes; its figures are in the page: tests/test_bench.py",
    r"python -m tests\.": "the long form of tests/test_load.py and tests/test_hostile.py",
    r"scripts/openvino\.sh": "installs: tests/test_precision.py",
}
"""Commands that are not run, by what is found in them; and why, and what is tested instead."""

ELSEWHERE = {
    ("README.md", "typescript"): "tests/clients/test_samples.py",
    ("docs/backend.md", "typescript"): "tests/clients/test_samples.py",
    ("docs/clients.md", "typescript"): "tests/clients/test_samples.py",
}
"""Samples that another test runs, by page and language."""


def why_not(command: str) -> str | None:
    """The pattern of NOT_RUN that is found in a command."""
    text = re.sub(r"^\s*#.*\n|^\n", "", command, flags=re.MULTILINE)
    return next((pattern for pattern in NOT_RUN if re.search(pattern, text)), None)


def run_here(sample: Sample) -> list[str]:
    """The commands of a sample that are run, and the comments after them."""
    return [command for command in commands(sample.code) if not why_not(command)]


def printed(sample: Sample) -> str:
    """What a shell sample says that it prints."""
    *_, comments = commands(sample.code)
    return sample.output or re.sub(r"^# ?", "", comments, flags=re.MULTILINE)


def test_every_sample_is_run_or_has_its_reason() -> None:
    unknown = [
        f"{sample}: {sample.language}"
        for sample in samples()
        if sample.language not in (*RUN, *DATA)
        and (sample.page, sample.language) not in ELSEWHERE
    ]
    assert not unknown, f"neither run nor listed: {unknown}"


def test_no_reason_is_left_over() -> None:
    used = {why_not(command) for sample in samples(*SHELL) for command in commands(sample.code)}
    assert set(NOT_RUN) <= used
    assert set(ELSEWHERE) <= {(sample.page, sample.language) for sample in samples()}
    named = re.findall(r"tests/[\w/]+\.py", " ".join([*NOT_RUN.values(), *ELSEWHERE.values()]))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_programs_that_are_not_run_exist_and_know_their_options() -> None:
    for sample in samples(*SHELL):
        for command in filter(why_not, commands(sample.code)):
            if module := re.search(r"python -m ((?:benchmarks|tests)\.\w+)(.*)", command):
                source = (ROOT / f"{module[1].replace('.', '/')}.py").read_text()
                for option in re.findall(r" (--[\w-]+)", module[2].partition("#")[0]):
                    assert f'"{option}"' in source, f"{sample}: {module[1]} has no {option}"


@pytest.fixture(scope="module")
def checkout(solvay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the checkout, which samples may write into, with the photos they name."""
    folder = tmp_path_factory.mktemp("samples") / "face-service"
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in (".git", ".env", "photos"):
            (folder / path.name).symlink_to(path)
    if SHARED.is_dir():
        (folder.parent / "shared").symlink_to(SHARED)
    for name in ("image", "photo", "solvay", "frame"):
        shutil.copy(solvay, folder / f"{name}.jpg")
    photo = cv2.imread(str(solvay))
    one, two = photo[1000:1400, 700:1100], photo[650:1050, 1900:2300]
    smaller = cv2.resize(one, None, fx=0.9, fy=0.9)
    (folder / "photos" / "three").mkdir(parents=True)
    (folder / "photos" / "notes.txt").write_text("Not an image.\n")
    for name, image in {
        "a": one,
        "b": smaller,
        "one": one,
        "other": smaller,
        "photos/one": one,
        "photos/three/a": smaller,
        "photos/three/b": two,
    }.items():
        cv2.imwrite(str(folder / f"{name}.jpg"), image)
    return folder


@pytest.fixture(scope="module")
def execute(checkout: Path, server: Server) -> Callable[..., str]:
    """Runs a program as a reader would: in the activated environment, on the starter pack."""

    def run(program: list[str], code: str, sample: Sample, fails: bool) -> str:
        code = re.sub(r"(localhost|127\.0\.0\.1):8100", f"127.0.0.1:{server.port}", code)
        if "../shared" in code and not SHARED.is_dir():
            pytest.skip("../shared is not here: its photos cannot be published")
        if re.search(r"\bjq\b", code) and not shutil.which("jq"):
            pytest.skip("jq is not installed (Debian package jq)")
        done = subprocess.run(
            [*program, code],
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "INSIGHTFACE_MODEL": "starter",
                "COLUMNS": "80",
            },
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert fails or done.returncode == 0, f"{sample}\n{done.stdout}"
        return done.stdout

    return run


def assert_printed(expected: str, shown: str, sample: Sample) -> None:
    """Compare line by line; … is anything, of one line or of several."""
    pattern = re.escape(expected).replace("…", "(?s:.*)")
    assert re.fullmatch(pattern, shown), f"{sample} prints\n{shown}\nand not\n{expected}"


@pytest.mark.parametrize("sample", [*filter(run_here, samples(*SHELL))], ids=str)
def test_shell(sample: Sample, execute: Callable[..., str]) -> None:
    expected, code = printed(sample), "".join(run_here(sample))
    # What shows an error fails, and is right to.
    shown = execute(["bash", "-o", "pipefail", "-ec"], code, sample, fails=bool(sample.output))
    if expected:
        assert_printed(expected, shown, sample)


def python_samples() -> list[Sample]:
    return [one for one in samples("python") if (one.page, one.language) not in ELSEWHERE]


@pytest.mark.parametrize("sample", python_samples(), ids=str)
def test_python(sample: Sample, execute: Callable[..., str]) -> None:
    shown = execute([sys.executable, "-W", "error", "-c"], sample.code, sample, fails=False)
    if sample.output:
        assert_printed(sample.output, shown, sample)


PAGES_WITH_SQL = sorted({sample.page for sample in samples("sql")})
STRANGERS = 3000
"""Rows of nobody: enough for PostgreSQL to prefer the index by itself."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that has pgvector."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder))
        yield server
        server.stop()


@pytest.mark.parametrize("page", PAGES_WITH_SQL)
def test_sql(page: str, postgres: Postgres, server: Server, solvay: Path) -> None:
    """The tables are made, the faces of a photo stored, and found again on another copy of it."""
    database = re.sub(r"\W", "_", page).lower()
    postgres.rows(f"CREATE DATABASE {database}")

    def sql(statements: str) -> list[list[str]]:
        return postgres.rows(statements, database)

    code = "".join(sample.code for sample in samples("sql") if sample.page == page)
    statements = re.findall(r"[^;]+;", re.sub(r"--.*", "", code))
    searches = [statement for statement in statements if "$1" in statement]
    sql("CREATE EXTENSION IF NOT EXISTS vector;")
    sql("".join(statement for statement in statements if "$1" not in statement))
    photo = cv2.imread(str(solvay))
    known, seen = (detect(server, cv2.resize(photo, None, fx=size, fy=size)) for size in (1, 0.8))
    sql("".join(insert(creator, face, known) for creator, face in enumerate(known["faces"])))
    sql(
        "INSERT INTO creator_face_embeddings (creator_id, embedding, model) "
        "SELECT -n, l2_normalize((SELECT array_agg(random() - 0.5 + 0 * n) "
        f"FROM generate_series(1, 512))::vector), '{{}}' FROM generate_series(1, {STRANGERS}) n;"
        "ANALYZE creator_face_embeddings;"
    )
    assert searches, f"{page} searches nothing"
    for search in searches:
        prepare = f"PREPARE search AS {search}"
        for face in seen["faces"]:
            (found, *_) = sql(f"{prepare} EXECUTE search('{face['embedding']}');")
            assert int(found[0]) == whose(face, known["faces"], scale=0.8)
            assert 0.6 < float(found[1]) <= 1 + 1e-6
        plan = str(sql(f"{prepare} EXPLAIN EXECUTE search('{face['embedding']}');"))
        by_index = "ORDER BY embedding <=>" in search
        assert ("Index Scan using creator_face_embeddings_embedding_idx" in plan) is by_index
        assert ("Seq Scan on creator_face_embeddings" in plan) is not by_index


def detect(server: Server, image: Any) -> Any:
    data = cv2.imencode(".jpg", image)[1].tobytes()
    return server.client.post("/detect", files={"file": data}).json()


def insert(creator: int, face: Any, answer: Any) -> str:
    model = str(answer["model"]).replace("'", '"')
    return (
        "INSERT INTO creator_face_embeddings (creator_id, embedding, model) "
        f"VALUES ({creator}, '{face['embedding']}', '{model}');"
    )


def whose(face: Any, known: list[Any], scale: float) -> int:
    """The place of the known face where this one is in the smaller copy of the photo."""
    distances = [np.abs(np.array(face["bbox"]) / scale - one["bbox"]).max() for one in known]
    return int(np.argmin(distances))
