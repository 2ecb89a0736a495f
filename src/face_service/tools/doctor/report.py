"""The report, as text for a bug report or as one JSON object, without personal data."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from face_service import __version__
from face_service.runtime.placement import in_words

from .configuration import USER_IN_URL, Configuration
from .examination import Examination
from .graphics import Graphics
from .hardware import Cpu, Memory, System
from .probing import Failed
from .software import Build
from .storage import CacheState, PackState
from .trials import Measured, Offers, Trial
from .verdict import differences, floored, notes, to_do

WIDTH = 100
"""Characters of a line, without the title before it."""
LONGEST = 600
"""Characters of a message that are shown."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f]")
"""Colours, which ONNX Runtime gives its messages, and other control characters."""


def as_text(found: Examination, home: Path) -> str:
    """The report as text. The last line is `ready` or what is to be done first. home: the user's
    folder, shown as ~."""
    lines = [f"{'doctor':<13}face-service {__version__}"]
    for title, section in sections(found):
        # Scrubbed before it is wrapped: half of a secret or of a path would not be recognised.
        clean = [scrubbed(line, home) for line in section]
        wrapped = [part for line in clean for part in textwrap.wrap(line, WIDTH) or [line]]
        for place, line in enumerate(wrapped):
            lines.append(f"{'' if place else title:<13}{line}")
    for trial in found.trials:
        lines.extend(("", *trial_lines(trial)))
    lines.append("")
    lines.extend(f"{'note':<13}{note}" for note in notes(found))
    todo = next(to_do(found), None)
    lines.append("ready" if todo is None else f"to do: {todo}")
    return "\n".join(scrubbed(line, home) for line in lines)


def as_json(found: Examination, home: Path) -> str:
    """The report as one JSON object: the fields of Examination, `version`, `ready`, `notes`, and
    `to_do`, everything that is to be done, most urgent first. home: as in `as_text`."""
    todo = list(to_do(found))
    content = {
        "version": __version__,
        "ready": not todo,
        "to_do": todo,
        "notes": list(notes(found)),
        **{name: plain(getattr(found, name)) for name in found.__dataclass_fields__},
    }
    return json.dumps(everywhere(content, lambda text: scrubbed(text, home)))


def sections(found: Examination) -> Iterator[tuple[str, Sequence[str]]]:
    """Title and lines of every section but the trials."""
    yield "system", lines_of(found.system, system_lines)
    yield "cpu", lines_of(found.cpu, cpu_lines)
    yield "memory", lines_of(found.memory, memory_lines)
    yield "cards", lines_of(found.graphics, card_lines)
    yield "libraries", lines_of(found.libraries, library_lines)
    yield "python", lines_of(found.python, lambda text: [text])
    yield "packages", lines_of(found.packages, package_lines)
    yield (
        "onnxruntime",
        [
            *lines_of(found.build, build_lines),
            *lines_of(found.offers, offer_lines),
        ],
    )
    yield "settings", lines_of(found.settings, setting_lines)
    yield "pack", lines_of(found.pack, pack_lines)
    yield "cache", lines_of(found.cache, cache_lines)


def lines_of(section: Any, lines: Callable[[Any], Sequence[str]]) -> Sequence[str]:
    """The lines of a section, or the one that says why it is not known."""
    return [f"not found out: {section.why}"] if isinstance(section, Failed) else lines(section)


def system_lines(system: System) -> Sequence[str]:
    """The line of the section `system`."""
    return [f"{system.kernel}, {system.name}{', in a container' if system.container else ''}"]


def cpu_lines(cpu: Cpu) -> Sequence[str]:
    """Name and instruction sets; class and precisions; processors and quota."""
    quota = "no quota" if cpu.quota is None else f"a quota of {cpu.quota:g}"
    found = cpu.processor
    how = [f"{precision}: {said}" for precision, said in found.precision.items()]
    return [
        f"{found.name}: {' '.join(found.instruction_sets) or 'no instruction set that matters'}",
        "; ".join([f"class {found.class_name}", *how]),
        f"{cpu.cores} processors, {cpu.allowed} of them for this process, {quota}",
    ]


def memory_lines(memory: Memory) -> Sequence[str]:
    """Memory in all, available, and its limit."""
    limit = "no limit" if memory.limit is None else f"a limit of {gigabytes(memory.limit)}"
    return [f"{gigabytes(memory.total)}, {gigabytes(memory.available)} of it available, {limit}"]


def card_lines(graphics: Graphics) -> Sequence[str]:
    """The cards, their drivers, the tools that failed, the device files and this process's user."""
    lines = [
        f"{card.vendor} {card.name}{f', {gigabytes(card.memory)}' if card.memory else ''}"
        for card in graphics.cards
    ]
    undriven = [v for v in graphics.on_bus if v not in {card.vendor for card in graphics.cards}]
    lines += [f"{vendor}, seen on the bus alone" for vendor in undriven]
    if graphics.drivers:
        lines.append("drivers: " + listed(graphics.drivers))
    lines += [f"{name} says: {said}" for name, said in graphics.troubles.items()]
    lines += [
        f"{device.path} {device.trouble or 'opens'} (mode {device.mode}, group {device.group})"
        for device in graphics.devices
    ]
    lines += [f"this process: {graphics.user}"] if graphics.devices else []
    return lines or ["none"]


