"""What is to be done, derived from the examination, most urgent first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .access import VENDORS, card_trouble
from .agreement import Agreement
from .configuration import Configuration
from .examination import Examination
from .hardware import Cpu
from .probing import NO_ANSWER, Failed
from .software import Build, clashing, repair
from .storage import CacheState, PackState
from .trials import Measured, Offers, Trial


def to_do(found: Examination) -> Iterator[str]:
    """Everything that must be done, a sentence each, most urgent first. Where it is empty, the
    service starts and computes on a provider that it was asked to use."""
    settings = found.settings
    if isinstance(settings, Failed):
        yield settings.why if settings.ours else packages_again(settings.why)
        yield from runtime(found, ())
        return
    yield from runtime(found, settings.asked)
    yield from cards(found, settings)
    yield from storage(found)
    yield from results(found, settings)


def packages_again(why: str) -> str:
    """What to do where packages of this service are missing."""
    return f"install the packages again, with ./run.sh or pip install -e . ({why})"


def runtime(found: Examination, asked: Sequence[str]) -> Iterator[str]:
    """What to do about ONNX Runtime: there must be one build, which loads and has one of
    `asked`."""
    build = Build() if isinstance(found.build, Failed) else found.build
    if clash := clashing(build, asked):
        yield clash
    elif isinstance(found.offers, Failed):
        yield repair(build, asked, found.offers.why)
    elif asked and found.offers.refusal:
        yield found.offers.refusal


def cards(found: Examination, settings: Configuration) -> Iterator[str]:
    """What to do so that the first accelerator that is asked for and offered reaches its card,
    unless one of those that are asked for computes anyway."""
    if isinstance(found.graphics, Failed) or isinstance(found.offers, Failed):
        return
    names = accelerators(settings.asked, found.offers)
    if any(computes(found.trials, name) for name in names):
        return
    for name in names:
        if name in found.offers.offered:
            if trouble := card_trouble(name, found.graphics):
                yield f"{trouble} ({name} needs it)"
            return


def storage(found: Examination) -> Iterator[str]:
    """What to do about the folder of MODEL_CACHE_DIR, then about the pack."""
    pack, cache = found.pack, found.cache
    asked = () if isinstance(found.settings, Failed) else found.settings.asked
    fetches = isinstance(pack, PackState) and pack.fetched and pack.state != "whole"
    if isinstance(cache, CacheState) and cache.trouble and (fetches or compiles(asked)):
        yield (
            "set MODEL_CACHE_DIR to a folder that this user can write, or let it write "
            f"{cache.folder} ({cache.trouble})"
        )
    if isinstance(pack, Failed):
        yield pack.why if pack.ours else f"make MODEL_CACHE_DIR readable ({pack.why})"
    elif pack.state != "whole":
        yield f"face-service models pull {pack.name} ({pack.trouble})" if fetches else pack.trouble


def results(found: Examination, settings: Configuration) -> Iterator[str]:
    """What to do about trials that failed or gave wrong results."""
    if isinstance(found.offers, Failed) or not found.trials:
        return
    cpu, *others = found.trials
    names = accelerators(settings.asked, found.offers)
    computing = any(computes(found.trials, name) for name in names)
    if isinstance(cpu.outcome, Failed):
        if cpu.asked or not computing:
            yield in_words(cpu.provider, cpu.outcome)
        return
    if not found.own_picture and not (cpu.outcome.faces and cpu.outcome.sense.tells_apart):
        yield (
            "use another pack, or say in its manifest.json how pixels are normalised: on a picture "
            f"of eleven people {pack_fails(cpu.outcome)}"
        )
    if names and not computing:
        reasons = [
            in_words(trial.provider, trial.outcome)
            for trial in others
            if trial.asked and isinstance(trial.outcome, Failed)
        ]
        yield from (reasons or found.offers.reasons)[:1]
    for trial in others:
        agreement = trial.outcome.agreement if isinstance(trial.outcome, Measured) else None
        if trial.asked and agreement and not agreement.within:
            yield (
                f"set ONNX_PROVIDERS=CPUExecutionProvider, and report this: {trial.provider} "
                f"computes something else than the CPU ({differences(agreement)})"
            )


def notes(found: Examination) -> Iterator[str]:
    """What may be intended or a mistake, a sentence each."""
    settings, build = found.settings, found.build
    if isinstance(build, Build) and build.hidden and isinstance(found.offers, Offers):
        yield f"onnxruntime is loaded from {build.folder}, not from where it is installed"
    if isinstance(found.packages, dict) and "opencv-python" in found.packages:
        yield "opencv-python is the same module as opencv-python-headless: remove both, install one"
    if isinstance(settings, Failed):
        return
    if isinstance(found.cache, CacheState) and found.cache.trouble and not any(storage(found)):
        yield f"nothing can be written to MODEL_CACHE_DIR ({found.cache.trouble}), and need not be"
    if not isinstance(found.cpu, Failed):
        threads, usable = settings.threads, processors(found.cpu)
        if threads > usable:
            yield f"{threads} threads compute at once, and {usable} processors may be used"
    if isinstance(found.offers, Offers):
        wanted = accelerators(settings.asked, found.offers)
        yield from second_best(found.trials, wanted)
        yield from unproven(found.trials, wanted)
    if not isinstance(found.graphics, Failed) and isinstance(found.offers, Offers):
        for vendor in found.graphics.vendors:
            yield from idle_card(vendor, settings.asked, found.offers)


def second_best(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[str]:
    """A note where a provider computes and one before it does not. names: preferred first."""
    computing = [name for name in names if computes(trials, name)]
    if computing and computing[0] != names[0]:
        yield f"{computing[0]} computes, and {names[0]} is asked for before it"


def unproven(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[str]:
    """A note for each provider that computes and is experimental (`Provider.experimental`)."""
    from face_service.runtime.providers import PROVIDERS

    for name in names:
        if computes(trials, name) and PROVIDERS[name].experimental:
            yield (
                f"{name} is experimental: this service was never run on its hardware, so go by "
                "what is measured here"
            )


def processors(cpu: Cpu) -> int:
    """Number of processors that may be used, counted as `runtime.threads.available_cpus` does."""
    return cpu.allowed if cpu.quota is None else min(cpu.allowed, max(1, math.ceil(cpu.quota)))


def idle_card(vendor: str, asked: Sequence[str], offered: Offers) -> Iterator[str]:
    """A note that a card of `vendor` is not used, where no provider for it is asked for."""
    from face_service.runtime.providers import AUTO, PROVIDERS

    able = [name for name, whose in VENDORS.items() if whose == vendor]
    if able and not set(able) & set(asked) and AUTO not in asked:
        name = next((name for name in able if name in offered.offered), able[0])
        source = "" if name in offered.offered else f", which comes with {PROVIDERS[name].package}"
        yield f"a card of {vendor} is here, and not used: ONNX_PROVIDERS={name} asks for it{source}"


def in_words(provider: str, outcome: Failed) -> str:
    """What to do about a provider that does not compute."""
    from face_service.runtime.providers import CPU

    if outcome.ours:
        return outcome.why
    if outcome.why.startswith(NO_ANSWER):
        return f"give {provider} more time with --timeout, or report this: {outcome.why}"
    instead = "" if provider == CPU else f", and set ONNX_PROVIDERS={CPU} meanwhile"
    return f"report this{instead}: {provider} does not work here, {outcome.why}"


def pack_fails(cpu: Measured) -> str:
    """How a pack failed on the CPU: it finds no face, or does not tell them apart."""
    if not cpu.faces:
        return "it finds no face"
    return "it hardly tells one from another"


def differences(agreement: Agreement) -> str:
    """An agreement in words: `the same 11 faces, boxes within 0.002 px, scores within 1e-06, cosine
    0.99999 or more`."""
    parts = [f"{agreement.found} faces, the CPU {agreement.expected}"]
    if agreement.found == agreement.expected:
        parts = [f"the same {agreement.found} faces"]
    if agreement.box is not None and agreement.score is not None:
        parts.append(f"boxes within {agreement.box:.2g} px")
        parts.append(f"scores within {agreement.score:.1g}")
    if agreement.cosine is not None:
        parts.append(f"cosine {floored(agreement.cosine)} or more")
    return ", ".join(parts)


def floored(cosine: float) -> str:
    """A cosine with six decimals, rounded towards 0, so that only 1 is shown as 1."""
    return f"{int(cosine * 1e6) / 1e6:.6f}"


def accelerators(asked: Sequence[str], offered: Offers) -> list[str]:
    """The providers that are asked for beside the CPU, by name or as `auto`, preferred first."""
    from face_service.runtime.providers import AUTO, CPU

    names = [attempt[0] for attempt in offered.attempts] if AUTO in asked else asked
    return [name for name in names if name != CPU]


def compiles(asked: Sequence[str]) -> bool:
    """Whether one of `asked` needs a folder for compiled programs."""
    from face_service.runtime.providers import PROVIDERS

    return any(name in PROVIDERS and PROVIDERS[name].compiles for name in asked)


def computes(trials: Sequence[Trial], name: str) -> bool:
    """Whether a provider was tried and computed."""
    return any(trial.provider == name and isinstance(trial.outcome, Measured) for trial in trials)
