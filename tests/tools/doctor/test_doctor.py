"""`face-service doctor`, run as a person runs it, on this machine and on ones that fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from face_service.runtime.processor import Processor
from face_service.tools.doctor import trials
from face_service.tools.doctor.examination import Examination, Request, examine
from face_service.tools.doctor.hardware import Cpu
from face_service.tools.doctor.probing import Failed, ask
from face_service.tools.doctor.report import as_json, as_text, scrubbed
from face_service.tools.doctor.trials import Measured, Trial
from face_service.tools.doctor.verdict import to_do
from tests.tools.doctor.conftest import PRETENDED, Run

ROOT = Path(__file__).resolve().parents[3]
CPU, CUDA, OPENVINO = "CPUExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider"
HASWELL = Processor("Intel Core (Haswell)", "avx2", ("avx2",), {"int8": "exact"})
KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.fixture(scope="module")
def report(doctor: Run) -> subprocess.CompletedProcess[str]:
    """The report on this machine, with settings that are nobody's business."""
    return doctor(
        API_KEYS=KEY,
        MODEL_MIRROR="https://me:secret@files.example/packs",
        WORKERS="2",
        MAX_IMAGE_PIXELS="1000",
    )


def test_this_machine_is_ready(report: subprocess.CompletedProcess[str]) -> None:
    assert report.returncode == 0, report.stdout + report.stderr
    lines = report.stdout.splitlines()
    assert lines[-1] == "ready"
    assert len(lines) < 50
    assert max(map(len, lines)) <= 120
    assert (
        "\npack         starter in ~/models/starter, 4 files, hashed and right\n" in report.stdout
    )


def test_the_cpu_has_looked_at_a_picture(report: subprocess.CompletedProcess[str]) -> None:
    _, _, trial = report.stdout.partition(f"\n{CPU}: computes in fp32, warm after ")
    faces, same, other = re.search(
        r"(\d+) faces; of one and its mirror image cosine (\S+) or more, of two (\S+) or less",
        trial,
    ).groups()
    assert faces == "11"
    assert 0.9 < float(same) < 1
    assert 0 < float(other) < 0.5
    assert re.search(r"detector [\d.]+ ms; recogniser [\d.]+ ms for 1 face, [\d.]+ ms for 8", trial)
    assert re.search(rf"scrfd.onnx: {CPU} \d+ nodes", trial)


def test_nothing_personal_is_in_it(report: subprocess.CompletedProcess[str], home: Path) -> None:
    said = report.stdout
    assert str(home) not in said
    assert KEY not in said
    assert "API_KEYS=(1)" in said
    assert "secret" not in said and "me:" not in said
    assert "MODEL_MIRROR=https://…@files.example/packs" in said


