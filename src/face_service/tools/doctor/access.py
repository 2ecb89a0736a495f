"""Why a provider cannot reach its card, and what to do about it."""

from __future__ import annotations

import sys

from .graphics import AMD, NOT_PERMITTED, NVIDIA, Device, Graphics

VENDORS = {
    "CUDAExecutionProvider": NVIDIA,
    "TensorrtExecutionProvider": NVIDIA,
    "MIGraphXExecutionProvider": AMD,
    "ROCMExecutionProvider": AMD,
}
"""The vendor of the cards that a provider needs. Of each vendor, the first provider is the one that
is recommended."""


def card_trouble(provider: str, graphics: Graphics) -> str | None:
    """What to do so that a provider reaches its card; None where no obstacle is found, for a
    provider that is not in VENDORS, and on every system but Linux."""
    if sys.platform != "linux":
        return None
    check = {NVIDIA: nvidia_trouble, AMD: amd_trouble}.get(VENDORS.get(provider, ""))
    return check(graphics) if check else None


def nvidia_trouble(graphics: Graphics) -> str | None:
    """What to do for an NVIDIA card, None where no obstacle is found: driver first, then devices,
    because a container sees the host's driver in /proc even where it was given no device."""
    if said := graphics.troubles.get("nvidia-smi"):
        return f"make nvidia-smi work, which says: {said} (after an update of the driver, reboot)"
    if "nvidia" not in graphics.drivers:
        return "install NVIDIA's driver or, if the host has it, start the container with --gpus all"
    found = {device.path: device for device in graphics.devices}
    if "/dev/nvidiactl" not in found and "/dev/dxg" not in found:
        return (
            "start the container with --gpus all: the driver is loaded, but /dev/nvidiactl is "
            "not here"
        )
    denied = [d for path, d in found.items() if path.startswith("/dev/nvidia") and d.trouble]
    return to_open(denied[0]) if denied else None


def amd_trouble(graphics: Graphics) -> str | None:
    """What to do for an AMD card, None where no obstacle is found. ROCm opens /dev/kfd, and a
    /dev/dri/renderD* for every card."""
    found = {device.path: device for device in graphics.devices}
    if "/dev/kfd" not in found:
        return (
            "load the driver amdgpu, which makes /dev/kfd or, if the host has it, start the "
            "container with --device=/dev/kfd --device=/dev/dri"
        )
    if found["/dev/kfd"].trouble:
        return to_open(found["/dev/kfd"])
    nodes = [device for path, device in found.items() if path.startswith("/dev/dri/")]
    if not nodes:
        return "start the container with --device=/dev/dri: there is no /dev/dri/renderD* here"
    return to_open(nodes[0]) if all(node.trouble for node in nodes) else None


def to_open(device: Device) -> str:
    """What to do so that this process can open a device, one that has a `trouble`."""
    path, group = device.path, device.group
    if device.trouble != NOT_PERMITTED:
        return f"make {path} work: it cannot be opened ({device.trouble})"
    return (
        f"let this user open {path} (mode {device.mode}, group {group}): sudo usermod -aG "
        f'"$(stat -c %G {path})" "$USER" and log in again; in a container, --group-add {group}'
    )
