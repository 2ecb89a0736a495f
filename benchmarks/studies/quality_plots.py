"""docs/images/quality-*.svg from benchmarks/results/CLASS/quality.json and pose.json.

    python -m benchmarks.studies.quality_plots      # needs matplotlib, the dependency group `bench`

Like benchmarks/plots.py it imports nothing of the service, so that it runs in an environment of
its own.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.kept import read
from benchmarks.plots import IMAGES

COLORS = {"edgeface": "#0b6e4f", "starter": "#c2410c"}
UNITS = {"size": "size, pixels", "roll": "roll either way, degrees"}
LIMIT = {"color": "#111827", "linestyle": ":", "linewidth": 1.2}
ORDERS = {"score": "-", "det_score": "--", "sharpness": ":"}
THINNED = 3
"""One point of a curve in three is drawn."""
REFUSED = np.linspace(0, 50, 51)


def panel(axes: Any, x: str, y: str = "") -> None:
    """An empty plot on white."""
    axes.set(xlabel=x, ylabel=y)
    axes.grid(True, color="#e5e7eb")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def curve(axes: Any, found: dict[str, Any]) -> None:
    """Medians and the middle 80 % of both recognisers, and the limit."""
    x = found["x"][::THINNED]
    for name, color in COLORS.items():
        low, middle, high = np.array(found[name])[::THINNED].T
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(x, middle, color=color, label=name)
    axes.axvline(found["limit"], **LIMIT)
    axes.set_ylim(0, 1.02)


def signals(quality: dict[str, Any], pose: dict[str, Any]) -> None:
    """Similarity to the photo as it was against each signal."""
    picture, rows = plt.subplots(3, 3, figsize=(9, 7.5), facecolor="white", sharey=True)
    curves = quality["curves"]
    places = {
        "sharpness": (0, 0),
        "size": (0, 1),
        "brightness, dark": (0, 2),
        "brightness, bright": (1, 0),
        "visible": (1, 1),
        "det_score": (1, 2),
        "roll": (2, 2),
    }
    for name, place in places.items():
        panel(rows[place], UNITS.get(name, name), "similarity" if place[1] == 0 else "")
        curve(rows[place], curves[name])
    for name, place in (("yaw", (2, 0)), ("pitch", (2, 1))):
        panel(rows[place], f"{name} either way, degrees", "similarity" if place[1] == 0 else "")
        curve(rows[place], pose["curves"][name])
    rows[0, 0].legend(frameon=False, loc="lower right")
    save(picture, "signals")


def frames(faults: dict[str, Any]) -> None:
    """Similarity to the photo as it was against combing and compression."""
    picture, places = plt.subplots(1, 2, figsize=(8, 3.2), facecolor="white", sharey=True)
    for axes, name in zip(places, ("combing", "compression"), strict=True):
        panel(axes, name, "similarity" if name == "combing" else "")
        curve(axes, faults["curves"][name])
    places[1].set_xlim(0, 6)
    places[0].legend(frameon=False, loc="upper right")
    save(picture, "frames")


def refusal(quality: dict[str, Any]) -> None:
    """Errors against the share of pairs refused, worst first."""
    picture, axes = plt.subplots(figsize=(6.4, 3.8), facecolor="white")
    panel(axes, "pairs of one person refused, worst first, %", "taken for two people, %")
    both = quality["refusal"]["both photos"]
    for name, color in COLORS.items():
        for order, style in ORDERS.items():
            rates = 100 * np.array(both[name]["curves"][order])
            axes.plot(REFUSED, rates, style, color=color, label=f"{name}, by {order}")
    axes.set_ylim(0, 35)
    axes.legend(frameon=False, ncols=2)
    save(picture, "refusal")


def poses(pose: dict[str, Any]) -> None:
    """Estimated against true angles: photos as MediaPipe sees them, and turned heads."""
    picture, panels = plt.subplots(1, 2, figsize=(9, 4), facecolor="white")
    true, errors = (np.array(pose["reference"][key]) for key in ("true", "errors"))
    for place, (axes, kind) in enumerate(zip(panels, ("yaw", "pitch"), strict=True)):
        panel(axes, f"true {kind}, degrees", "estimated, degrees" if place == 0 else "")
        axes.plot([-80, 80], [-80, 80], **LIMIT)
        estimated = (true + errors)[:, place]
        axes.plot(true[:, place], estimated, ".", color="#9ca3af", label="photos")
        rows = [row for row in pose["turned"][kind] if "true" in row]
        x = [row["true"] for row in rows]
        low, middle, high = np.array([row["estimated"] for row in rows]).T
        axes.fill_between(x, low, high, color="#0b6e4f", alpha=0.15, linewidth=0)
        axes.plot(x, middle, "o-", color="#0b6e4f", label="turned heads: median, middle 80 %")
        axes.legend(frameon=False, loc="upper left")
    save(picture, "pose")


def save(picture: Any, name: str) -> None:
    """Write the SVG; the same figures give the same bytes."""
    picture.tight_layout()
    picture.savefig(IMAGES / f"quality-{name}.svg", metadata={"Date": None})
    plt.close(picture)


def main() -> None:
    """Draw all four."""
    plt.rcParams.update({"svg.hashsalt": "face-service", "svg.fonttype": "none", "font.size": 10})
    quality, pose = read("quality"), read("pose")
    frames(read("frame_faults"))
    signals(quality, pose)
    refusal(quality)
    poses(pose)


if __name__ == "__main__":
    main()
