"""Average linkage on a matrix of similarities, by chains of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int16]
"""int16 [n, room_for(n)] for n clusters. In the first n columns cosines times SCALE, symmetric;
NEVER where two clusters must not merge, and on the diagonal. The other columns need not be set:
they are for the clusters that merges make. Rounding to 1/SCALE is exact enough, and takes half the
memory of float32."""
SCALE = 32_000
"""What a cosine of 1 is in a Matrix; the largest int16 is 32,767."""
NEVER = np.iinfo(np.int16).min
FEWEST = 256
"""Least number of columns for clusters to come, unless there are fewer clusters."""
BATCH = 32
"""New clusters whose columns are written at once: 64 bytes of each row, a line of a cache."""


def room_for(clusters: int) -> int:
    """Columns of a Matrix: those of `clusters` clusters, and those for clusters to come."""
    return clusters + min(clusters, max(FEWEST, clusters // 4))


def merges(
    cosines: Matrix,
    sizes: NDArray[np.float32],
    threshold: float,
    checkpoint: Callable[[], object] = lambda: None,
) -> list[tuple[int, int]]:
    """Merge clusters by average linkage while the mean cosine of two reaches `threshold`. Returns
    their rows of `cosines`, in the order of merging: (a, b), a < b; `a` stands for both from then
    on.

    cosines: is overwritten. sizes: float32 [n], the vectors in each cluster. checkpoint: called at
    every step; what it raises ends the work.

    From a cluster to its nearest, from that to its nearest, and so on, until two are each other's:
    these merge. Takes time in proportion to n², whatever the similarities are (Murtagh 1983).
    """
    least = threshold * SCALE
    names = list(range(len(sizes)))
    found: list[tuple[int, int]] = []
    growing = Growing(cosines, sizes)
    chain: list[int] = []
    while chain or growing.count:
        if growing.full:
            kept = growing.compact()
            names, chain = [names[one] for one in kept], np.searchsorted(kept, chain).tolist()
        chain = chain or [int(growing.ended.argmin())]
        checkpoint()
        last = chain[-1]
        row = growing.row(last)
        nearest = int(row.argmax())
        if row[nearest] == NEVER or row[nearest] < least:
            growing.end(chain.pop())
        elif len(chain) > 1 and row[chain[-2]] == row[nearest]:
            pair = chain.pop(), chain.pop()
            growing.join(*pair)
            first, second = sorted(names[one] for one in pair)
            found.append((first, second))
            names.append(first)
        else:
            chain.append(nearest)
    return found


class Growing:
    """Clusters that may still merge, and their similarities. Each is known by its column; a merge
    ends two clusters and gives the next column to the new one.

    A merge writes a row. Its column is written with those of other merges: one alone would be a
    write to another page of memory for each row.
    """

    def __init__(self, cosines: Matrix, sizes: NDArray[np.float32]) -> None:
        self._cosines = cosines
        self._restart(np.arange(len(sizes)), sizes)

    def _restart(self, row_of: NDArray[np.intp], sizes: NDArray[np.float32]) -> None:
        count, columns = len(sizes), self._cosines.shape[1]
        self.count = count
        """Clusters that have not ended."""
        self.ended = np.zeros(columns, bool)
        """bool, by column: whether nothing merges with the cluster any more."""
        self._used = self._written = count
        """Columns in use; those that are written to all rows."""
        self._row_of, self._sizes = np.zeros(columns, np.intp), np.ones(columns, np.float32)
        self._row_of[:count], self._sizes[:count] = row_of, sizes
        self._order = np.empty(columns, np.intp)
        """The columns that have ended, the first to end first; `_gone` of them."""
        self._gone = 0
        self._seen = [(0, count)] * columns
        """Of each cluster's row: how many have gone, and how many columns were in use, when it was
        read last."""

    @property
    def full(self) -> bool:
        """Whether there is no column for another cluster."""
        return self._used == len(self.ended)

    def row(self, cluster: int) -> NDArray[np.int16]:
        """A cluster's similarities, int16 by column, a view; NEVER to those that have ended."""
        row: NDArray[np.int16] = self._cosines[self._row_of[cluster], : self._used]
        gone, used = self._seen[cluster]
        used = max(used, self._written)
        if used < self._used:
            row[used:] = self._cosines[self._row_of[used : self._used], cluster]
        if gone < self._gone:  # last, as what has ended may have left its row to another
            row[self._order[gone : self._gone]] = NEVER
        self._seen[cluster] = self._gone, self._used
        return row

    def end(self, cluster: int) -> None:
        """Let nothing merge with a cluster any more."""
        self.ended[cluster] = True
        self.count -= 1
        self._order[self._gone] = cluster
        self._gone += 1

    def join(self, first: int, second: int) -> None:
        """Make one cluster of two, in the next column; not while `full`. Its similarities are the
        means of theirs, weighted by size (Lance and Williams)."""
        a, b = self.row(first), self.row(second)
        total = self._sizes[first] + self._sizes[second]
        mean = a * (self._sizes[first] / total)
        mean += b * (self._sizes[second] / total)
        never = np.minimum(a, b) == NEVER
        a[:] = np.rint(mean, out=mean)
        np.putmask(a, never, NEVER)
        made = self._used
        self._used += 1
        self.count += 1
        row = self._row_of[made] = self._row_of[first]
        self._sizes[made] = total
        self._cosines[row, made] = NEVER
        self._seen[made] = self._gone, self._used
        self.end(first)
        self.end(second)
        if self._used - self._written == BATCH:
            self._write()

    def _write(self) -> NDArray[np.intp]:
        """Copy the similarities of new clusters, which are in their own rows alone, to all rows.
        Returns the columns of all clusters that have not ended."""
        new = slice(self._written, self._used)
        for cluster in range(self._written, self._used):
            if not self.ended[cluster]:
                self.row(cluster)
        kept = np.flatnonzero(~self.ended[: self._used])
        block = np.take(self._cosines[self._row_of[new]], kept, axis=1)
        block[self.ended[new]] = NEVER
        self._cosines[self._row_of[kept], new] = block.T
        self._written = self._used
        return kept

    def compact(self) -> NDArray[np.intp]:
        """Drop the columns that have ended. Returns the former numbers of the others,
        ascending; in this order they are numbered from 0 now."""
        kept = self._write()
        row_of = self._row_of[kept]
        for row in row_of.tolist():
            self._cosines[row, : len(kept)] = self._cosines[row].take(kept)
        self._restart(row_of, self._sizes[kept])
        return kept
