"""One thing to do for each thing that is wrong, and the right one first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from face_service.runtime.processor import Processor
from face_service.runtime.providers import OPENVINO, PROVIDERS
from face_service.runtime.selection import choose_providers
from face_service.tools.doctor.agreement import Agreement, SanityCheck
from face_service.tools.doctor.configuration import Configuration
from face_service.tools.doctor.examination import Examination
from face_service.tools.doctor.graphics import AMD, NOT_PERMITTED, NVIDIA, Card, Device, Graphics
from face_service.tools.doctor.hardware import Cpu
from face_service.tools.doctor.probing import NO_ANSWER, Failed
from face_service.tools.doctor.software import Build
from face_service.tools.doctor.storage import CacheState, PackState
from face_service.tools.doctor.trials import Measured, Offers, Trial, candidates, time_for
from face_service.tools.doctor.verdict import differences, notes, to_do

CPU, CUDA, ROCM = "CPUExecutionProvider", "CUDAExecutionProvider", "ROCMExecutionProvider"
MIGRAPHX, TENSORRT = "MIGraphXExecutionProvider", "TensorrtExecutionProvider"

HASWELL = Processor("Intel Core (Haswell)", "avx2", ("avx2",), {"int8": "exact"})
HERE = Path("/env/onnxruntime")
AGREES = Agreement(11, 11, 0.001, 1e-6, 0.99999, within=True)
MEASURED = Measured("fp32", 1.0, 11, {}, 50.0, {"1": 8.0}, SanityCheck(0.96, 0.38), None)
NOT_PERMITTED_KFD = Device("/dev/kfd", NOT_PERMITTED, 992, "660")
AMD_MACHINE = Graphics((Card(AMD, "gfx1100"),), (AMD,), {"amdgpu": "6.8"}, (NOT_PERMITTED_KFD,))


def machine(
    asked: tuple[str, ...] = (CPU,), offered: tuple[str, ...] = (CPU,), **parts: Any
) -> Examination:
    """A machine on which everything is well, but for `parts`."""
    installed = {"onnxruntime": "1.32.0"}
    try:
        chosen = choose_providers(asked, offered=offered, installed=installed)
        attempts, reasons, refusal = chosen.attempts, tuple(chosen.reasons.values()), None
    except Exception as error:
        attempts, reasons, refusal = (), (), str(error)
    found = Examination(
        system=Failed("not asked"),
        cpu=Cpu(HASWELL, 2, 2, None),
        memory=Failed("not asked"),
        graphics=Graphics(),
        libraries={},
        python="CPython 3.11",
        packages={},
        build=Build(installed, HERE, HERE),
        settings=Configuration(asked, "fp32", "starter", Path("models"), 2, 1, {}),
        offers=Offers("1.32.0", offered, {}, attempts, reasons, refusal),
        pack=PackState("starter", Path("models/starter"), True, "whole"),
        cache=CacheState(Path("models"), None, 10**9),
        trials=(Trial(CPU, CPU in asked, MEASURED),),
        own_picture=False,
    )
    return replace(found, **parts)


def trials(name: str, outcome: Measured | Failed, asked: bool = True) -> tuple[Trial, ...]:
    return (Trial(CPU, True, MEASURED), Trial(name, asked, outcome))


def first(found: Examination) -> str:
    return next(to_do(found), "ready")


def test_a_machine_on_which_all_is_well() -> None:
    assert list(to_do(machine())) == []
    assert list(notes(machine())) == []


def test_a_setting_that_is_not_allowed_comes_before_everything() -> None:
    why = "DET_SIZE=641 is not allowed: a whole number from 64 to 2,048"
    found = machine(
        settings=Failed(why, ours=True), pack=Failed("?"), offers=Failed("it crashed"), trials=()
    )
    assert [said.split()[0] for said in to_do(found)] == ["DET_SIZE=641", "pip"]


def test_a_package_that_is_missing() -> None:
    found = machine(settings=Failed("ModuleNotFoundError: No module named 'cv2'"), trials=())
    assert first(found) == (
        "install the packages again, with ./run.sh or pip install -e . "
        "(ModuleNotFoundError: No module named 'cv2')"
    )


def test_two_builds_come_before_what_they_break() -> None:
    build = Build({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}, HERE, HERE)
    found = machine((CUDA,), build=build, offers=Failed("ImportError: x"), trials=())
    assert "are installed together" in first(found)
    assert len(list(to_do(found))) == 1


def test_a_runtime_that_cannot_be_loaded() -> None:
    found = machine(offers=Failed("ImportError: libgomp.so.1"), trials=())
    assert first(found).startswith("pip uninstall -y onnxruntime && pip install onnxruntime (")
    assert "libgomp.so.1" in first(found)


@pytest.mark.parametrize("asked", [(CUDA,), (CUDA, CPU)])
def test_the_wrong_package(asked: tuple[str, ...]) -> None:
    said = first(machine(asked))
    assert "CUDAExecutionProvider is not in this ONNX Runtime" in said
    assert "pip uninstall -y onnxruntime && pip install onnxruntime-gpu" in said


def test_one_of_several_accelerators_is_enough() -> None:
    asked = (MIGRAPHX, ROCM, CPU)
    found = machine(asked, (ROCM, CPU), trials=trials(ROCM, replace(MEASURED, agreement=AGREES)))
    assert first(found) == "ready"
    assert list(notes(found)) == [
        f"{ROCM} computes, and {MIGRAPHX} is asked for before it",
        f"{ROCM} is experimental: this service was never run on its hardware, so go by what is "
        "measured here",
    ]


def test_only_what_was_run_on_its_hardware_is_not_experimental() -> None:
    """OpenVINO's hardware is the processor."""
    assert {name for name, known in PROVIDERS.items() if not known.experimental} == {OPENVINO, CPU}
    measured = trials(OPENVINO, replace(MEASURED, agreement=AGREES))
    assert list(notes(machine((OPENVINO,), (OPENVINO, CPU), trials=measured))) == []


