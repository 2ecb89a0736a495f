"""How coarsely a JPEG was quantised. ITU-T T.81, B.2.4.1."""

from __future__ import annotations

from contextlib import suppress

from .jpeg import FRAMES, SCAN, segments

TABLES = 0xDB
COEFFICIENTS = 64
LOW = 21
"""Steps at the beginning of a table, which is in zigzag order, whose mean is taken: up to five half
waves in a block of 8 pixels. Of all frequencies these follow best how much recognisers lose:
benchmarks/studies/frame_faults.py."""
BLOCK = 8
"""Side of a block, in pixels."""


def luminance_step(data: bytes) -> float | None:
    """Mean quantisation step of the lower frequencies of a JPEG's luminance, from 1 on; None where
    there is no table for it before the first scan. A picture of quality 90 has 3.6, one of quality
    28 has 32, and one of FFmpeg's frames without `-q:v` 60 to 85."""
    tables: dict[int, float] = {}
    luminance: int | None = None
    with suppress(IndexError):  # the data end before a scan
        for code, at, length in segments(data):
            if code == TABLES:
                tables |= read_tables(data[at + 2 : at + length])
            elif code in FRAMES:
                luminance = data[at + 10]
            elif code == SCAN:
                break
    return None if luminance is None else tables.get(luminance)


def read_tables(segment: bytes) -> dict[int, float]:
    """The mean step of the lower frequencies of each table in a segment, by its number."""
    means: dict[int, float] = {}
    at = 0
    while at < len(segment):
        width, number = 1 + (segment[at] >> 4 != 0), segment[at] & 15
        steps = segment[at + 1 : at + 1 + LOW * width]
        total = sum(steps) if width == 1 else 256 * sum(steps[::2]) + sum(steps[1::2])
        means[number] = total / LOW
        at += 1 + COEFFICIENTS * width
    return means


def compression(step: float | None, side: float) -> float | None:
    """How much of a face was lost to quantisation: the step of `luminance_step` divided by the
    number of blocks in the square of the box's shorter side, at least 1. side: that side, in
    pixels. None where `step` is None."""
    if step is None:
        return None
    return step / max(side / BLOCK, 1.0) ** 2
