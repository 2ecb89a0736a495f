"""How right are yaw, pitch and roll, and from where on does a turned head lose its identity?

    uv run --no-project --python 3.11 --with mediapipe==0.10.21 \\
        python benchmarks/studies/mediapipe_meshes.py meshes.npz
    .venv/bin/python -m benchmarks.studies.pose --meshes meshes.npz [--photos 60]

Four measures: the method alone on projected model heads whose landmarks are jittered and whose
shape is not the mean; photos of ../shared/faces rotated in the plane, and mirrored, which needs no
reference; the same photos against MediaPipe's Face Mesh; and photos draped over that mesh and
turned (turn.py), which are compared with the unturned as well. Writes
benchmarks/results/CLASS/pose.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.degrade import rotate
from benchmarks.studies.eyes import PHOTOS, THRESHOLDS, Eyes, Seen
from benchmarks.studies.quality import KEPT, Signal, Trial, curve, shown, write
from benchmarks.studies.turn import rotation, rotation_of, turn
from face_service.runtime.processor import in_words, processor
from face_service.vision.pose import MEAN_FACE, Pose, angles, head_pose

ANGLES = Pose._fields
JITTER, SHAPE = 0.03, 0.05
"""Standard deviations, in distances of the eyes: of a landmark in the picture, and of a point of
one head from the mean head."""
DISTANCE = 10.0
"""From the camera to the head in the perspective projection, in distances of the eyes: 63 cm."""
YAWS = (-75, -60, -45, -30, -15, 0, 15, 30, 45, 60, 75)
PITCHES = (-60, -45, -30, -15, 0, 15, 30, 45, 60)
YAW_BINS = (0, 10, 20, 30, 40, 90)
STRAIGHT = 12.0
"""A photo whose yaw and pitch are smaller than this, in degrees, can be turned to either side."""

Errors = NDArray[np.float64]
"""float64 [n, 3]: estimated less true yaw, pitch and roll, degrees."""


def off(estimated: Iterable[Pose], true: Iterable[Pose]) -> Errors:
    """The difference, between -180 and 180."""
    difference = np.array(list(estimated)) - np.array(list(true))
    return (difference + 180) % 360 - 180


def summary(errors: Errors) -> dict[str, dict[str, float]]:
    """Mean, mean absolute and 95th percentile of the absolute error, by angle."""
    return {
        name: {
            "mean": float(column.mean()),
            "absolute": float(np.abs(column).mean()),
            "p95": float(np.percentile(np.abs(column), 95)),
        }
        for name, column in zip(ANGLES, errors.T, strict=True)
    }


def model_heads(jitter: float, shape: float, perspective: bool, number: int = 4000) -> Errors:
    """Heads of known pose, yaw within ±60, pitch within ±30, projected to five landmarks."""
    random = np.random.default_rng(0)
    eyes = MEAN_FACE[1, 0] - MEAN_FACE[0, 0]
    estimated, true = [], []
    for _ in range(number):
        yaw, pitch, roll = random.uniform((-60, -30, -30), (60, 30, 30))
        plane = np.radians(roll)
        cos, sin = np.cos(plane), np.sin(plane)
        turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ rotation(yaw, pitch)
        head = MEAN_FACE - MEAN_FACE.mean(axis=0) + random.normal(0, shape * eyes, (5, 3))
        points = head @ turned.T
        nearer = 1 - points[:, 2:] / (DISTANCE * eyes) if perspective else 1
        seen = points[:, :2] / nearer + random.normal(0, jitter * eyes, (5, 2))
        estimated.append(head_pose(seen.astype(np.float32)))
        true.append(Pose(yaw, pitch, roll))
    return off(estimated, true)


def in_the_plane(eyes: Eyes, paths: Sequence[Path], degrees: float) -> Errors:
    """Photos turned clockwise: yaw and pitch should stay, roll should grow by as much."""
    estimated, true = [], []
    for path in paths:
        photo, landmarks = eyes.photo(path)
        before = eyes.look(photo.image, landmarks)
        spoilt = rotate(photo, degrees, np.random.default_rng(0))
        after = eyes.look_at_spoilt(spoilt, landmarks)
        if before and after:
            pose = before.quality.pose
            estimated.append(after.quality.pose)
            true.append(pose._replace(roll=pose.roll + degrees))
    return off(estimated, true)


def mirrored(eyes: Eyes, paths: Sequence[Path]) -> Errors:
    """Photos and their mirror images: yaw and roll should change their sign, pitch not."""
    estimated, true = [], []
    for path in paths:
        photo, landmarks = eyes.photo(path)
        width = photo.image.shape[1]
        flipped = (landmarks * (-1, 1) + (width - 1, 0))[[1, 0, 2, 4, 3]]
        before = eyes.look(photo.image, landmarks)
        after = eyes.look(np.ascontiguousarray(photo.image[:, ::-1]), flipped)
        if before and after:
            pose = before.quality.pose
            estimated.append(after.quality.pose)
            true.append(Pose(-pose.yaw, pose.pitch, -pose.roll))
    return off(estimated, true)


def as_they_are(eyes: Eyes, names: Sequence[str]) -> dict[str, Seen]:
    """The face of every photo."""
    found = {}
    for name in names:
        photo, landmarks = eyes.photo(PHOTOS / name)
        seen = eyes.look(photo.image, landmarks)
        assert seen, name
        found[name] = seen
    return found


def real_pairs(seen: Mapping[str, Seen]) -> list[dict[str, Any]]:
    """Pairs of photos of one person, by how far the more turned of the two is turned."""
    pairs = [
        (max(abs(a.quality.pose.yaw), abs(b.quality.pose.yaw)), a.similarities(b))
        for (one, a), (other, b) in combinations(seen.items(), 2)
        if Path(one).parent == Path(other).parent
    ]
    rows = []
    for low, high in pairwise(YAW_BINS):
        mine = [kept for yaw, kept in pairs if low <= yaw < high]
        row: dict[str, Any] = {"yaw": [low, high], "pairs": len(mine)}
        for one, threshold in THRESHOLDS.items():
            values = [kept[one] for kept in mine]
            missed = float(np.mean([value < threshold for value in values]))
            row[one] = [float(np.median(values)), float(min(values)), missed]
        rows.append(row)
    return rows


def turned_heads(
    eyes: Eyes,
    names: Sequence[str],
    meshes: NDArray[np.float32],
    triangles: NDArray[np.int_],
) -> dict[str, list[tuple[Trial, float]]]:
    """Photos draped over their meshes and turned: what is seen, beside the true angle."""
    found: dict[str, list[tuple[Trial, float]]] = {"yaw": [], "pitch": []}
    for name, mesh in zip(names, meshes, strict=True):
        image = cv2.imread(str(PHOTOS / name))
        own = rotation_of(mesh)
        unturned = turn(image, mesh, triangles, np.eye(3))
        before = eyes.look(unturned.image, landmarks_of(unturned.mesh))
        if not before:
            continue
        for kind, steps in (("yaw", YAWS), ("pitch", PITCHES)):
            for step in steps:
                by = rotation(step, 0) if kind == "yaw" else rotation(0, step)
                moved = turn(image, mesh, triangles, by)
                seen = eyes.look(moved.image, landmarks_of(moved.mesh))
                kept = before.similarities(seen) if seen else {}
                true = getattr(angles(*(by @ own)), kind)
                found[kind].append((Trial(kind, step, seen, kept), true))
    return found


def landmarks_of(mesh: NDArray[np.floating]) -> NDArray[np.floating]:
    """Where the five landmarks of a mesh [468, 3] are, [5, 2]."""
    eyes = [mesh[[33, 133]].mean(axis=0), mesh[[362, 263]].mean(axis=0)]
    return np.array([*eyes, mesh[[1, 4]].mean(axis=0), mesh[61], mesh[291]])[:, :2]


def turned_rows(trials: Sequence[tuple[Trial, float]], kind: str) -> list[dict[str, Any]]:
    """By step: how many are found, what is estimated, what is left of the similarity."""
    rows = []
    for step in dict.fromkeys(trial.step for trial, _ in trials):
        mine = [(t, true) for t, true in trials if t.step == step]
        seen = [(t, true) for t, true in mine if t.seen]
        row: dict[str, Any] = {"step": step, "found": len(seen) / len(mine)}
        if seen:
            estimated = [getattr(t.seen.quality.pose, kind) for t, _ in seen if t.seen]
            row["true"] = float(np.median([true for _, true in seen]))
            row["estimated"] = [float(v) for v in np.percentile(estimated, (10, 50, 90))]
            row["usable"] = float(np.mean([t.seen.usable for t, _ in seen if t.seen]))
            for one in THRESHOLDS:
                kept = [t.kept[one] for t, _ in seen]
                row[one] = [float(v) for v in np.percentile(kept, (10, 50))]
        rows.append(row)
    return rows


def print_errors(measures: dict[str, Errors]) -> None:
    """The table of errors, in degrees."""
    print("Errors in degrees: mean, mean of the absolute, 95th percentile of the absolute.\n")
    print("| | faces |", *(f"{name} |" for name in ANGLES))
    print("|---|---|" + "---|" * len(ANGLES))
    for name, errors in measures.items():
        cells = (
            f"{e['mean']:+.1f}, {e['absolute']:.1f}, {e['p95']:.1f}"
            for e in summary(errors).values()
        )
        print(f"| {name} | {len(errors):,} | " + " | ".join(cells) + " |")


def print_real_pairs(rows: Sequence[dict[str, Any]]) -> None:
    """What turning costs between two photos."""
    print("\nTwo photos of one person as they are, by the larger yaw of the two:\n")
    print("| yaw | pairs |", *(f"{one}: median, least, missed |" for one in THRESHOLDS))
    print("|---|---|" + "---|" * len(THRESHOLDS))
    for row in rows:
        low, high = row["yaw"]
        cells = (f"{a:.2f}, {b:.2f}, {c:.1%}" for a, b, c in (row[one] for one in THRESHOLDS))
        print(f"| {low} to {high} | {row['pairs']} | " + " | ".join(cells) + " |")


def print_turned(rows: Sequence[dict[str, Any]], kind: str) -> None:
    """What becomes of turned heads."""
    print(f"\nPhotos turned in {kind}; similarities are to the same photo turned by 0:")
    print(
        f"\n| turned by | found | true {kind} | estimated: 10th, 50th, 90th percentile |", end=" "
    )
    print("usable |", *(f"{one}: median, 10th percentile |" for one in THRESHOLDS))
    print("|---|---|---|---|---|" + "---|" * len(THRESHOLDS))
    for row in rows:
        cells = [f"{row['step']:+d}", f"{row['found']:.0%}"]
        if "true" in row:
            cells += [f"{row['true']:+.0f}", ", ".join(f"{v:+.0f}" for v in row["estimated"])]
            cells += [f"{row['usable']:.0%}"]
            cells += [f"{row[one][1]:.2f}, {row[one][0]:.2f}" for one in THRESHOLDS]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Print the tables and write what they are made of to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meshes", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=60)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    file = np.load(arguments.meshes)
    names, meshes = [str(name) for name in file["names"]], file["meshes"]
    eyes = Eyes()
    some = [PHOTOS / name for name in names][:: max(1, len(names) // arguments.photos)]
    seen = as_they_are(eyes, names)
    reference = np.array([angles(*rotation_of(mesh)) for mesh in meshes])
    errors = off((face.quality.pose for face in seen.values()), map(Pose._make, reference))
    measures = {
        "model heads, exact": model_heads(0, 0, perspective=False),
        "model heads, perspective": model_heads(0, 0, perspective=True),
        f"model heads, landmarks ±{JITTER:.0%}": model_heads(JITTER, 0, perspective=True),
        f"model heads, and shapes ±{SHAPE:.0%}": model_heads(JITTER, SHAPE, perspective=True),
        "photos, mirrored": mirrored(eyes, some),
        **{f"photos, rotated by {d}°": in_the_plane(eyes, some, d) for d in (-30, -15, 15, 30)},
        "photos, MediaPipe's word": errors,
        "… of those turned by 20° and more": errors[np.abs(reference[:, 0]) >= 20],
    }
    print_errors(measures)
    pairs = real_pairs(seen)
    print_real_pairs(pairs)
    straight = np.flatnonzero((np.abs(reference[:, :2]) < STRAIGHT).all(axis=1))
    spread = np.linspace(0, len(straight) - 1, min(arguments.photos, len(straight)))
    straight = straight[spread.astype(int)]
    turned = turned_heads(eyes, [names[i] for i in straight], meshes[straight], file["triangles"])
    rows, curves = {}, {}
    for kind, trials in turned.items():
        rows[kind] = turned_rows(trials, kind)
        print_turned(rows[kind], kind)
        # 0 first: the unturned is where a curve begins.
        signal = Signal(lambda face, k=kind: abs(getattr(face.quality.pose, k)), (kind,), True)
        curves[kind] = curve([trial for trial, _ in trials], signal)
        limit = curves[kind]["limit"]
        print(f"\nEstimated {kind}: median similarity under {KEPT} from {shown(limit)} degrees.")
    content = {
        "errors": {name: summary(found) for name, found in measures.items()},
        "pairs": pairs,
        "turned": rows,
        "curves": curves,
        "photos": {"turned": len(straight)},
        "reference": {"true": reference.tolist(), "errors": errors.tolist()},
    }
    write("pose", content)


if __name__ == "__main__":
    main()
