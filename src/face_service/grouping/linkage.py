"""Average linkage on unit vectors: groups of tracks, from the pairs that are similar enough."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .chain import NEVER, SCALE, merges, room_for
from .faces import Vectors

Labels = NDArray[np.int64]
"""int64 [n]: numbers of clusters or of vectors."""
Checkpoint = Callable[[], object]
Pairs = tuple[Labels, Labels, NDArray[np.float32]]
"""The first and the second clusters of n pairs, and float32 [n]: their mean cosines."""
T = TypeVar("T")
ROWS = 256
"""Rows of cosines computed at once: 10 MB against 10,000 columns."""
AHEAD = 4
"""Blocks of rows that may be computed or waiting beside the one that is used next."""
MAX_PAIRS = 2_000_000
"""Most pairs of clusters that are kept as a list, 40 MB, by which clusters fall into parts that no
pair connects. Beyond, all clusters share one matrix."""
MAX_ROUND = 300_000
"""Most pairs with which a round of `merge_nearest` takes less time than the matrix."""
FEWEST_KEPT = 0.85
"""Another round of `merge_nearest` is worth while if at most this share of the open clusters is
still open after one."""


def average_linkage(
    vectors: Vectors,
    threshold: float,
    frames: Sequence[Sequence[int]],
    threads: ThreadPoolExecutor,
    checkpoint: Checkpoint = lambda: None,
) -> Labels:
    """Cluster `vectors` (float32 [n, dimension], norm 1) bottom up: the two clusters with the
    highest mean cosine between their members merge, as long as it reaches `threshold`.

    frames: the frames in which each vector was seen; two that share one are never in one cluster.
    threads: compute products of matrices. checkpoint: called on this thread again and again; what
    it raises ends the work.

    Returns the cluster of each vector, int64 [n], numbered from 0 by their first members. The mean
    cosine of two clusters is the dot product of their means, and never rises when clusters merge
    (average linkage is reducible). So only pairs that reach the threshold ever matter, and of those
    all merge at once that are each other's nearest. The clusters are those of one merge at a time
    (Murtagh 1983, "A survey of recent advances in hierarchical clustering algorithms").

    Where few merge at once (a very good picture of somebody is the nearest of all others), or where
    there are many pairs, the rest goes by `chain.merges`, on an int16 matrix for each part of the
    clusters that pairs connect.
    """
    if len(vectors) <= ROWS and are_one(vectors, threshold, frames):
        return np.zeros(len(vectors), np.int64)
    clusters = Clusters(vectors, frames)
    clusters.merge_equal()
    if not clusters.find_pairs(threshold, threads, checkpoint):
        clusters.merge_chains(np.unique(clusters.labels), threshold, threads, checkpoint)
        return numbered(clusters.labels)
    left = len(clusters.open())
    while left and clusters.pairs <= MAX_ROUND:
        checkpoint()
        clusters.merge_nearest(threshold, checkpoint)
        before, left = left, len(clusters.open())
        if left > FEWEST_KEPT * before:
            break
    for part in clusters.connected():
        clusters.merge_chains(part, threshold, threads, checkpoint)
    return numbered(clusters.labels)


class Clusters:
    """Clusters of vectors, each under the number of one of its members.

    labels: the cluster of every vector. Pairs of clusters that may merge: `_first` less than
    `_second`, and their mean cosine.
    """

    def __init__(self, vectors: Vectors, frames: Sequence[Sequence[int]]) -> None:
        self.labels = np.arange(len(vectors))
        self._sums = vectors.copy()
        self._sizes = np.ones(len(vectors), np.float32)
        self._in_frame = shared_frames(frames)
        self._frames = [[one for one in seen if one in self._in_frame] for seen in frames]
        self._first = self._second = np.empty(0, np.int64)
        self._cosines = np.empty(0, np.float32)

    @property
    def pairs(self) -> int:
        """Pairs that may merge."""
        return len(self._first)

    def open(self) -> Labels:
        """The clusters that may still merge."""
        found = np.zeros(len(self.labels), bool)
        found[self._first] = found[self._second] = True
        return np.flatnonzero(found)

    def merge_equal(self) -> None:
        """Merge vectors that are equal, and were seen in no frame with another: there may be
        millions of pairs of them."""
        first_of: dict[bytes, int] = {}
        free = [vector for vector, frames in enumerate(self._frames) if not frames]
        first = [first_of.setdefault(self._sums[vector].tobytes(), vector) for vector in free]
        equal = np.array([*zip(first, free, strict=True)], np.int64).reshape(-1, 2)
        self._merge(*equal[equal[:, 0] != equal[:, 1]].T)

    def find_pairs(
        self, threshold: float, threads: ThreadPoolExecutor, checkpoint: Checkpoint
    ) -> bool:
        """Find the pairs that reach the threshold. Returns False, and keeps none, if they are more
        than MAX_PAIRS, or more than a quarter of that in one block of ROWS."""
        clusters = np.unique(self.labels)

        def pairs(start: int, cosines: NDArray[np.float32]) -> Pairs | None:
            square = cosines[:, : len(cosines)]
            square[np.tri(len(square), dtype=bool)] = -np.inf
            near = cosines >= threshold
            if np.count_nonzero(near) > MAX_PAIRS // 4:
                return None
            rows, columns = np.nonzero(near)
            return clusters[start + rows], clusters[start + columns], cosines[rows, columns]

        parts: list[Pairs] = []
        found = 0
        for part in self._upper(clusters, threads, pairs):
            checkpoint()
            if part is None or (found := found + len(part[0])) > MAX_PAIRS:
                return False
            parts.append(part)
        if parts:
            self._first, self._second, self._cosines = map(np.concatenate, zip(*parts, strict=True))
        return True

    def merge_nearest(self, threshold: float, checkpoint: Checkpoint) -> None:
        """Merge the clusters that are each other's nearest, and forget the pairs that no longer
        reach the threshold."""
        best = np.full(len(self.labels), -np.inf, np.float32)
        for side in (self._first, self._second):
            np.maximum.at(best, side, self._cosines)
        place = np.arange(len(self._cosines))
        chosen = np.full(len(self.labels), len(place))
        for side in (self._first, self._second):  # of those equally near the first
            at_best = self._cosines == best[side]
            np.minimum.at(chosen, side[at_best], place[at_best])
        mutual = (chosen[self._first] == place) & (chosen[self._second] == place)
        first, second = self._first[mutual], self._second[mutual]
        self._merge(first, second)
        self._update(first, second, threshold, checkpoint)

    def _update(
        self, first: Labels, second: Labels, threshold: float, checkpoint: Checkpoint
    ) -> None:
        """Bring the pairs up to date after `second` were merged into `first`."""
        count = len(self.labels)
        into = np.arange(count)
        into[second] = first
        one, other = into[self._first], into[self._second]
        keys = np.minimum(one, other) * count + np.maximum(one, other)
        keys, chosen = np.unique(keys[one != other], return_index=True)
        cosines = self._cosines[one != other][chosen]
        pairs = np.stack([keys // count, keys % count])
        changed = np.flatnonzero(np.isin(pairs, first).any(axis=0))
        means = self._sums / self._sizes[:, None]
        starts = np.flatnonzero(np.diff(pairs[0, changed], prepend=-1))
        for some in np.split(changed, starts[1:]):  # a cluster and those paired with it
            checkpoint()
            if some.size:
                cosines[some] = means[pairs[1, some]] @ means[pairs[0, some[0]]]
        kept = (cosines >= threshold) & ~np.isin(keys, self._forbidden(first))
        self._first, self._second = pairs[:, kept]
        self._cosines = cosines[kept]

    def _forbidden(self, clusters: Labels) -> Labels:
        """The keys of pairs of these clusters and those that they share a frame with."""
        found = [np.empty(0, np.int64)]
        for cluster in clusters.tolist():
            if frames := self._frames[cluster]:
                seen = np.concatenate([self._in_frame[one] for one in frames])
                others = np.unique(self.labels[seen])
                low, high = np.minimum(others, cluster), np.maximum(others, cluster)
                found.append(low * len(self.labels) + high)
        return np.concatenate(found)

    def connected(self) -> list[Labels]:
        """The clusters that may still merge, in parts between which there is no pair."""
        part = np.arange(len(self.labels))
        while True:
            least = np.minimum(part[self._first], part[self._second])
            np.minimum.at(part, self._first, least)
            np.minimum.at(part, self._second, least)
            part = part[part]
            if (part[self._first] == part[self._second]).all():
                break
        clusters = self.open()
        ordered = clusters[np.argsort(part[clusters], kind="stable")]
        return np.split(ordered, np.flatnonzero(np.diff(part[ordered])) + 1)

    def merge_chains(
        self,
        clusters: Labels,
        threshold: float,
        threads: ThreadPoolExecutor,
        checkpoint: Checkpoint,
    ) -> None:
        """Merge these clusters, a part of `connected` or all, by `chain.merges`. Changes `labels`
        alone: the sums and the pairs of these clusters no longer hold."""
        count = len(clusters)
        matrix = np.empty((count, room_for(count)), np.int16)

        def write(start: int, cosines: NDArray[np.float32]) -> None:
            square = cosines[:, : len(cosines)]
            np.maximum(square, square.T.copy(), out=square)  # a·b, b·a may differ by rounding
            cosines *= SCALE
            np.maximum(np.rint(cosines, out=cosines), NEVER, out=cosines)
            block = slice(start, start + len(cosines))
            matrix[block, start:count] = cosines
            matrix[start:, block] = matrix[block, start:count].T

        for _ in self._upper(clusters, threads, write):
            checkpoint()
        into = np.arange(len(self.labels))
        merged = merges(matrix, self._sizes[clusters], threshold, checkpoint)
        for first, second in reversed(merged):  # `first` may be merged itself, but later
            into[clusters[second]] = into[clusters[first]]
        self.labels = into[self.labels]

    def _merge(self, first: Labels, second: Labels) -> None:
        np.add.at(self._sums, first, self._sums[second])
        np.add.at(self._sizes, first, self._sizes[second])
        into = np.arange(len(self.labels))
        into[second] = first
        self.labels = into[self.labels]
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            self._frames[a] += self._frames[b]

    def _upper(
        self,
        clusters: Labels,
        threads: ThreadPoolExecutor,
        use: Callable[[int, NDArray[np.float32]], T],
    ) -> Iterator[T]:
        """Yield what `use` returns for each block of ROWS rows of the matrix of mean cosines. It is
        called on the threads with the number of the block's first row and the block, which it may
        change: float32, from the column of that number on, as the matrix is symmetric; -inf where
        two clusters share a frame, and on the diagonal."""
        means = self._sums[clusters] / self._sizes[clusters, None]
        place = np.full(len(self.labels), -1)
        place[clusters] = np.arange(len(clusters))
        frames = set(chain.from_iterable(self._frames[cluster] for cluster in clusters.tolist()))
        places = {frame: place[self.labels[self._in_frame[frame]]] for frame in frames}

        def block(start: int) -> T:
            rows = clusters[start : start + ROWS]
            found: NDArray[np.float32] = means[start : start + ROWS] @ means[start:].T
            found[np.arange(len(rows)), np.arange(len(rows))] = -np.inf
            for row, cluster in enumerate(rows.tolist()):
                for frame in self._frames[cluster]:
                    columns = places[frame]
                    found[row, columns[columns >= start] - start] = -np.inf
            return use(start, found)

        pending: deque[Future[T]] = deque()
        for start in range(0, len(clusters), ROWS):
            pending.append(threads.submit(block, start))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def are_one(vectors: Vectors, threshold: float, frames: Sequence[Sequence[int]]) -> bool:
    """Whether all become one cluster, whatever the order: each vector is near enough to each, so
    that all means are, and no two share a frame. It spares most groups of a library, of which there
    may be a million, the work of `Clusters`."""
    seen = [*chain.from_iterable(frames)]
    return len(set(seen)) == len(seen) and float((vectors @ vectors.T).min(initial=1)) >= threshold


def shared_frames(frames: Sequence[Sequence[int]]) -> dict[int, Labels]:
    """The vectors seen in each frame, for frames that show several."""
    seen_in: dict[int, list[int]] = {}
    for vector, seen in enumerate(frames):
        for frame in seen:
            seen_in.setdefault(frame, []).append(vector)
    return {frame: np.array(seen) for frame, seen in seen_in.items() if len(seen) > 1}


def numbered(labels: Labels) -> Labels:
    """The same clusters, numbered from 0 by their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)
