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
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.conftest import SHARED
from tests.installed import face_service
from tests.samples import ROOT, Sample, commands, inline, samples
from tests.server import Server
from tests.video.clips import write

SHELL, RUN = ("bash", "console", "sh"), ("bash", "python", "sql")
DATA = ("", "json", "text", "yaml", "ini")
"""Languages of blocks that nobody would run."""

NOT_RUN = {
    r"\./run\.sh": "serves until it is stopped: tests/test_scripts.py",
    r"\./platform\.sh": "the same: tests/platform/test_start.py",
    r"python -m face_service\.main|face-service serve": "the same: tests/routes/test_health.py",
    r"\./test\.sh": "it is what runs this",
    r"uv (pip|venv)\b|^pip |astral\.sh/uv": "installs: tests/test_scripts.py and every start of it",
    r"\bdocker (build|run|compose|logs)\b": "needs Docker: tests/test_containers.py",
    r"models (pull|verify) buffalo_l|buffalo_l\.zip": "InsightFace's files are 300 MB on a site "
    "that cannot be reached from everywhere: tests/packs/test_download.py",
    r"face-service evaluate": "240 photos: tests/tools/test_evaluation.py, "
    "tests/tools/test_operating_points.py",
    r"face-service models compare": "240 photos a pack: tests/tools/test_pack_comparison.py",
    r"face-service models quantize": "minutes: tests/tools/test_quantization.py",
    r"face-service tune": "two minutes of load: tests/cli/test_tune.py",
    r"face-service bench": "many seconds of load: tests/cli/test_bench.py",
    r"(python -m |^)benchmarks[./]": "minutes; figures in the page: tests/tools/bench/test_load.py",
    r"python -m tests\.(openapi|examples)": "writes into the checkout: tests/http/test_openapi.py",
    r"scripts/client_types\.sh": "the same: tests/clients/test_typescript.py",
    r"scripts/(lock|audit)\.sh": "asks a package registry: tests/test_locks.py",
    r"\.venv/bin/(pytest|ruff|mypy|lint-imports)\b": "what ./test.sh runs, as tests/README.md says",
    r"python -m tests\.": "the long form of tests/test_load.py and tests/hostile",
    r"^helm install": "wants a cluster: tests/deploy/test_chart.py",
    r"scripts/deployment\.sh": "installs: tests/deploy",
    r"face-service plan": "simulates for seconds: tests/tools/test_planning.py",
    r"face-service (embed|load|group)": "wants a library: tests/offline",
    r"scripts/ray\.sh": "installs: tests/offline/test_on_ray.py",
    r"scripts/oracle\.sh": "installs: tests/test_parity.py",
    r"^RAY_|^serve run": "serves on Ray: tests/deploy/test_ray_serve.py",
    r"scripts/openvino\.sh": "installs: tests/test_precision.py",
    r"\.openvino/bin/python .* doctor": "says what its machine has: tests/tools/doctor",
    r"^ffmpeg ": "needs FFmpeg: tests/platform/test_backend_page.py, tests/cli/test_videos.py",
    r"models/\.compiled": "removes what this machine has compiled: tests/runtime/test_programs.py",
    r"face-service doctor --": "seconds each, with other options: tests/tools/doctor",
}
"""Commands that are not run, by what is found in them; and why, and what is tested instead."""

ELSEWHERE = {
    ("README.md", "typescript"): "tests/clients/test_samples.py",
    ("clients/python/README.md", "python"): "tests/clients/test_samples.py",
    ("clients/typescript/README.md", "typescript"): "tests/clients/test_samples.py",
    ("docs/backend.md", "typescript"): "tests/platform/test_backend_page.py",
    ("docs/offline.md", "python"): "tests/offline/test_manifest.py",
    ("docs/clients.md", "python"): "tests/clients/test_samples.py",
    ("docs/clients.md", "typescript"): "tests/clients/test_samples.py",
    ("platform/README.md", "bash"): "tests/platform/test_readme.py",
}
"""Samples that another test runs, by page and language."""

PROGRAMS = {"jq": "jq", "promtool": "prometheus"}
"""What samples call that a machine may lack, and the Debian package that has it."""


def why_not(command: str) -> str | None:
    """The pattern of NOT_RUN that is found in a command."""
    text = re.sub(r"^\s*#.*\n|^\n", "", command, flags=re.MULTILINE)
    return next((pattern for pattern in NOT_RUN if re.search(pattern, text)), None)


def run_here(sample: Sample) -> list[str]:
    """The commands of a shell sample that are run. `face-service doctor` is 3 seconds of a
    processor: one of the pages that have it is enough."""
    found = [command for command in commands(sample.code)[:-1] if not why_not(command)]
    whole = sample.page == "docs/doctor.md"
    return [command for command in found if whole or "face-service doctor" not in command]


def printed(sample: Sample) -> str:
    """What a sample says that it prints."""
    if sample.output or sample.language == "python":
        return sample.output
    comments = commands(sample.code)[-1]
    return re.sub(r"^# ?", "", comments, flags=re.MULTILINE)