@pytest.mark.parametrize("asked", [(ROCM,), (ROCM, CPU), ("auto",)])
def test_a_device_that_may_not_be_opened(asked: tuple[str, ...]) -> None:
    failed = Failed("ROCMExecutionProvider cannot load scrfd.onnx: hipErrorNoDevice", ours=True)
    found = machine(asked, (ROCM, CPU), graphics=AMD_MACHINE, trials=trials(ROCM, failed))
    assert first(found).startswith("let this user open /dev/kfd (mode 660, group 992)")
    assert failed.why in list(to_do(found))


def test_a_device_comes_before_a_download() -> None:
    pack = PackState("buffalo_l", Path("models/buffalo_l"), True, "absent", (), "nothing there")
    found = machine((ROCM,), (ROCM, CPU), graphics=AMD_MACHINE, pack=pack, trials=())
    assert [said.split()[0] for said in to_do(found)] == ["let", "face-service"]


def test_what_computes_needs_no_advice() -> None:
    """Whatever the devices look like, as under Windows' WSL."""
    works = replace(MEASURED, agreement=AGREES)
    found = machine((ROCM,), (ROCM, CPU), graphics=AMD_MACHINE, trials=trials(ROCM, works))
    assert first(found) == "ready"


def test_a_library_that_is_missing() -> None:
    why = "scrfd.onnx: ONNX Runtime could not load CUDAExecutionProvider: libcublasLt.so.13"
    card = Graphics((Card(NVIDIA, "L4"),), (NVIDIA,), {"nvidia": "565.57", "nvidia-smi": "1"})
    card = replace(card, devices=(Device("/dev/nvidiactl", None, 0, "666"),))
    found = machine((CUDA, CPU), (CUDA, CPU), graphics=card, trials=trials(CUDA, Failed(why, True)))
    assert list(to_do(found)) == [why]


