"""What refusing unusable faces does to verification, on pairs some of whose photos are spoilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import SHARED
from benchmarks.studies.degrade import WAYS
from benchmarks.studies.eyes import LIMITS, PHOTOS, THRESHOLDS, Eyes, Seen
from face_service.tools.evaluation import read_pairs
from face_service.vision.quality import at_least, at_most

SHARES = np.linspace(0, 0.5, 51)
"""Of the pairs, refused beginning with the worst: the axis of the curves."""

Faces = dict[str, Seen | None]
Look = tuple[Seen | None, Seen | None]


class Rates(NamedTuple):
    """Errors at a pack's own threshold, shares of the pairs that are judged."""

    judged: float
    accuracy: float
    false_match: float
    false_non_match: float


def product(face: Seen) -> float:
    """The normalized_scores multiplied, where `score` takes the least of them."""
    quality = face.quality
    return float(
        np.prod(
            [
                at_least(quality.size, LIMITS.min_size),
                at_least(quality.sharpness, LIMITS.min_sharpness),
                at_most(abs(quality.pose.yaw), LIMITS.max_yaw),
                at_most(abs(quality.pose.pitch), LIMITS.max_pitch),
                at_most(abs(quality.pose.roll), LIMITS.max_roll),
                at_least(quality.brightness, LIMITS.min_brightness),
                at_least(1 - quality.brightness, 1 - LIMITS.max_brightness),
                at_most(1 - quality.visible, 1 - LIMITS.min_visible),
                at_most(1 - face.det_score, 1 - LIMITS.min_det_score),
            ]
        )
    )


ORDERS: Mapping[str, Callable[[Seen], float]] = MappingProxyType(
    {
        "score": lambda face: face.quality.score,
        "product": product,
        "det_score": lambda face: face.det_score,
        "sharpness": lambda face: face.quality.sharpness,
    }
)
"""By what the worst pairs could be told."""


def refusal(eyes: Eyes, rounds: int) -> tuple[dict[str, Any], list[Seen]]:
    """Rates with and without refusal on the pairs of ../shared/faces as they are, with the second
    photo spoilt at random, and with both; and every photo's face as it is.

    Each photo is spoilt once a round, in a way and to a step drawn at random.
    """
    rows = read_pairs(SHARED / "faces/pairs.csv")
    names = sorted({name for first, second, _ in rows for name in (first, second)})
    clean: Faces = {}
    spoilt: list[Faces] = [{} for _ in range(rounds)]
    ways: list[dict[str, str]] = [{} for _ in range(rounds)]
    for seed, name in enumerate(names):
        photo, landmarks = eyes.photo(PHOTOS / name)
        clean[name] = eyes.look(photo.image, landmarks)
        random = np.random.default_rng(seed + 1000)
        for faces, by in zip(spoilt, ways, strict=True):
            by[name] = list(WAYS)[random.integers(len(WAYS))]
            way = WAYS[by[name]]
            step = way.steps[random.integers(len(way.steps))]
            faces[name] = eyes.look_at_spoilt(way.spoil(photo, step, random), landmarks)

    def pairs(first: Faces, second: Faces) -> list[tuple[Look, bool]]:
        return [((first[one], second[other]), same) for one, other, same in rows]

    settings = {
        "no photo": pairs(clean, clean),
        "one photo": [pair for faces in spoilt for pair in pairs(clean, faces)],
        "both photos": [pair for faces in spoilt for pair in pairs(faces, faces)],
    }
    found = {name: judge(looks) for name, looks in settings.items()}
    of_ways = [by[other] for by in ways for _, other, _ in rows]
    found["one photo"]["ways"] = judge_by_way(settings["one photo"], of_ways)
    return found, [face for face in clean.values() if face]


