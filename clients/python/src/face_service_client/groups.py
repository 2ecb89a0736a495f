"""What /embed and /group answer, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ErrorAnswer
from .results import Answered, Floats


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFace:
    """The embedding of one crop or known face (float32 (dimension,), norm 1), or its error.

    file: the file's name in the form. status: the HTTP status that this one alone would have had.
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

    faces: their places in the request, from 0, by time. group: place in `Grouping.groups`. start,
    end: seconds within the source; None for faces without a time. best: place of the face of the
    best quality, or without qualities of the nearest to the mean. embedding: float32 (dimension,)
    of norm 1, the mean of the faces'; None if not asked for.
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

    faces: places in the request, tracks: in `Grouping.tracks`, ascending. representatives: places
    of the best face, then of faces that differ from those before. embedding: float32 (dimension,)
    of norm 1, the mean of the tracks'; None if not asked for.
    """

    faces: tuple[int, ...]
    tracks: tuple[int, ...]
    representatives: tuple[int, ...]
    embedding: Floats | None


@dataclass(frozen=True, slots=True)
class GroupThresholds:
    """The similarities that were applied: cosines, -1 to 1."""

    group_similarity: float
    track_similarity: float


@dataclass(frozen=True, slots=True)
class Grouping(Answered):
    """Every face is in one track, and every track in one group.

    tracks: by their first faces. groups: those of most faces first. track_labels, group_labels: the
    place of each face's track and group in these, in the order of the request.
    """

    tracks: tuple[Track, ...]
    groups: tuple[Group, ...]
    track_labels: tuple[int, ...]
    group_labels: tuple[int, ...]
    thresholds: GroupThresholds