def test_auto_that_falls_back_is_not_ready() -> None:
    found = machine(("auto",), (CUDA, CPU), trials=trials(CUDA, Failed("it crashed (SIGSEGV)")))
    assert f"{CUDA} does not work here, it crashed (SIGSEGV)" in list(to_do(found))[-1]


def test_auto_without_an_accelerator_is_ready() -> None:
    assert first(machine(("auto",))) == "ready"


def test_an_accelerator_that_nobody_asked_for_may_fail() -> None:
    failed = trials(CUDA, Failed("x"), asked=False)
    assert first(machine((CPU,), (CUDA, CPU), trials=failed)) == "ready"


@pytest.mark.parametrize(
    ("asked", "offered", "tried"),
    [
        ((CPU,), ("AzureExecutionProvider", CPU), [(CPU,)]),
        ((CPU,), (TENSORRT, CUDA, CPU), [(CPU,), (CUDA, CPU)]),
        ((CUDA,), (TENSORRT, CUDA, CPU), [(CPU,), (CUDA,)]),
        ((TENSORRT, CUDA), (TENSORRT, CUDA, CPU), [(CPU,), (TENSORRT, CUDA), (CUDA,)]),
        (("auto",), (MIGRAPHX, CPU), [(CPU,), (MIGRAPHX, CPU)]),
        ((CPU,), (MIGRAPHX, CPU), [(CPU,)]),
    ],
)
def test_what_is_tried(
    asked: tuple[str, ...], offered: tuple[str, ...], tried: list[tuple[str, ...]]
) -> None:
    """The CPU first; what compiles for minutes only where it is asked for."""
    found = machine(asked, offered)
    assert isinstance(found.offers, Offers)
    assert [tuple(names) for names in candidates(asked, found.offers)] == tried
    assert time_for(CUDA) < time_for(MIGRAPHX)


def test_a_pack_that_is_not_here() -> None:
    pack = PackState("buffalo_l", Path("models/buffalo_l"), True, "absent", (), "nothing there")
    assert first(machine(pack=pack, trials=())) == (
        "face-service models pull buffalo_l (nothing there)"
    )


def test_a_folder_that_is_no_pack_says_why_itself() -> None:
    pack = PackState("./mine", Path("mine"), False, "broken", (), "mine is not a folder")
    assert first(machine(pack=pack, trials=())) == "mine is not a folder"


def test_a_folder_that_does_not_answer() -> None:
    silent = Failed("no answer within 120 s")
    assert first(machine(pack=silent, cache=silent, trials=())) == (
        "make MODEL_CACHE_DIR readable (no answer within 120 s)"
    )


def test_a_download_needs_a_folder_to_write_to() -> None:
    cache = CacheState(Path("models"), "models: Permission denied", 10**9)
    pack = PackState("buffalo_l", Path("models/buffalo_l"), True, "absent", (), "nothing there")
    said = list(to_do(machine(cache=cache, pack=pack, trials=())))
    assert said[0] == (
        "set MODEL_CACHE_DIR to a folder that this user can write, or let it write models "
        "(models: Permission denied)"
    )
    assert said[1].startswith("face-service models pull buffalo_l")


def test_what_compiles_needs_a_folder_and_what_does_not_needs_none() -> None:
    cache = CacheState(Path("models"), "models: Permission denied", 10**9)
    assert "set MODEL_CACHE_DIR" in first(machine((MIGRAPHX, CPU), cache=cache))
    assert first(machine(cache=cache)) == "ready"
    assert "nothing can be written to MODEL_CACHE_DIR" in next(notes(machine(cache=cache)))


def test_a_cpu_that_does_not_compute() -> None:
    failed = (Trial(CPU, True, Failed("it crashed (SIGILL)")),)
    assert first(machine(trials=failed)) == (
        f"report this: {CPU} does not work here, it crashed (SIGILL)"
    )
    why = "DET_SIZE=320, but the detector of starter takes 640x640 only: set DET_SIZE=640"
    assert first(machine(trials=(Trial(CPU, True, Failed(why, True)),))) == why