def test_every_sample_is_run_or_has_its_reason() -> None:
    unknown = [
        f"{sample}: {sample.language}"
        for sample in samples()
        if sample.language not in (*RUN, *DATA) and (sample.page, sample.language) not in ELSEWHERE
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
            if module := re.search(r"python -m ((?:benchmarks|tests)(?:\.\w+)+)(.*)", command):
                source = (ROOT / f"{module[1].replace('.', '/')}.py").read_text()
                for option in re.findall(r" (--[\w-]+)", module[2].partition("#")[0]):
                    assert f'"{option}"' in source, f"{sample}: {module[1]} has no {option}"


def test_programs_within_sentences_exist_and_know_their_options() -> None:
    """Those of `face-service` are looked up by tests/test_docs.py."""
    found = 0
    for sample in inline():
        if module := re.match(r"\S*python -m ((?:benchmarks|tests)(?:\.\w+)+)(.*)", sample.code):
            program, options = f"{module[1].replace('.', '/')}.py", module[2]
        elif script := re.match(r"(?:\./)?((?:\w+/)*[a-z_]+\.sh)(.*)", sample.code):
            program, options = script[1], script[2]
        else:
            continue
        found, beside = found + 1, (ROOT / sample.page).parent
        path = next((at / program for at in (ROOT, beside) if (at / program).is_file()), None)
        assert path, f"{sample}: `{sample.code}`"
        for option in re.findall(r" (--[\w-]+)", options):
            assert option in path.read_text(), f"{sample}: `{sample.code}`: no {option}"
    assert found > 50


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Where `face-service` is: a fork. tests/test_installing.py has the one that pip makes."""
    with tempfile.TemporaryDirectory(prefix="bin-") as name, face_service(Path(name)) as folder:
        yield folder


@pytest.fixture(scope="module")
def photos(solvay: Path, four_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of the photos, and a clip, as samples name them."""
    folder = tmp_path_factory.mktemp("photos")
    portrait = cv2.imread(str(four_faces))
    write(folder / "clip.mp4", 50, lambda _: portrait, g="25")
    photo = cv2.imread(str(solvay))
    one, two = photo[1080:1330, 780:1030], photo[760:1040, 2020:2460]
    smaller = cv2.resize(one, None, fx=0.9, fy=0.9)
    (folder / "photos" / "2026").mkdir(parents=True)
    (folder / "photos" / "notes.txt").write_text("Not an image.\n")
    for names, image in {
        ("a", "one", "photos/one"): one,
        ("b", "other", "photos/2026/one"): smaller,
        ("photos/2026/two",): two,
    }.items():
        for name in names:
            cv2.imwrite(str(folder / f"{name}.jpg"), image)
    return folder


@pytest.fixture
def checkout(photos: Path, solvay: Path, four_faces: Path, tmp_path: Path) -> Path:
    """A folder like the checkout, which samples may write into, with the photos they name."""
    folder = tmp_path / "face-service"
    shutil.copytree(photos, folder)
    for path in ROOT.iterdir():
        if path.name not in (".git", ".env"):
            (folder / path.name).symlink_to(path)
    if SHARED.is_dir():
        (tmp_path / "shared").symlink_to(SHARED)
    (folder / "solvay.jpg").symlink_to(solvay)
    for name in ("image", "frame", "photo"):
        (folder / f"{name}.jpg").symlink_to(four_faces)
    return folder


def run(sample: Sample, folder: Path, port: int, programs: Path) -> str:
    """Run a sample as a reader would: in the activated environment, on the starter pack.

    One that has nothing to show must succeed. Returns what it prints.
    """
    if sample.language == "python":
        program, code = [sys.executable, "-W", "error", "-c"], sample.code
    else:
        program, code = ["bash", "-o", "pipefail", "-ec"], "".join(run_here(sample))
    if "../shared" in code and not SHARED.is_dir():
        pytest.skip(f"{sample} needs ../shared, which cannot be published")
    for name, package in PROGRAMS.items():
        if re.search(rf"\b{name}\s", code) and not shutil.which(name):
            pytest.skip(f"{sample} needs {name} (Debian package {package})")
    done = subprocess.run(
        [*program, re.sub(r"(localhost|127\.0\.0\.1):8100", f"127.0.0.1:{port}", code)],
        env={
            **os.environ,
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "INSIGHTFACE_MODEL": "starter",
            "COLUMNS": "80",
        },
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert sample.output or done.returncode == 0, f"{sample}\n{done.stdout}"
    return done.stdout


def runnable() -> dict[str, list[Sample]]:
    """By page, the samples with something in them that is run here."""
    found: dict[str, list[Sample]] = {}
    for sample in samples("python", *SHELL):
        if (sample.page, sample.language) not in ELSEWHERE and (
            sample.language == "python" or run_here(sample)
        ):
            found.setdefault(sample.page, []).append(sample)
    return found


@pytest.mark.parametrize("page", runnable())
def test_a_page(page: str, checkout: Path, server: Server, programs: Path) -> None:
    """From top to bottom, as a reader would."""
    for sample in runnable()[page]:
        shown, expected = run(sample, checkout, server.port, programs), printed(sample)
        pattern = re.escape(expected).replace("…", "(?s:.*)")
        if expected and not re.fullmatch(pattern, shown):
            pytest.fail(f"{sample} prints\n{shown}\nand not\n{expected}")