def library_lines(libraries: Mapping[str, str]) -> Sequence[str]:
    """The libraries of accelerators that the linker finds."""
    return [listed(libraries) or "none of CUDA, cuDNN, TensorRT, ROCm, MIGraphX"]


def package_lines(packages: Mapping[str, str]) -> Sequence[str]:
    """The installed ones of `software.PACKAGES`, with versions."""
    return [listed(packages)]


def build_lines(build: Build) -> Sequence[str]:
    """The builds of ONNX Runtime that are installed."""
    found = f", found in {build.folder}" if build.hidden or not build.installed else ""
    return [(listed(build.installed) or "no package") + found]


def offer_lines(offers: Offers) -> Sequence[str]:
    """The version that is imported, and its providers."""
    made_for = f" for {listed(offers.made_for)}" if offers.made_for else ""
    return [f"loads as {offers.version}{made_for}, offers {', '.join(offers.offered)}"]


def setting_lines(settings: Configuration) -> Sequence[str]:
    """The settings that are not the defaults; providers, precision and threads they lead to."""
    differing = [f"{name}={value}" for name, value in settings.differing.items()]
    return [
        " ".join(differing) or "all as by default",
        f"asks for {', '.join(settings.asked)} in {settings.precision}; "
        f"{settings.threads} threads for at most {settings.workers} requests side by side",
    ]


def pack_lines(pack: PackState) -> Sequence[str]:
    """The pack's state and folder; its files with the beginnings of their SHA-256."""
    if pack.state != "whole":
        return [f"{pack.name} is {pack.state}: {pack.trouble}"]
    files = ", ".join(f"{role} {name} {sha256[:8]}" for role, name, sha256 in pack.files)
    checked = "hashed and right" if pack.fetched else "hashed"
    return [f"{pack.name} in {pack.folder}, {len(pack.files)} files, {checked}", files]


def cache_lines(cache: CacheState) -> Sequence[str]:
    """MODEL_CACHE_DIR: whether it can be written, and what is free."""
    state = f"cannot be written: {cache.trouble}" if cache.trouble else "can be written"
    return [f"{cache.folder} {state}, {gigabytes(cache.free)} free"]


def trial_lines(trial: Trial) -> Iterator[str]:
    """A provider, and what it did."""
    asked = "" if trial.asked else ", not asked for"
    if isinstance(trial.outcome, Failed):
        yield f"{trial.provider}{asked}: does not work: {trial.outcome.why}"
        return
    measured = trial.outcome
    how = f"computes in {measured.precision}, warm after {measured.warm_s:.1f} s"
    yield f"{trial.provider}{asked}: {how}"
    yield f"  {agreement_line(measured)}"
    batches = ", ".join(
        f"{ms:.1f} ms for {batch} face{'s' * (batch != '1')}"
        for batch, ms in measured.recogniser_ms.items()
    )
    yield f"  detector {measured.detector_ms:.1f} ms; recogniser {batches or 'not timed'}"
    for network, placement in measured.placement.items():
        yield f"  {network}: {in_words(placement)}"


def agreement_line(measured: Measured) -> str:
    """How a provider's results compare with the CPU's; on the CPU itself, how alike faces are."""
    if measured.agreement:
        verdict = "as the CPU" if measured.agreement.within else "NOT AS THE CPU"
        return f"{verdict}: {differences(measured.agreement)}"
    sense = measured.sense
    line = f"{measured.faces} face{'s' * (measured.faces != 1)}"
    if sense.least_same is not None:
        line += f"; of one and its mirror image cosine {floored(sense.least_same)} or more"
    if sense.most_other is not None:
        line += f", of two {floored(sense.most_other)} or less"
    return line


def listed(values: Mapping[str, Any]) -> str:
    """`NAME VALUE, NAME VALUE`."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def gigabytes(size: int) -> str:
    """A number of bytes in units of 10⁹: `7.5 GB`."""
    return f"{size / 1e9:.1f} GB"


def scrubbed(text: str, home: Path) -> str:
    """A text without control characters, without users in URLs and the host's name in CUDA's
    errors, with the home folder as ~, cut at LONGEST characters."""
    text = text.encode(errors="backslashreplace").decode()  # names of files that are no UTF-8
    text = USER_IN_URL.sub("…@", ESCAPES.sub("", text))
    text = re.sub(r"hostname=\S*", "hostname=…", text)
    if home != Path(home.anchor):
        text = re.sub(rf"{re.escape(str(home))}(?![\w.-])", "~", text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def plain(value: Any) -> Any:
    """A value in the types of JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(item) for name, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def everywhere(value: Any, change: Callable[[str], str]) -> Any:
    """The same JSON with every text of it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: everywhere(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [everywhere(item, change) for item in value]
    return value