def test_a_cpu_that_nobody_asked_for_may_fail_where_something_else_computes() -> None:
    failed = Failed("it crashed (SIGILL)")
    works = (Trial(CPU, False, failed), Trial(CUDA, True, MEASURED))
    assert first(machine((CUDA,), (CUDA, CPU), trials=works)) == "ready"
    alone = machine((CUDA, CPU), (CUDA, CPU), trials=(Trial(CPU, True, failed),))
    assert any("SIGILL" in said for said in to_do(alone))


def test_who_is_slow_gets_more_time() -> None:
    found = machine(
        (MIGRAPHX,), (MIGRAPHX, CPU), trials=trials(MIGRAPHX, Failed(f"{NO_ANSWER} 9 s"))
    )
    assert list(to_do(found))[-1] == (
        f"give {MIGRAPHX} more time with --timeout, or report this: no answer within 9 s"
    )


def test_an_accelerator_that_crashes_leaves_a_way_to_go_on() -> None:
    found = machine((MIGRAPHX,), (MIGRAPHX, CPU), trials=trials(MIGRAPHX, Failed("it crashed")))
    assert list(to_do(found))[-1] == (
        f"report this, and set ONNX_PROVIDERS={CPU} meanwhile: {MIGRAPHX} does not work here, "
        "it crashed"
    )


def test_an_accelerator_that_computes_something_else() -> None:
    wrong = replace(MEASURED, agreement=replace(AGREES, cosine=0.3, within=False))
    said = first(machine((CUDA,), (CUDA, CPU), trials=trials(CUDA, wrong)))
    assert said.startswith(f"set ONNX_PROVIDERS={CPU}, and report this: {CUDA} computes something")
    assert "cosine 0.300000 or more" in said
    assert first(machine((CPU,), (CUDA, CPU), trials=trials(CUDA, wrong, asked=False))) == "ready"


@pytest.mark.parametrize(
    "outcome", [replace(MEASURED, sense=SanityCheck(0.997, 0.994)), replace(MEASURED, faces=0)]
)
def test_a_pack_that_makes_no_sense(outcome: Measured) -> None:
    found = machine(trials=(Trial(CPU, True, outcome),))
    assert "manifest.json how pixels are normalised" in first(found)
    assert first(replace(found, own_picture=True)) == "ready", "who knows what is on it"


def test_a_card_that_is_not_used_is_noted() -> None:
    card = Graphics(on_bus=(NVIDIA,))
    assert list(notes(machine(graphics=card))) == [
        f"a card of NVIDIA is here, and not used: ONNX_PROVIDERS={CUDA} asks for it, which comes "
        "with onnxruntime-gpu"
    ]
    found = machine((CPU,), (TENSORRT, CPU), graphics=card)
    assert list(notes(found)) == [
        f"a card of NVIDIA is here, and not used: ONNX_PROVIDERS={TENSORRT} asks for it"
    ]
    assert list(notes(machine(("auto",), (CUDA, CPU), graphics=card))) == []
    assert list(notes(machine(graphics=Graphics(on_bus=("Intel",))))) == []


def test_more_threads_than_processors_are_noted() -> None:
    settings = Configuration((CPU,), "fp32", "starter", Path("models"), 4, 2, {})
    cpu = Cpu(HASWELL, 64, 64, 2.0)
    assert list(notes(machine(settings=settings, cpu=cpu))) == [
        "4 threads compute at once, and 2 processors may be used"
    ]
    assert list(notes(machine(cpu=cpu))) == []


def test_differences_are_never_called_less_than_they_are() -> None:
    assert differences(replace(AGREES, cosine=0.9999999)) == (
        "the same 11 faces, boxes within 0.001 px, scores within 1e-06, cosine 0.999999 or more"
    )
    assert differences(replace(AGREES, found=10)).startswith("10 faces, the CPU 11")
