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
FEWEST = 256
"""Clusters below which a smaller matrix is not worth the copy."""
MANY = 500
"""Events from which on looking at all clusters takes less time than at these."""


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
    names = np.arange(len(sizes))
    found: list[tuple[int, int]] = []
    growing = Growing(cosines, sizes)
    chain: list[int] = []
    while chain or growing.count:
        if growing.count > FEWEST and 4 * growing.count < len(names):
            kept = np.flatnonzero(~growing.ended)
            names, chain = names[kept], np.searchsorted(kept, chain).tolist()
            growing = growing.only(kept)
        chain = chain or [int(growing.ended.argmin())]
        checkpoint()
        last = chain[-1]
        row = growing.row(last)
        nearest = int(row.argmax())
        if row[nearest] == NEVER or row[nearest] < least:
            growing.end(chain.pop())
        elif len(chain) > 1 and row[chain[-2]] == row[nearest]:
            first, second = sorted((chain.pop(), chain.pop()))
            growing.join(first, second)
            found.append((int(names[first]), int(names[second])))
        else:
            chain.append(nearest)
    return found


class Growing:
    """Clusters that may still merge, and their similarities.

    A merge writes a row. What it changes in the other rows, a column, is written when they are read
    next, as most never are: that would be a write to another page of memory for each.
    """

    def __init__(self, cosines: Matrix, sizes: NDArray[np.float32]) -> None:
        count = len(sizes)
        self.ended = np.zeros(count, bool)
        self.count = count
        self._cosines, self._sizes = cosines, sizes
        self._events = np.empty(3 * count, np.int32)
        """The clusters whose rows were written, or that ended, in this order."""
        self._now = 0
        self._written, self._read = np.zeros(count, np.int32), np.zeros(count, np.int32)
        """After how many events a row was written, and has what changed in the others."""

    def only(self, kept: NDArray[np.intp]) -> Growing:
        """The same with `kept` alone, which are those that have not ended, numbered from 0."""
        cosines, written = self._cosines[np.ix_(kept, kept)], self._written[kept]
        changed = np.flatnonzero(written)
        later = written[:, None] > written[changed]
        cosines[:, changed] = np.where(later, cosines[:, changed], cosines[changed].T)
        return Growing(cosines, self._sizes[kept])

    def row(self, cluster: int) -> NDArray[np.int16]:
        """Its similarities; NEVER to those that merge no more."""
        row: NDArray[np.int16] = self._cosines[cluster]
        read = self._read[cluster]
        events = self._events[read : self._now]
        if len(events) > MANY:
            changed = np.flatnonzero(self._written > read)
            row[changed] = self._cosines[changed, cluster]
            np.copyto(row, NEVER, where=self.ended)
        elif len(events):
            row[events] = np.where(self.ended[events], NEVER, self._cosines[events, cluster])
        self._read[cluster] = self._now
        return row

    def end(self, cluster: int) -> None:
        """Nothing merges with it any more."""
        self.ended[cluster] = True
        self.count -= 1
        self._written[cluster] = 0
        self._happened(cluster)

    def join(self, first: int, second: int) -> None:
        """Make `first` both: its similarities are the means, weighted by size (Lance and
        Williams)."""
        a, b = self.row(first), self.row(second)
        total = self._sizes[first] + self._sizes[second]
        mean = np.rint(a * (self._sizes[first] / total) + b * (self._sizes[second] / total))
        np.copyto(mean, NEVER, where=(a == NEVER) | (b == NEVER))
        self._sizes[first] = total
        self._cosines[first] = mean
        self._happened(first)
        self._written[first] = self._now
        self.end(second)
        self._read[first] = self._now

    def _happened(self, cluster: int) -> None:
        self._events[self._now] = cluster
        self._now += 1
