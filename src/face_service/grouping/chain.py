"""Average linkage on a matrix of similarities, by chains of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int16]
"""int16 [n, n]: cosines times SCALE, symmetric; NEVER where two clusters must not merge, and on the
diagonal. A hundred thousandth is exact enough, and half the memory of float32."""
SCALE = 32_000
NEVER = np.iinfo(np.int16).min


def merges(
    cosines: Matrix,
    sizes: NDArray[np.float32],
    threshold: float,
    checkpoint: Callable[[], object] = lambda: None,
) -> list[tuple[int, int]]:
    """What merges into what, in order: (a, b), from which on `a` is both. Changes its arguments.

    From a cluster to its nearest, from that to its nearest, and so on, until two are each other's:
    these merge. Takes n² steps whatever the similarities are (Murtagh 1983).
    """
    least = threshold * SCALE
    growing = np.ones(len(sizes), bool)
    found: list[tuple[int, int]] = []
    chain: list[int] = []
    for start in range(len(sizes)):
        while chain or growing[start]:
            chain = chain or [start]
            checkpoint()
            last = chain[-1]
            row = np.where(growing, cosines[last], NEVER)
            nearest = int(row.argmax())
            if row[nearest] == NEVER or row[nearest] < least:
                growing[chain.pop()] = False
            elif len(chain) > 1 and row[chain[-2]] == row[nearest]:
                first, second = sorted((chain.pop(), chain.pop()))
                join(cosines, sizes, first, second, growing)
                found.append((first, second))
            else:
                chain.append(nearest)
    return found


def join(
    cosines: Matrix,
    sizes: NDArray[np.float32],
    first: int,
    second: int,
    growing: NDArray[np.bool_],
) -> None:
    """Make `first` both: its similarities are the means, weighted by size (Lance and Williams)."""
    a, b = cosines[first], cosines[second]
    total = sizes[first] + sizes[second]
    mean = np.rint(a * (sizes[first] / total) + b * (sizes[second] / total)).astype(np.int16)
    mean[(a == NEVER) | (b == NEVER)] = NEVER
    mean[first] = NEVER
    sizes[first] = total
    growing[second] = False
    cosines[first] = mean
    alive = np.flatnonzero(growing)
    cosines[alive, first] = mean[alive]
