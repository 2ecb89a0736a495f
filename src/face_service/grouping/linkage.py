"""Average linkage on unit vectors: groups of tracks, without a matrix of all similarities."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .chain import NEVER, SCALE, merges
from .faces import Vectors

T = TypeVar("T")
Labels = NDArray[np.int64]
ROWS = 256
"""Rows of similarities computed at once: 10 MB against 10,000 columns."""
FEWEST_KEPT = 0.85
"""Share of the clusters that may be left after a round for another one to be worth while."""
AHEAD = 4
"""Blocks of rows that are computed ahead, on as many threads."""


def average_linkage(
    vectors: Vectors,
    threshold: float,
    frames: Sequence[Sequence[int]],
    threads: ThreadPoolExecutor,
    checkpoint: Callable[[], object] = lambda: None,
) -> Labels:
    """Cluster `vectors` (float32 [n, dimension], norm 1) bottom up: the two clusters with the
    highest mean cosine between their members merge, as long as it reaches `threshold`.

    frames: the frames in which each vector was seen; two that share one never meet in a cluster.
    threads: multiply matrices. checkpoint: called every few milliseconds; what it raises ends the
    work.

    Returns the cluster of each vector, numbered from 0 by their first members. The mean cosine of
    two clusters is the product of their means, and never rises when clusters merge (average linkage
    is reducible): all that are each other's nearest may merge at once, and one whose nearest is
    below the threshold is complete. The clusters are those of one merge at a time (Murtagh 1983, "A
    survey of recent advances in hierarchical clustering algorithms").

    Products of means are quick as long as many merge at once. Where one is the nearest of all
    others (a very good picture of somebody), the rest goes by `chain.merges`, on a matrix of
    2 bytes for each pair of clusters that are left.
    """
    clusters = Clusters(vectors, frames)
    stale, left = clusters.merge_equal(), len(vectors)
    while len(stale):
        clusters.find_nearest(stale, threads, checkpoint)
        clusters.complete_below(threshold)
        stale = clusters.merge_mutual()
        before, left = left, clusters.growing
        if left > FEWEST_KEPT * before:
            clusters.merge_chains(threshold, threads, checkpoint)
            break
    return numbered(clusters.labels)


class Clusters:
    """Clusters of vectors, each under the number of one of its members.

    labels: the cluster of every vector.
    """

    def __init__(self, vectors: Vectors, frames: Sequence[Sequence[int]]) -> None:
        count = len(vectors)
        self.labels = np.arange(count)
        self._sums = vectors.copy()
        self._sizes = np.ones(count, np.float32)
        self._growing = np.ones(count, bool)
        self._nearest = np.zeros(count, np.int64)
        self._similarity = np.full(count, -np.inf, np.float32)
        self._in_frame = shared_frames(frames)
        self._frames = [[one for one in seen if one in self._in_frame] for seen in frames]

    def merge_equal(self) -> Labels:
        """Merge vectors that are equal, and were seen in no frame with another. Returns the
        clusters there are. One by one, all would be looked at anew for each."""
        first_of: dict[bytes, int] = {}
        free = [vector for vector, frames in enumerate(self._frames) if not frames]
        first = [first_of.setdefault(self._sums[vector].tobytes(), vector) for vector in free]
        equal = np.array([*zip(first, free, strict=True)], np.int64).reshape(-1, 2)
        self._merge(*equal[equal[:, 0] != equal[:, 1]].T)
        return np.flatnonzero(self._growing)

    @property
    def growing(self) -> int:
        """How many may still merge."""
        return int(np.count_nonzero(self._growing))

    def find_nearest(
        self, rows: Labels, threads: ThreadPoolExecutor, checkpoint: Callable[[], object]
    ) -> None:
        """Find the nearest of the clusters in `rows`, among those that still grow."""
        columns = np.flatnonzero(self._growing)
        symmetric = 2 * len(rows) > len(columns)  # every product serves two, which is cheaper
        rows = columns if symmetric else rows
        self._similarity[rows] = -np.inf
        for start, found in self._cosines(rows, columns, symmetric, threads):
            checkpoint()
            block, skipped = rows[start : start + ROWS], start if symmetric else 0
            self._note(block, found, columns[skipped:])
            if symmetric and (below := columns[skipped + len(block) :]).size:
                self._note(below, found[:, len(block) :].T, block)

    def merge_chains(
        self, threshold: float, threads: ThreadPoolExecutor, checkpoint: Callable[[], object]
    ) -> None:
        """Merge all that is to merge."""
        columns = np.flatnonzero(self._growing)
        matrix = np.empty((len(columns), len(columns)), np.int16)
        for start, found in self._cosines(columns, columns, True, threads):
            checkpoint()
            square = found[:, : len(found)]
            np.maximum(square, square.T.copy(), out=square)  # rounding depends on the place
            scaled = np.where(np.isinf(found), NEVER, np.rint(found * SCALE)).astype(np.int16)
            block = slice(start, start + len(found))
            matrix[block, start:], matrix[start:, block] = scaled, scaled.T
        for first, second in merges(matrix, self._sizes[columns], threshold, checkpoint):
            self._merge(columns[[first]], columns[[second]])

    def _cosines(
        self, rows: Labels, columns: Labels, symmetric: bool, threads: ThreadPoolExecutor
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Blocks of ROWS of the mean cosines of `rows` and `columns`, and where each begins;
        without the columns before it where they are `symmetric`."""
        means = self._sums[columns] / self._sizes[columns, None]
        place = np.full(len(self.labels), -1)
        place[columns] = np.arange(len(columns))

        def block(start: int) -> tuple[int, NDArray[np.float32]]:
            skipped = start if symmetric else 0
            chosen = rows[start : start + ROWS]
            found = means[place[chosen]] @ means[skipped:].T
            self._exclude(found, chosen, place - skipped)
            return start, found

        return ahead(threads, block, range(0, len(rows), ROWS))

    def complete_below(self, threshold: float) -> None:
        """No longer look at clusters whose nearest is below `threshold`: it stays so."""
        self._growing &= self._similarity >= threshold

    def merge_mutual(self) -> Labels:
        """Merge clusters that are each other's nearest. Returns those whose nearest has changed."""
        growing = np.flatnonzero(self._growing)
        nearest = self._nearest[growing]
        there = self._growing[nearest]  # rounding may have completed one of two
        mutual = there & (self._nearest[nearest] == growing) & (growing < nearest)
        if there.any() and not mutual.any():  # rounding made a ring of clusters equally near
            mutual[np.argmax(np.where(there, self._similarity[growing], -np.inf))] = True
        changed = ~self._growing
        self._merge(growing[mutual], nearest[mutual])
        changed[growing[mutual]] = changed[nearest[mutual]] = True
        growing = np.flatnonzero(self._growing)
        return growing[changed[growing] | changed[self._nearest[growing]]]

    def _merge(self, first: Labels, second: Labels) -> None:
        np.add.at(self._sums, first, self._sums[second])
        np.add.at(self._sizes, first, self._sizes[second])
        self._growing[second] = False
        into = np.arange(len(self.labels))
        into[second] = first
        self.labels = into[self.labels]
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            self._frames[a] += self._frames[b]

    def _exclude(self, found: NDArray[np.float32], block: Labels, place: Labels) -> None:
        """No cluster is near itself, or one that it shares a frame with."""
        found[np.arange(len(block)), place[block]] = -np.inf
        for row, cluster in enumerate(block.tolist()):
            if frames := self._frames[cluster]:
                seen = list(chain.from_iterable(self._in_frame[one] for one in frames))
                columns = place[self.labels[seen]]
                found[row, columns[columns >= 0]] = -np.inf

    def _note(self, rows: Labels, found: NDArray[np.float32], columns: Labels) -> None:
        """Note what is nearer to `rows` than what was."""
        best = found.argmax(axis=1)
        similarity = found[np.arange(len(rows)), best]
        better = similarity > self._similarity[rows]
        self._nearest[rows[better]] = columns[best[better]]
        self._similarity[rows[better]] = similarity[better]


def ahead(
    threads: ThreadPoolExecutor, call: Callable[[int], T], arguments: Sequence[int]
) -> Iterator[T]:
    """The results of calls on other threads, in order; no more than AHEAD wait to be taken."""
    pending: deque[Future[T]] = deque()
    for argument in arguments:
        pending.append(threads.submit(call, argument))
        if len(pending) > AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def shared_frames(frames: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """The vectors in each frame that shows several."""
    seen_in: dict[int, list[int]] = {}
    for vector, seen in enumerate(frames):
        for frame in seen:
            seen_in.setdefault(frame, []).append(vector)
    return {frame: vectors for frame, vectors in seen_in.items() if len(vectors) > 1}


def numbered(labels: Labels) -> Labels:
    """The same clusters, numbered from 0 by their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
