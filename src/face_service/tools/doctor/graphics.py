"""Cards, found without a package: on the PCI bus, in the drivers' files, by the drivers' tools
where they are installed; and whether this process may open their devices."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from face_service.runtime.child_process import Ended

from .hardware import content, fields
from .probing import NO_ANSWER, Failed, ask, run

NVIDIA, AMD, INTEL = "NVIDIA", "AMD", "Intel"
VENDORS = {"0x10de": NVIDIA, "0x1002": AMD, "0x8086": INTEL}
"""By PCI vendor ID."""
CARD_CLASSES = ("0x03", "0x12")
"""Beginnings of the PCI classes of display controllers and of processing accelerators, as in
pci.ids."""

DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia[0-9]*", "kfd", "dri/renderD*", "dxg")
"""Files under /dev, as patterns, that a process opens to compute. dxg: of any card, in WSL."""

NOT_PERMITTED = "not permitted"
"""`Device.trouble` where rights are missing."""

TOOL_SECONDS = 10.0
"""Time limit of one run of a driver's tool."""
SEEING_S = 60.0
"""Time limit of `seen`: three runs of a tool, and some more."""
QUERY = "--query-gpu=name,memory.total,compute_cap,driver_version"
"""What nvidia-smi is asked for: one line a card, its memory in MiB."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card that a driver shows. memory: bytes, None where it is unknown."""

    vendor: str
    name: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A file under /dev. trouble: why this process cannot open it; None if it can. group: the one
    it belongs to, by number. mode: octal, as chmod takes it."""

    path: str
    trouble: str | None
    group: int
    mode: str


@dataclass(frozen=True, slots=True)
class Graphics:
    """Cards, drivers and devices. cards: those that a driver shows. on_bus: vendors of the cards on
    the PCI bus, with a driver or without. drivers: version by name. troubles: by tool that failed,
    the first line of its output. user: uid and groups of this process."""

    cards: tuple[Card, ...] = ()
    on_bus: tuple[str, ...] = ()
    drivers: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    user: str = ""

    @property
    def vendors(self) -> list[str]:
        """The vendors of all cards, sorted, each once."""
        return sorted({*self.on_bus, *(card.vendor for card in self.cards)})


def seen(root: Path) -> Graphics | Failed:
    """`graphics`, found by a child process, because opening a device may hang in its driver."""
    answer = ask({"task": "graphics", "root": str(root)}, SEEING_S)
    if isinstance(answer, Failed):
        return answer
    cards = tuple(Card(**card) for card in answer.pop("cards"))
    devices = tuple(Device(**device) for device in answer.pop("devices"))
    bus = tuple(answer.pop("on_bus"))
    return Graphics(cards=cards, on_bus=bus, devices=devices, **answer)


def graphics(root: Path = Path("/")) -> Graphics:
    """All cards, drivers and devices. root: the folder of the system's files."""
    cards = [*nvidia_cards(root), *amd_cards(root)]
    drivers = dict(kernel_drivers(root))
    troubles = {}
    if (said := tool("nvidia-smi", QUERY, "--format=csv,noheader,nounits")) is not None:
        if said.status == 0:
            shown, version = from_nvidia_smi(said.out)
            cards = [*shown, *(card for card in cards if card.vendor != NVIDIA)]
            drivers.setdefault("nvidia", version)
            drivers |= cuda_of_driver(tool("nvidia-smi"))
        else:
            troubles["nvidia-smi"] = first_line(said)
    if (said := tool("rocm-smi", "--showproductname")) is not None:
        if said.status == 0:
            cards = named_by_rocm_smi(cards, said.out)
        else:
            troubles["rocm-smi"] = first_line(said)
    return Graphics(
        tuple(cards), tuple(on_bus(root)), drivers, tuple(devices(root)), troubles, user()
    )


def user() -> str:
    """User and groups of this process: `uid 1000, groups 44 992 1000`; empty on Windows."""
    if not hasattr(os, "geteuid"):
        return ""
    groups = sorted({os.getegid(), *os.getgroups()})
    return f"uid {os.geteuid()}, groups {' '.join(map(str, groups))}"