def test_it_is_plain_text(report: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in report.stdout
    assert report.stderr == ""


def test_settings_that_differ_are_in_it(report: subprocess.CompletedProcess[str]) -> None:
    settings = report.stdout.partition("\nsettings")[2].partition("\npack")[0]
    assert {"WORKERS=2", "INSIGHTFACE_MODEL=starter"} <= set(settings.split())
    assert "PORT" not in settings


def test_json_with_a_picture_of_ones_own(doctor: Run, four_faces: Path, home: Path) -> None:
    result = doctor("--json", "--image", four_faces, INTRA_OP_THREADS="1")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["ready"] is True and found["to_do"] == []
    (trial,) = found["trials"]
    assert trial["provider"] == CPU and trial["asked"]
    assert trial["outcome"]["faces"] == 4
    assert found["pack"]["files"][0][0] == "detection" and len(found["pack"]["files"][0][2]) == 64
    assert four_faces.name not in result.stdout


def test_openvino_is_held_against_the_cpu(doctor: Run, openvino_python: Path) -> None:
    source = str(ROOT / "src")
    variables = {"PYTHONPATH": source, "ONNX_PROVIDERS": OPENVINO, "INTRA_OP_THREADS": "1"}
    result = doctor("--json", python=openvino_python, **variables)
    found = json.loads(result.stdout)
    assert found["to_do"] == [] and result.returncode == 0
    cpu, openvino = found["trials"]
    assert (cpu["provider"], cpu["asked"]) == (CPU, False)
    assert (openvino["provider"], openvino["asked"]) == (OPENVINO, True)
    agreement = openvino["outcome"]["agreement"]
    assert agreement["found"] == agreement["expected"] == 11
    assert agreement["within"] and 0.9999 < agreement["cosine"] < 1
    assert openvino["outcome"]["placement"]["scrfd.onnx"] == {OPENVINO: 1}


def broken(folder: Path, module: str, program: str) -> str:
    """A PYTHONPATH on which a module does what it should not."""
    package = folder / module
    package.mkdir()
    (package / "__init__.py").write_text(program)
    return str(folder)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise ImportError('libonnxruntime.so: invalid ELF header')", "invalid ELF header"),
        ("import os; os.abort()", "it crashed (SIGABRT)"),
        ("", "has no attribute 'get_available_providers'"),
    ],
)
def test_a_broken_onnxruntime_is_repaired(
    program: str, words: str, doctor: Run, tmp_path: Path
) -> None:
    path = broken(tmp_path, "onnxruntime", program)
    # As if this had been installed: the package is where the module is.
    info = tmp_path / "onnxruntime-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 9.9\n")
    result = doctor(PYTHONPATH=path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "onnxruntime  onnxruntime 9.9\n" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith("to do: pip uninstall -y onnxruntime && pip install onnxruntime (")
    assert words in last


def test_without_numpy_there_is_still_a_report(doctor: Run, tmp_path: Path) -> None:
    path = broken(tmp_path, "numpy", "raise ImportError('libopenblas.so.0: no such file')")
    result = doctor(PYTHONPATH=path, DET_SIZE="641")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("to do: install the packages again") and "libopenblas" in last


def test_a_bad_setting_is_the_first_thing_to_do(doctor: Run, tmp_path: Path) -> None:
    result = doctor(DET_SIZE="641", MODEL_CACHE_DIR=str(tmp_path))
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith("to do: DET_SIZE=641 is not allowed: a whole")


@pytest.fixture(scope="module")
def of_the_cpu() -> dict[str, Any]:
    """Answers of real trials of the CPU, with which the others are compared, by request."""
    return {}


@pytest.fixture
def pretend(
    monkeypatch: pytest.MonkeyPatch, home: Path, of_the_cpu: dict[str, Any]
) -> Callable[[str, str], None]:
    """Give the children of this process a provider more, one that is asked for and has a fault.
    The CPU, which has none, is tried once for all tests."""

    def ask_once(order: dict[str, Any], seconds: float) -> Any:
        if tuple(order.get("providers", ())) != (CPU,):
            return ask(order, seconds)
        key = json.dumps(order)
        if key not in of_the_cpu:
            of_the_cpu[key] = ask(order, seconds)
        return of_the_cpu[key]

    monkeypatch.setattr(trials, "ask", ask_once)

    def pretend_it(asked: str, fault: str) -> None:
        for name, value in {
            "PYTHONPATH": str(PRETENDED),
            "PRETENDED": CUDA,
            "FAULT": fault,
            "ONNX_PROVIDERS": asked,
            "INTRA_OP_THREADS": "1",
            "GPU_SHRINK_EVERY": "0",  # there is no memory of a card to give back
            "INSIGHTFACE_MODEL": "starter",
            "MODEL_CACHE_DIR": str(home / "models"),
        }.items():
            monkeypatch.setenv(name, value)

    return pretend_it


def test_a_provider_that_computes(pretend: Callable[[str, str], None]) -> None:
    pretend(f"{CUDA},{CPU}", "")
    found = examine(Request())
    cpu, measured = (trial.outcome for trial in found.trials)
    assert isinstance(cpu, Measured) and cpu.agreement is None
    assert isinstance(measured, Measured) and measured.agreement
    # Its graphs are written anew: not to the bit.
    assert measured.agreement.within and measured.agreement.box < 0.001
    assert measured.placement["scrfd.onnx"].keys() == {CUDA}
    assert list(to_do(found)) == []


def test_a_provider_that_computes_something_else(pretend: Callable[[str, str], None]) -> None:
    pretend("auto", "lies")
    found = examine(Request())
    outcome = found.trials[1].outcome
    assert isinstance(outcome, Measured) and outcome.agreement
    assert not outcome.agreement.within
    assert f"{CUDA} computes something else than the CPU" in next(to_do(found))
    assert "NOT AS THE CPU" in as_text(found, Path("/nowhere"))


def test_a_provider_that_crashes_costs_a_line(pretend: Callable[[str, str], None]) -> None:
    pretend(f"{CUDA},{CPU}", "crashes")
    found = examine(Request())
    cpu, crashed = (trial.outcome for trial in found.trials)
    assert isinstance(cpu, Measured) and isinstance(crashed, Failed)
    assert crashed.why.startswith("it crashed (SIGABRT); the last line of its stderr: ")
    said = as_text(found, Path("/nowhere"))
    assert "stderr: MIOpen Error: no kernel for this card\n" in said, "without its colours"
    assert any(f"{CUDA} does not work here, it crashed (SIGABRT)" in todo for todo in to_do(found))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raises", f"{CUDA} cannot load scrfd.onnx: hipErrorNoBinaryForGpu"),
        ("missing library", f"scrfd.onnx: ONNX Runtime could not load {CUDA}"),
        ("idle", f"{CUDA} has loaded, but it took no node of scrfd.onnx"),
        ("hangs", "no answer within 8 s"),
    ],
)
def test_a_provider_that_cannot_be_had(
    fault: str, words: str, pretend: Callable[[str, str], None]
) -> None:
    pretend(CUDA, fault)
    before = children()
    order = {"task": "trial", "precision": "fp32", "model": "starter", "image": None}
    answer = ask({**order, "providers": [CUDA, CPU]}, 8 if fault == "hangs" else 120)
    assert isinstance(answer, Failed)
    assert words in answer.why
    assert children() <= before


