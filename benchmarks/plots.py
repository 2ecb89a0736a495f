"""docs/images/performance-*.svg and closer-idle.svg from the files in benchmarks/results.

    python -m benchmarks.plots      # needs matplotlib, the dependency group `bench`

Draws those of this class of processors, and imports nothing of the service that needs a package,
so that it runs in an environment of its own; benchmarks/run_all.sh makes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from benchmarks.kept import read

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs/images"
NAMES = {"ours": "this service", "naive": "the obvious service", "loop": "insightface in a loop"}
STYLES = {
    "ours": {"color": "#0b6e4f", "marker": "o", "linewidth": 2.2},
    "naive": {"color": "#c2410c", "marker": "s", "linewidth": 1.8},
    "loop": {"color": "#6b7280", "marker": "^", "linewidth": 1.5, "linestyle": "--"},
}
COLORS = ("#0b6e4f", "#c2410c")
Row = dict[str, Any]


def figure(title: str, x: str, y: str) -> tuple[Any, Any]:
    """An empty plot on white."""
    picture, axes = plt.subplots(figsize=(6.4, 3.8), facecolor="white")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(True, color="#e5e7eb")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return picture, axes


def save(picture: Any, axes: Any, name: str) -> None:
    """Write the SVG; the same figures give the same bytes."""
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    picture.tight_layout()
    picture.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(picture)


def line(axes: Any, subject: str, points: list[tuple[float, float]], label: str = "") -> None:
    """One subject's curve."""
    x, y = zip(*sorted(points), strict=True)
    axes.plot(x, y, label=label or NAMES[subject], **STYLES[subject])


def throughput(cells: list[Row]) -> None:
    """Requests per second against clients, one face in a frame."""
    picture, axes = figure(
        "Throughput, 1920×1080, one face", "clients posting at once", "requests per second"
    )
    for subject in ("ours", "naive"):
        line(
            axes,
            subject,
            [
                (row["clients"], row["throughput"])
                for row in cells
                if row["subject"] == subject and row["faces"] == 1
            ],
        )
    for row in cells:
        if row["subject"] == "loop" and row["faces"] == 1:
            style = {k: v for k, v in STYLES["loop"].items() if k != "marker"}
            axes.axhline(row["throughput"], label=NAMES["loop"] + ", one caller", **style)
    axes.set_xscale("log", base=2)
    ticks = sorted({row["clients"] for row in cells if row["faces"] == 1})
    axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    save(picture, axes, "performance-throughput")


def cost(cells: list[Row]) -> None:
    """Milliseconds a frame against the faces in it, one client."""
    picture, axes = figure(
        "Cost of a 1920×1080 frame, one client", "faces in the frame", "median latency, ms"
    )
    for subject in ("ours", "naive", "loop"):
        points = [
            (row["faces"], row["p50"])
            for row in cells
            if row["subject"] == subject and row["clients"] == 1
        ]
        if points:
            line(axes, subject, points)
    axes.set_xticks(sorted({row["faces"] for row in cells}))
    save(picture, axes, "performance-faces")


def arrivals(rows: list[Row]) -> None:
    """Latency from when each request was due, against the rate of arrival."""
    picture, axes = figure(
        "Latency at a constant rate of arrival, one face",
        "requests arriving per second",
        "latency from when it was due, ms",
    )
    axes.set_yscale("log")
    for subject in ("ours", "naive"):
        mine = [row for row in rows if row["subject"] == subject]
        line(axes, subject, [(r["rate"], r["p50"]) for r in mine], f"{NAMES[subject]}, median")
        x, y = zip(*((r["rate"], r["p99"]) for r in mine), strict=True)
        color = STYLES[subject]["color"]
        axes.plot(x, y, ":", color=color, label=f"{NAMES[subject]}, 99th percentile")
    save(picture, axes, "performance-arrivals")


def idle(found: Row) -> None:
    """Memory of a service that is asked, not asked, and asked again."""
    picture, axes = figure(
        f"Memory with IDLE_UNLOAD_S={found['idle_s']}", "seconds since a request", "MB"
    )
    for number, (pack, color) in enumerate(zip(found["packs"], COLORS, strict=True)):
        seconds, resident, anonymous = zip(*pack["points"], strict=True)
        axes.plot(seconds, resident, color=color, label=f"{pack['pack']}, RSS")
        axes.plot(seconds, anonymous, ":", color=color, label=f"{pack['pack']}, anonymous")
        axes.plot(pack["asked"], pack["let_go_mb"][0], "v", color=color)
        took = f"asked again: {pack['first_ms']:.0f} ms"
        place = {"xytext": (-6, 8 + 14 * number), "textcoords": "offset points", "ha": "right"}
        axes.annotate(took, (pack["asked"], pack["let_go_mb"][0]), color=color, **place)
    save(picture, axes, "closer-idle")


def main() -> None:
    """Draw all four."""
    plt.rcParams.update({"svg.hashsalt": "face-service", "svg.fonttype": "none", "font.size": 10})
    IMAGES.mkdir(exist_ok=True)
    cells = read("compare-standin")["cells"]
    throughput(cells)
    cost(cells)
    arrivals(read("arrivals")["rows"])
    idle(read("idle_memory"))


if __name__ == "__main__":
    main()
