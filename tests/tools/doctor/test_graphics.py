"""Cards of machines that are not here: what is seen of them, and what keeps a provider away."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from face_service.tools.doctor import graphics as module
from face_service.tools.doctor.access import card_trouble
from face_service.tools.doctor.graphics import AMD, NVIDIA, Card, Graphics, graphics, seen

Write = Callable[[str, str], Path]
NOBODY = 65534
CUDA, MIGRAPHX = "CUDAExecutionProvider", "MIGraphXExecutionProvider"

OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  565.57.01  Release Build  "
    "(dvs-builder@U16-A24-9-2)  Thu Oct 10 12:15:00 UTC 2024\nGCC version:  gcc version 13.3.0\n"
)
CLOSED_DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
)
INFORMATION = "Model: \t\t NVIDIA GeForce RTX 3090\nIRQ:   \t\t 147\nGPU UUID: \t GPU-1234\n"
GFX1100 = "cpu_cores_count 0\nsimd_count 192\ngfx_target_version 110000\n"
PROCESSOR = "cpu_cores_count 16\nsimd_count 0\ngfx_target_version 0\n"
ROCM_SMI = """\
======================= ROCm System Management Interface =======================
================================= Product Info =================================
GPU[0]\t\t: Card Series: \t\tNavi 31 [Radeon RX 7900 XT/7900 XTX]
GPU[0]\t\t: Card Model: \t\t0x744c
================================================================================
"""


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who may do nothing; only root has to change for that."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A PATH on which a tool says what it is told to; none by default."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def say(name: str, script: str) -> None:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return say


@pytest.fixture
def nvidia(write: Write, tmp_path: Path, tools: object) -> Path:
    """A machine with an NVIDIA card, its driver and its devices."""
    write("proc/driver/nvidia/version", OPEN_DRIVER)
    write("proc/driver/nvidia/gpus/0000:01:00.0/information", INFORMATION)
    write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    write("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    write("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n")  # its sound
    write("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n")
    for name in ("nvidiactl", "nvidia0", "nvidia-uvm"):
        write(f"dev/{name}", "")
    return tmp_path


@pytest.fixture
def amd(tools: object) -> Iterator[Path]:
    """A machine with an AMD card, readable by everybody, as `/` is."""
    root = Path(tempfile.mkdtemp(prefix="amd-"))
    root.chmod(0o755)
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    for number, text in enumerate((PROCESSOR, GFX1100)):
        (nodes / f"{number}/mem_banks/0").mkdir(parents=True)
        (nodes / f"{number}/properties").write_text(text)
        (nodes / f"{number}/mem_banks/0/properties").write_text("size_in_bytes 25753026560\n")
    (root / "sys/module/amdgpu").mkdir(parents=True)
    (root / "dev/dri").mkdir(parents=True)
    for name in ("kfd", "dri/renderD128"):
        (root / "dev" / name).touch(0o666)
        (root / "dev" / name).chmod(0o666)
    yield root
    shutil.rmtree(root)


def test_an_nvidia_machine(nvidia: Path) -> None:
    found = graphics(nvidia)
    assert found.cards == (Card(NVIDIA, "NVIDIA GeForce RTX 3090"),)
    assert found.on_bus == (NVIDIA,)
    assert found.drivers == {"nvidia": "565.57.01"}
    assert [device.path for device in found.devices] == [
        "/dev/nvidiactl",
        "/dev/nvidia-uvm",
        "/dev/nvidia0",
    ]
    assert card_trouble(CUDA, found) is None


def test_the_closed_driver_has_its_version_elsewhere(nvidia: Path, write: Write) -> None:
    write("proc/driver/nvidia/version", CLOSED_DRIVER)
    assert graphics(nvidia).drivers == {"nvidia": "550.54.14"}


def test_nvidia_smi_knows_memory_and_cuda(nvidia: Path, tools: Callable[[str, str], None]) -> None:
    tools(
        "nvidia-smi",
        'if [ "$1" ]; then echo "NVIDIA GeForce RTX 3090, 24576, 8.6, 565.57.01"; else '
        'echo "| NVIDIA-SMI 565.57.01   Driver Version: 565.57.01   CUDA Version: 12.7 |"; fi',
    )
    found = graphics(nvidia)
    assert found.cards == (Card(NVIDIA, "NVIDIA GeForce RTX 3090 (compute 8.6)", 24576 * 2**20),)
    assert found.drivers == {"nvidia": "565.57.01", "CUDA of the driver": "12.7"}


def test_nvidia_smi_alone_is_enough(tmp_path: Path, tools: Callable[[str, str], None]) -> None:
    """As under Windows' WSL, which has no /proc/driver/nvidia."""
    tools("nvidia-smi", 'echo "NVIDIA L4, 23034, 8.9, 550.54.14"')
    found = graphics(tmp_path)
    assert found.drivers == {"nvidia": "550.54.14"}
    assert [card.name for card in found.cards] == ["NVIDIA L4 (compute 8.9)"]