def children() -> set[str]:
    """The children of this process that run, or lie dead. Servers of other tests are among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_home_is_a_tilde_and_nothing_else_is() -> None:
    home = Path("/home/al")
    assert scrubbed("in /home/al/models, /home/al", home) == "in ~/models, ~"
    assert scrubbed("/home/alice/x /home/al.old", home) == "/home/alice/x /home/al.old"
    assert scrubbed("/etc", Path("/")) == "/etc"
    assert scrubbed("GPU=-1 ; hostname=secret ; file=x", home) == "GPU=-1 ; hostname=… ; file=x"


def test_colours_and_bytes_that_are_no_text_are_not_printed() -> None:
    assert scrubbed("\x1b[0;93mwarning\x1b[m\x07 \udcff", Path("/x")) == "warning \\udcff"
    assert len(scrubbed("x" * 10_000, Path("/x"))) == 601


def test_whatever_fails_is_a_line() -> None:
    """Every section as a failure: text and JSON are there, and there is something to do."""
    sick = Failed("OSError: no luck")
    names = Examination.__dataclass_fields__.keys() - {"trials", "own_picture"}
    found = Examination(
        **dict.fromkeys(names, sick), trials=(Trial(CPU, True, sick),), own_picture=False
    )
    assert as_text(found, Path("/x")).count("not found out: OSError: no luck") == len(names)
    assert json.loads(as_json(found, Path("/x")))["ready"] is False
    quota = replace(found, cpu=Cpu(HASWELL, 64, 64, 2.0))
    assert "64 processors, 64 of them for this process, a quota of 2" in as_text(quota, Path("/x"))


def test_the_report_in_the_docs_is_like_this_one(
    report: subprocess.CompletedProcess[str],
) -> None:
    shown = (ROOT / "docs" / "doctor.md").read_text().partition("```text\n")[2].partition("```")[0]
    assert titles(shown) == titles(report.stdout)
    assert shown.endswith("\nready\n")


def titles(text: str) -> list[str]:
    """The words in the left column of a report."""
    head = text.partition("\n\n")[0].splitlines()
    return [title for line in head if (title := line[:13].strip())]
