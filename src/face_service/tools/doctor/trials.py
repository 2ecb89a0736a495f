"""Which providers are tried, and what each of them did with a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .agreement import Agreement, SanityCheck, compare, sense
from .configuration import Configuration
from .probing import Failed, ask, attempt

OFFERS_S = 60.0
"""For ONNX Runtime to be imported: a cold disk under a container takes its time."""
TRIAL_S = 120.0
COMPILING_TRIAL_S = 1800.0
"""For a provider to load the pack and to look at two pictures; with programs to compile first."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What ONNX Runtime says of itself once it is loaded. made_for: versions of CUDA and the like.
    attempts: the lists of providers that a start would try; reasons: why not others; refusal: why
    there is none."""

    version: str
    offered: Sequence[str]
    made_for: Mapping[str, str]
    attempts: Sequence[Sequence[str]]
    reasons: Sequence[str]
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a provider did. warm_s: until it was warm. placement: nodes by provider, by network.
    *_ms: medians, of the recogniser by faces in a batch. agreement: with the CPU; None for the CPU
    itself."""

    precision: str
    warm_s: float
    faces: int
    placement: Mapping[str, Mapping[str, int]]
    detector_ms: float
    recogniser_ms: Mapping[str, float]
    sense: SanityCheck
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A provider that was tried. asked: the settings ask for it."""

    provider: str
    asked: bool
    outcome: Measured | Failed


def offers(asked: Sequence[str], precision: str) -> Offers | Failed:
    """Load ONNX Runtime, in another process, and ask it."""
    answer = ask({"task": "offers", "asked": list(asked), "precision": precision}, OFFERS_S)
    return answer if isinstance(answer, Failed) else attempt(Offers, **answer)


def smoke_test(
    settings: Configuration,
    offered: Offers,
    image: Path | None,
    seconds: float | None,
    say: Callable[[str], None],
) -> Iterator[Trial]:
    """Let providers look at a picture, the CPU first: the others are held against it."""
    from face_service.runtime.providers import CPU

    reference: dict[str, Any] | Failed | None = None
    for providers in candidates(settings.asked, offered):
        name, limit = providers[0], seconds or time_for(providers[0])
        say(f"trying {name}, for {limit:g} s at most")
        order = {
            "task": "trial",
            "providers": providers,
            "precision": cpu_precision(settings) if name == CPU else settings.precision,
            "model": settings.model,
            "image": str(image) if image else None,
        }
        answer = ask(order, limit)
        outcome = answer if isinstance(answer, Failed) else attempt(measured, answer, reference)
        yield Trial(name, wanted(name, settings.asked), outcome)
        reference = reference or answer


def candidates(asked: Sequence[str], offered: Offers) -> list[Sequence[str]]:
    """The CPU; then, as a start would try them, those that are asked for; then what else is offered
    and need not compile for minutes."""
    from face_service.runtime.providers import AUTO_ORDER, CPU, PROVIDERS

    lists: dict[str, Sequence[str]] = {CPU: (CPU,)}
    for attempted in offered.attempts:
        lists.setdefault(attempted[0], attempted)
    for name in (*asked, *AUTO_ORDER):
        if name in offered.offered and (name in asked or not PROVIDERS[name].compiles):
            lists.setdefault(name, (name, CPU))
    return list(lists.values())


def wanted(name: str, asked: Sequence[str]) -> bool:
    """Whether the settings ask for a provider, by name or as `auto`."""
    from face_service.runtime.providers import AUTO, AUTO_ORDER

    return name in asked or (AUTO in asked and name in AUTO_ORDER)


def time_for(name: str) -> float:
    from face_service.runtime.providers import PROVIDERS

    return COMPILING_TRIAL_S if PROVIDERS[name].compiles else TRIAL_S


def cpu_precision(settings: Configuration) -> str:
    """What others are held against: halves are judged by what they are halves of."""
    return "fp32" if settings.precision in ("fp16", "bf16") else settings.precision


def measured(answer: dict[str, Any], reference: dict[str, Any] | Failed | None) -> Measured:
    """A child's answer, held against that of the CPU."""
    faces, precision, agreement = answer["faces"], answer["precision"], None
    if isinstance(reference, dict):
        agreement = compare(faces, reference["faces"], precision)
    return Measured(
        precision=precision,
        warm_s=answer["warm_s"],
        faces=len(faces),
        placement=answer["placement"],
        detector_ms=answer["milliseconds"]["detector"],
        recogniser_ms=answer["milliseconds"]["recogniser"],
        sense=sense(faces, answer["mirrored"], answer["width"]),
        agreement=agreement,
    )
