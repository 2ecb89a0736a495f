"""Grouping: which faces are one person's, first within a video, then over all of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .faces import Faces, Vectors, mean_of
from .linkage import average_linkage
from .representatives import best_of, representatives
from .tracks import TrackLimits, find_tracks, split


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """What joins faces to tracks, and tracks to groups.

    group_similarity: least mean cosine between the tracks of two groups that become one; also least
    cosine of a face to a track whose last box does not overlap its own. track_similarity: least
    cosine to one whose last box does; above group_similarity it has no effect. max_gap: most
    seconds from a face of a track to the next. representatives: most of a group.
    """

    group_similarity: float
    track_similarity: float
    max_gap: float = 2.5
    representatives: int = 5


@dataclass(frozen=True, slots=True)
class Track:
    """faces: places in `Faces`, by time. group: place in `Grouping.groups`. best: see `best_of`.
    embedding: mean of the faces', float32 [dimension], norm 1."""

    faces: list[int]
    group: int
    best: int
    embedding: Vectors


@dataclass(frozen=True, slots=True)
class Group:
    """faces, tracks: places in `Faces` and `Grouping.tracks`, ascending. representatives: some of
    the faces, the best first. embedding: mean of the tracks', float32 [dimension], norm 1."""

    faces: list[int]
    tracks: list[int]
    representatives: list[int]
    embedding: Vectors


@dataclass(frozen=True, slots=True)
class Grouping:
    """Every face is in one track, and every track in one group. tracks: in the order of their first
    faces in `Faces`. groups: by descending number of faces, then in that order."""

    tracks: list[Track]
    groups: list[Group]


def group(
    faces: Faces,
    options: GroupOptions,
    threads: ThreadPoolExecutor,
    checkpoint: Callable[[], object] = lambda: None,
) -> Grouping:
    """Join faces to tracks, and tracks to groups by average linkage: a track counts once, however
    long it is. Two tracks of a source that were seen at one time are never in one group.

    threads: compute products of matrices. checkpoint: called on this thread again and again; what
    it raises ends the work. The same faces in the same order give the same result. Raises
    ValueError for no faces.
    """
    limits = TrackLimits(
        min(options.track_similarity, options.group_similarity),
        options.group_similarity,
        options.max_gap,
    )
    whole = find_tracks(faces, limits, checkpoint)
    parts = (part for track in whole for part in split(faces, track, limits, checkpoint))
    tracks = sorted(parts, key=min)
    means = np.stack([mean_of(faces.embeddings[track]) for track in tracks])
    frames = frames_of(faces)
    labels = average_linkage(
        means,
        options.group_similarity,
        [[frames[face] for face in track if frames[face] >= 0] for track in tracks],
        threads,
        checkpoint,
    )
    members: list[list[int]] = [[] for _ in range(labels.max() + 1)]
    for track, label in enumerate(labels.tolist()):
        members[label].append(track)
    joined = [(sorted(face for one in found for face in tracks[one]), found) for found in members]
    joined.sort(key=lambda pair: (-len(pair[0]), pair[0][0]))
    groups = []
    for of_group, found in joined:
        checkpoint()
        chosen = representatives(faces, of_group, options.representatives, options.group_similarity)
        groups.append(Group(of_group, found, chosen, mean_of(means[found])))
    group_of = {track: number for number, one in enumerate(groups) for track in one.tracks}
    return Grouping(
        [
            Track(found, group_of[number], best_of(faces, found), means[number])
            for number, found in enumerate(tracks)
        ],
        groups,
    )


def frames_of(faces: Faces) -> list[int]:
    """A number for each face, the same for those of one source and time; -1 without a time."""
    timed = ~np.isnan(faces.times)
    frames = np.full(len(faces), -1)
    keys = np.stack([faces.sources[timed].astype(np.float64), faces.times[timed]], axis=1)
    frames[timed] = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return [int(frame) for frame in frames]