def test_a_tool_that_fails_is_quoted(nvidia: Path, tools: Callable[[str, str], None]) -> None:
    said = "Failed to initialize NVML: Driver/library version mismatch"
    tools("nvidia-smi", f'echo "{said}"; exit 18')
    found = graphics(nvidia)
    assert found.troubles == {"nvidia-smi": said}
    assert found.cards == (Card(NVIDIA, "NVIDIA GeForce RTX 3090"),)
    assert said in str(card_trouble(CUDA, found))


def test_a_tool_that_hangs_is_given_up(
    nvidia: Path, tools: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOOL_SECONDS", 0.2)
    tools("nvidia-smi", "exec /bin/sleep 600")
    assert graphics(nvidia).troubles == {"nvidia-smi": "no answer within 0.2 s"}


def test_no_driver(tmp_path: Path, write: Write, tools: object) -> None:
    write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    write("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")
    found = graphics(tmp_path)
    assert found.on_bus == (NVIDIA,) and found.cards == ()
    assert "install NVIDIA's driver" in str(card_trouble(CUDA, found))


def test_a_container_without_gpus_sees_the_driver_and_no_device(nvidia: Path) -> None:
    shutil.rmtree(nvidia / "dev")
    assert "start the container with --gpus all" in str(card_trouble(CUDA, graphics(nvidia)))


def test_an_amd_machine(amd: Path) -> None:
    found = graphics(amd)
    assert found.cards == (Card(AMD, "gfx1100", 25753026560),)
    assert found.drivers == {"amdgpu": "the kernel's own"}
    assert all(device.trouble is None for device in found.devices)
    assert card_trouble(MIGRAPHX, found) is None
    assert card_trouble("OpenVINOExecutionProvider", Graphics()) is None


def test_another_process_sees_the_same(amd: Path) -> None:
    found = seen(amd)
    assert isinstance(found, Graphics)
    assert found == graphics(amd)
    assert found.user.startswith(f"uid {os.geteuid()}, groups ")


def test_rocm_smi_has_names(amd: Path, tools: Callable[[str, str], None]) -> None:
    tools("rocm-smi", f"/bin/cat <<'END'\n{ROCM_SMI}END")
    (card,) = graphics(amd).cards
    assert card == Card(AMD, "Navi 31 [Radeon RX 7900 XT/7900 XTX] (gfx1100)", 25753026560)


def test_kfd_that_may_not_be_opened(amd: Path) -> None:
    (amd / "dev/kfd").chmod(0)
    group = (amd / "dev/kfd").stat().st_gid
    with as_nobody():
        found = graphics(amd)
    kfd, render = found.devices
    assert (kfd.path, kfd.trouble, kfd.group, kfd.mode) == ("/dev/kfd", "not permitted", group, "0")
    assert render.trouble is None
    said = str(card_trouble(MIGRAPHX, found))
    assert said.startswith("let this user open /dev/kfd (mode 0, group")
    assert 'sudo usermod -aG "$(stat -c %G /dev/kfd)" "$USER"' in said
    assert f"--group-add {group}" in said


def test_a_render_node_that_may_not_be_opened(amd: Path) -> None:
    (amd / "dev/dri/renderD128").chmod(0)
    with as_nobody():
        found = graphics(amd)
    assert "let this user open /dev/dri/renderD128" in str(card_trouble(MIGRAPHX, found))
    (amd / "dev/dri/renderD129").touch()
    assert card_trouble(MIGRAPHX, graphics(amd)) is None, "one card is enough"


@pytest.mark.parametrize(("gone", "word"), [("kfd", "--device=/dev/kfd"), ("dri", "/dev/dri:")])
def test_devices_that_are_not_there(amd: Path, gone: str, word: str) -> None:
    (amd / "dev" / gone).rename(amd / "away")
    assert word in str(card_trouble(MIGRAPHX, graphics(amd)))


def test_a_device_without_a_driver_behind_it(amd: Path) -> None:
    (amd / "dev/kfd").unlink()
    (amd / "dev/kfd").mkdir()  # cannot be opened for writing, and not for want of a permission
    assert "make /dev/kfd work" in str(card_trouble(MIGRAPHX, graphics(amd)))


@pytest.mark.parametrize(
    ("version", "name"), [(110000, "gfx1100"), (90010, "gfx90a"), (90402, "gfx942")]
)
def test_what_the_compiler_calls_a_card(version: int, name: str) -> None:
    assert module.gfx(version) == name