def judge(looks: Sequence[tuple[Look, bool]]) -> dict[str, Any]:
    """Rates by recogniser, without and with refusal, and how errors fall as more is refused.

    A pair in which a face is not found cannot be judged and counts in neither.
    """
    seen = [(a, b, same) for (a, b), same in looks if a and b]
    same = np.array([same for *_, same in seen])
    usable = np.array([a.usable and b.usable for a, b, _ in seen])
    content: dict[str, Any] = {
        "pairs": len(looks),
        "not_found": 1 - len(seen) / len(looks),
        "refused": float(np.mean(~usable)),
    }
    for one, threshold in THRESHOLDS.items():
        cosines = np.array([a.similarities(b)[one] for a, b, _ in seen])
        content[one] = {
            "all": rates(cosines, same, threshold, len(seen))._asdict(),
            "usable": rates(cosines[usable], same[usable], threshold, len(seen))._asdict(),
            "curves": {
                name: discarded(
                    np.array([min(rank(a), rank(b)) for a, b, _ in seen]), cosines, same, threshold
                )
                for name, rank in ORDERS.items()
            },
        }
    return content


def judge_by_way(
    looks: Sequence[tuple[Look, bool]], ways: Sequence[str]
) -> dict[str, dict[str, int]]:
    """By the way in which the second photo is spoilt: how many pairs of one person are judged
    once the unusable are refused, and how many of those each recogniser misses."""
    found = {way: dict.fromkeys(("judged", *THRESHOLDS), 0) for way in WAYS}
    for ((a, b), same), way in zip(looks, ways, strict=True):
        if same and a and b and a.usable and b.usable:
            found[way]["judged"] += 1
            for one, cosine in a.similarities(b).items():
                found[way][one] += cosine < THRESHOLDS[one]
    return found


def rates(
    cosines: NDArray[np.float64], same: NDArray[np.bool_], threshold: float, of: int
) -> Rates:
    """The errors of those pairs; they are so many of `of`."""
    match = cosines >= threshold
    return Rates(
        judged=len(cosines) / of,
        accuracy=float(np.mean(match == same)),
        false_match=float(np.mean(match[~same])),
        false_non_match=float(np.mean(~match[same])),
    )


def discarded(
    merit: NDArray[np.float64],
    cosines: NDArray[np.float64],
    same: NDArray[np.bool_],
    threshold: float,
) -> list[float]:
    """False non-match rate of what remains when the worst SHARES of the pairs of one person are
    refused, by their `merit`: an error-versus-discard curve."""
    order = np.argsort(merit[same], kind="stable")
    misses = (cosines[same] < threshold)[order]
    return [float(np.mean(misses[round(share * len(misses)) :])) for share in SHARES]


def print_refusal(found: Mapping[str, Any]) -> None:
    """The table of rates."""
    print("\nPairs of which photos are spoilt at random, at each pack's own threshold:")
    print(
        "\n| spoilt | pairs | not found | recogniser | judged | accuracy | false match | "
        "false non-match |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for setting, content in found.items():
        for one in THRESHOLDS:
            for arm, words in (("all", "all"), ("usable", "usable alone")):
                r = content[one][arm]
                print(
                    f"| {setting} | {content['pairs']:,} | {content['not_found']:.1%} | {one} | "
                    f"{words}, {r['judged']:.1%} | {r['accuracy']:.2%} | {r['false_match']:.2%} | "
                    f"{r['false_non_match']:.2%} |"
                )
    print("\nOf the pairs of one person with one photo spoilt, those that are judged usable:\n")
    print("| spoilt by | judged |", *(f"{one} misses |" for one in THRESHOLDS))
    print("|---|---|" + "---|" * len(THRESHOLDS))
    for way, row in found["one photo"]["ways"].items():
        print(f"| {way} | {row['judged']} |", *(f"{row[one]} |" for one in THRESHOLDS))
    print("\nFalse non-matches with both photos spoilt, a share refused beginning with the worst:")
    print(
        "\n| worst by | "
        + " | ".join(
            f"{one}: {share:.0%} refused" for one in THRESHOLDS for share in (0.1, 0.2, 0.3)
        )
        + " |"
    )
    print("|---|" + "---|" * 6)
    both = found["both photos"]
    for name in ORDERS:
        cells = (both[one]["curves"][name][place] for one in THRESHOLDS for place in (10, 20, 30))
        print(f"| {name} | " + " | ".join(f"{value:.2%}" for value in cells) + " |")
