"""Trials of providers: which are tried, and the result of each on a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .agreement import Agreement, SanityCheck, compare, sense
from .configuration import Configuration
from .probing import Failed, ask, attempt

OFFERS_S = 60.0
"""Time limit for importing ONNX Runtime, which is slow from a cold disk."""
TRIAL_S = 120.0
COMPILING_TRIAL_S = 1800.0
"""Time limits for a provider to load the pack and analyse two pictures, without and with programs
to compile first."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What ONNX Runtime reports once it is loaded. offered: the providers it was built with.
    made_for: versions of CUDA and the like that it was built for. attempts: the lists of providers
    that a start would try; reasons: why others would not be tried; refusal: the error where there
    is no list."""

    version: str
    offered: Sequence[str]
    made_for: Mapping[str, str]
    attempts: Sequence[Sequence[str]]
    reasons: Sequence[str]
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of a provider that computes. precision: what it computes in. warm_s: seconds to
    load and to run every network once. faces: how many it found. placement: nodes by provider, by
    network. *_ms: median milliseconds, of the recogniser by faces in a batch. sense: of its
    embeddings. agreement: with the CPU; None for the CPU itself."""

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
    """A provider that was tried. asked: ONNX_PROVIDERS names it, or is `auto`, which may take
    it."""

    provider: str
    asked: bool
    outcome: Measured | Failed


def offers(asked: Sequence[str], precision: str) -> Offers | Failed:
    """Load ONNX Runtime in a child process and return what it reports."""
    answer = ask({"task": "offers", "asked": list(asked), "precision": precision}, OFFERS_S)
    return answer if isinstance(answer, Failed) else attempt(Offers, **answer)


def try_providers(
    settings: Configuration,
    offered: Offers,
    image: Path | None,
    seconds: float | None,
    say: Callable[[str], None],
) -> Iterator[Trial]:
    """Try each of `candidates` on a picture, the CPU first, with which the others are compared.

    image: a file instead of `child.PICTURE`. seconds: the time limit of each instead of the usual
    one. say: called with a line of text before each trial.
    """
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
    """The lists of providers to try: the CPU; then those that a start would try; then the others
    that are offered, unless they compile for minutes and are not in `asked`."""
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
    """The time limit of a provider's trial, in seconds."""
    from face_service.runtime.providers import PROVIDERS

    return COMPILING_TRIAL_S if PROVIDERS[name].compiles else TRIAL_S


def cpu_precision(settings: Configuration) -> str:
    """The precision of the reference: fp32 for fp16 and bf16."""
    return "fp32" if settings.precision in ("fp16", "bf16") else settings.precision


def measured(answer: dict[str, Any], reference: dict[str, Any] | Failed | None) -> Measured:
    """A child's answer, compared with that of the CPU where there is one."""
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
