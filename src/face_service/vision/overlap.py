"""Pieces of a picture that lie over each other in its file."""

from __future__ import annotations

from collections.abc import Iterable

SHARED, LEAST_SHARED = 2, 100_000_000
"""All pieces of a picture may have so many times the bytes of its file, and in any file so many:
a third of a second to look through."""


def lie_over_each_other(data: bytes, sizes: Iterable[int]) -> bool:
    """Whether pieces of these bytes are so much more than their file together that whoever reads
    them all, one after the other, takes far longer than the file does: pieces of a picture may be
    the same one many times, or have wrong sizes, but not both and large."""
    held = sum(min(size, len(data)) for size in sizes)
    return held > max(SHARED * len(data), LEAST_SHARED)