def nvidia_cards(root: Path) -> Iterator[Card]:
    """Cards of NVIDIA's driver, from its files under /proc."""
    for file in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        yield Card(NVIDIA, fields(file, ":").get("Model", "unknown"))


def amd_cards(root: Path) -> Iterator[Card]:
    """Cards that can compute, from the files of amdgpu's compute part, KFD."""
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    for file in sorted(nodes.glob("*/properties")):
        version = fields(file, " ").get("gfx_target_version", "0")
        if version != "0":  # 0: a processor
            banks = file.parent.glob("mem_banks/*/properties")
            sizes = [int(fields(bank, " ").get("size_in_bytes", "0")) for bank in banks]
            yield Card(AMD, gfx(int(version)), sum(sizes) or None)


def gfx(version: int) -> str:
    """KFD's number as the compiler calls it: 110000 is gfx1100, 90010 is gfx90a."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def on_bus(root: Path) -> list[str]:
    """Vendors of the cards on the PCI bus, one for each card."""
    found = []
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = VENDORS.get(content(folder / "vendor"))
        if vendor and content(folder / "class").startswith(CARD_CLASSES):
            found.append(vendor)
    return found


def kernel_drivers(root: Path) -> Iterator[tuple[str, str]]:
    """Name and version of the drivers that are loaded. amdgpu has a version only where it was
    installed beside the kernel."""
    said = content(root / "proc/driver/nvidia/version")
    if found := re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", f"{said} "):
        yield "nvidia", found[1]
    module = root / "sys/module/amdgpu"
    if module.exists():
        yield "amdgpu", content(module / "version") or "the kernel's own"


def devices(root: Path) -> Iterator[Device]:
    """Those of DEVICES that exist."""
    for pattern in DEVICES:
        for path in sorted((root / "dev").glob(pattern)):
            about = path.stat()
            name = f"/{path.relative_to(root)}"
            yield Device(name, trouble_opening(path), about.st_gid, f"{about.st_mode & 0o777:o}")


def trouble_opening(path: Path) -> str | None:
    """The error of opening a device for reading and writing; None where it opens. It is tried,
    because groups, access lists and a container's device rules all decide it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        return NOT_PERMITTED if denied else error.strerror
    return None


def tool(name: str, *arguments: str) -> Ended | None:
    """Run a driver's tool for TOOL_SECONDS at most; None where it is not installed."""
    path = shutil.which(name)
    return None if path is None else run([path, *arguments], TOOL_SECONDS)


def from_nvidia_smi(out: str) -> tuple[list[Card], str]:
    """Cards, and the driver's version, from QUERY's lines: `NVIDIA L4, 23034, 8.9, 550.54.14`."""
    cards, version = [], "unknown"
    for line in out.strip().splitlines():
        name, mebibytes, capability, version = (part.strip() for part in line.split(","))
        memory = int(mebibytes) * 2**20 if mebibytes.isdigit() else None
        cards.append(Card(NVIDIA, f"{name} (compute {capability})", memory))
    return cards, version


def cuda_of_driver(ended: Ended | None) -> dict[str, str]:
    """The newest CUDA that the driver supports, by its name in the report, from the head of
    nvidia-smi's table; empty where that does not say."""
    found = re.search(r"CUDA Version:\s*(\d+\.\d+)", ended.out if ended else "")
    return {"CUDA of the driver": found[1]} if found else {}


def named_by_rocm_smi(cards: list[Card], out: str) -> list[Card]:
    """The same cards, AMD's with the names of rocm-smi, if it shows as many as there are."""
    names = re.findall(r"^GPU\[\d+\]\s*:\s*Card series:\s*(.+?)\s*$", out, re.I | re.M)
    amd = [card for card in cards if card.vendor == AMD]
    if len(names) != len(amd):
        return cards
    named = [
        Card(AMD, f"{name} ({card.name})", card.memory)
        for name, card in zip(names, amd, strict=True)
    ]
    return [*(card for card in cards if card.vendor != AMD), *named]


def first_line(said: Ended) -> str:
    """The first line of the output of a tool that failed, or that it ran out of time."""
    if said.status is None:
        return f"{NO_ANSWER} {TOOL_SECONDS:g} s"
    lines = f"{said.out}\n{said.err}".strip().splitlines()
    return lines[0].strip() if lines else f"status {said.status}"
