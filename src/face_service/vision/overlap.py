"""Pieces of a picture that lie over each other in its file."""

from __future__ import annotations

from collections.abc import Iterable

SHARED, LEAST_SHARED = 2, 100_000_000
"""All pieces of a picture together may have SHARED times the bytes of its file, and LEAST_SHARED
bytes in any file: a third of a second to look through."""


def lie_over_each_other(data: bytes, sizes: Iterable[int]) -> bool:
    """Whether the pieces of a file together are so much larger than the file that reading all of
    them would take far longer than reading the file. sizes: bytes of each piece; a piece counts as
    no larger than the file. Pieces may coincide or have wrong sizes, up to that."""
    held = sum(min(size, len(data)) for size in sizes)
    return held > max(SHARED * len(data), LEAST_SHARED)
