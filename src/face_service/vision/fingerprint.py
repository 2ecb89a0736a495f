"""The fingerprint of an embedding space: bits by which two installations can compare theirs.

Each bit is the side of a plane through the origin on which an embedding lies. Embeddings whose
angle is small differ in few bits (Charikar 2002): rounding, which differs from processor to
processor, changes none of them, another recogniser half of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BITS = 64
"""Bits of a fingerprint for each embedding."""
MOST_DIFFERENT = 0.02
"""Share of the bits that may differ within one space: what bf16 does to an embedding (a cosine of
0.999 to fp32) changes 1.4 % of them, what int8 does (0.965) changes 8 %."""


def fingerprint(embeddings: Sequence[NDArray[np.float32]]) -> str:
    """The bits of embeddings (float32 [dimension]) as hexadecimal digits, BITS / 4 for each."""
    return "".join(
        np.packbits(planes(len(one)) @ one.astype(np.float64) > 0).tobytes().hex()
        for one in embeddings
    )


@lru_cache(maxsize=4)
def planes(dimension: int) -> NDArray[np.float64]:
    """The normals of the planes, float64 [BITS, dimension] of 1 and -1, the same everywhere and for
    ever."""
    length = -(-dimension // 8)
    rows = [
        np.frombuffer(hashlib.shake_256(f"plane {row}".encode()).digest(length), np.uint8)
        for row in range(BITS)
    ]
    bits = np.unpackbits(np.stack(rows), axis=1)[:, :dimension]
    return np.where(bits, 1.0, -1.0)


def share_different(one: str, other: str) -> float:
    """The share of the bits, 0..1, in which two fingerprints differ; 1 where their lengths do.
    Raises ValueError if they are empty or no hexadecimal digits."""
    if len(one) != len(other):
        return 1.0
    return (int(one, 16) ^ int(other, 16)).bit_count() / (4 * len(one))
