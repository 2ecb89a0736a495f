"""What /embed and /group answer, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ErrorAnswer
from .results import Answered, Floats


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFace:
    """The embedding of one crop or known face (float32 (512,), length 1), or its error.

    crop: what was embedded, as JPEG; None if it was not asked for.
    """

    file: str | None
    status: int
    embedding: Floats | None
    crop: bytes | None
    error: ErrorAnswer | None


@dataclass(frozen=True, slots=True)
class Embedded(Answered):
    """One result for each crop or face, in their order."""

    results: tuple[EmbeddedFace, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Faces of consecutive frames of one source that are one person's, by time.

    faces: their places in the request. group: place in `groups`. start, end: seconds. best: the
    face of the best quality. embedding: float32 (512,), the mean, None if not asked for.
    """

    faces: tuple[int, ...]
    group: int
    source: str | None
    start: float | None
    end: float | None
    best: int
    embedding: Floats | None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Tracks that are taken for one person's.

    faces, tracks: places, ascending. representatives: the best face, then such as differ.
    embedding: float32 (512,), the mean of the tracks', None if not asked for.
    """

    faces: tuple[int, ...]
    tracks: tuple[int, ...]
    representatives: tuple[int, ...]
    embedding: Floats | None


@dataclass(frozen=True, slots=True)
class GroupThresholds:
    """The similarities that were applied."""

    group_similarity: float
    track_similarity: float


@dataclass(frozen=True, slots=True)
class Grouping(Answered):
    """Every face is in one track, and every track in one group.

    track_labels, group_labels: of each face, in the order of the request.
    """

    tracks: tuple[Track, ...]
    groups: tuple[Group, ...]
    track_labels: tuple[int, ...]
    group_labels: tuple[int, ...]
    thresholds: GroupThresholds
