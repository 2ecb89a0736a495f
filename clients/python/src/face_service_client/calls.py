"""The calls of the API as data: method, path, body, and how the answer is read; nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from . import bodies, groups, results, status, wire
from .bodies import Body
from .images import AsyncImage, source_of
from .results import Floats
from .wire import Answer

T = TypeVar("T")


class Options(TypedDict, total=False):
    """Options of a call with images; the service's own default for what is left out.

    min_score: least detection score, 0 to 1. max_faces: the first so many in `order`, which is
    "score", "size" or "center"; None for all. min_face_size: least shorter side of a face's box
    inside the image, in pixels. det_size: side of the detector's canvas, in pixels. detail: "auto",
    "1", "2" or "3", how closely the image is looked at. rotations: "auto", "all" or "none", whether
    it is also looked at turned by 90, 180 and 270 degrees. embeddings, attributes (age and gender),
    landmarks, quality, crops: whether they are computed and returned.
    """

    min_score: float
    max_faces: int | None
    order: Literal["score", "size", "center"]
    min_face_size: float
    det_size: int
    detail: Literal["auto", "1", "2", "3"]
    rotations: Literal["auto", "all", "none"]
    embeddings: bool
    attributes: bool
    landmarks: bool
    quality: bool
    crops: bool


class GroupOptions(TypedDict, total=False):
    """Options of a grouping; the service's own default for what is left out.

    group_similarity: least mean cosine, -1 to 1, of the tracks of two groups that become one.
    track_similarity: least cosine of a face to its track where their boxes overlap. max_gap: most
    seconds from a face of a track to the next. representatives: most of a group, 1 to 50. means:
    whether the mean embeddings of tracks and groups are returned.
    """

    group_similarity: float
    track_similarity: float
    max_gap: float
    representatives: int
    means: bool


KnownFace: TypeAlias = results.Face | Floats | Sequence[float] | Sequence[Sequence[float]]
"""Where a face is, in pixels of the image after its EXIF rotation: a Face; its landmarks, (5, 2),
in the order of `Face.landmarks`; or its box, (4,): x1, y1, x2, y2."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how its answer is read.

    accepted: statuses whose answer `parse` reads; any other is an error. retried: False for calls
    that ask for the present state of the service, which are never sent again.
    """

    method: str
    path: str
    parse: Callable[[Answer], T]
    query: Mapping[str, str] | None = None
    body: Body | None = None
    accepted: frozenset[int] = frozenset({200})
    retried: bool = True


def detect(image: AsyncImage, options: Options) -> Call[results.Detection]:
    """POST /detect. Raises, as every call with images, what `source_of` raises."""
    body = bodies.form([("file", source_of(image))])
    return Call("POST", "/detect", wire.detection, query_of(options), body)


def detect_batch(images: Iterable[AsyncImage], options: Options) -> Call[results.Batch]:
    """POST /detect/batch. Raises TypeError for one image."""
    if isinstance(images, (str, bytes)):
        raise TypeError("detect_batch takes several images; for one there is detect")
    body = bodies.form([("files", source_of(image)) for image in images])
    return Call("POST", "/detect/batch", wire.batch, query_of(options), body)


def extract_embedding(image: AsyncImage, options: Options) -> Call[results.Detection]:
    """POST /extract-embedding. An image that is a str is base64 or a `data:` URL, not a path."""
    body = bodies.json_image(image if isinstance(image, str) else source_of(image))
    return Call("POST", "/extract-embedding", wire.detection, query_of(options), body)


def compare(a: AsyncImage, b: AsyncImage, options: Options) -> Call[results.Comparison]:
    """POST /compare, without embeddings unless they are asked for."""
    body = bodies.form([("file_a", source_of(a)), ("file_b", source_of(b))])
    query = query_of({"embeddings": False, **options})
    return Call("POST", "/compare", wire.comparison, query, body)


def embed(crops: Iterable[AsyncImage], crop: bool) -> Call[groups.Embedded]:
    """POST /embed of aligned crops. crop: return them, too. Raises TypeError for one crop."""
    if isinstance(crops, (str, bytes)):
        raise TypeError("embed takes several crops")
    body = bodies.form([("files", source_of(one)) for one in crops])
    return Call("POST", "/embed", wire.embedded, embed_query(crop), body)


def embed_faces(image: AsyncImage, faces: Iterable[KnownFace], crop: bool) -> Call[groups.Embedded]:
    """POST /embed of the faces of an image. crop: return their aligned crops, too. Raises TypeError
    for what is no KnownFace."""
    places = json.dumps([place_of(face) for face in faces]).encode()
    body = bodies.form([("file", source_of(image)), ("faces", source_of(places))])
    return Call("POST", "/embed", wire.embedded, embed_query(crop), body)


def place_of(face: KnownFace) -> dict[str, object]:
    """A KnownFace as JSON: its landmarks, or its box where it has none. Raises TypeError for
    anything else."""
    if isinstance(face, results.Face):
        face = face.bbox if face.landmarks is None else face.landmarks
    if np.shape(face) not in ((5, 2), (4,)):
        raise TypeError("A face is a Face, landmarks of the shape (5, 2), or a box of (4,)")
    return {"bbox" if np.ndim(face) == 1 else "landmarks": np.asarray(face, float).tolist()}


def embed_query(crop: bool) -> dict[str, str]:
    """The query of POST /embed."""
    return {"embedding_format": "base64", "crops": json.dumps(crop)}


def group(
    embeddings: Floats | Sequence[Floats],
    known: Mapping[str, Sequence[object] | npt.NDArray[Any] | None],
    options: GroupOptions,
) -> Call[groups.Grouping]:
    """POST /group. embeddings: (n, dimension). known: what is known of each face, n values by the
    API's name of the field; None where nothing is. Raises ValueError for another shape or number.
    """
    vectors = np.ascontiguousarray(embeddings, np.dtype("<f4"))
    if vectors.ndim != 2:
        raise ValueError(f"Embeddings have the shape (n, dimension), not {vectors.shape}")
    given = {
        name: np.asarray(of_all, object) for name, of_all in known.items() if of_all is not None
    }
    for name, of_all in given.items():
        if len(of_all) != len(vectors):
            raise ValueError(f"{name}: {len(of_all)} of them for {len(vectors)} embeddings")
    faces = [
        {name: of_all[place] for name, of_all in given.items()} for place in range(len(vectors))
    ]
    files = [("embeddings", source_of(vectors.tobytes()))]
    if given:
        files.append(("faces", source_of(json.dumps(faces, default=plain).encode())))
    wanted = dict(options)
    query = {"embedding_format": "base64" if wanted.pop("means", False) else "none"}
    query |= {name: json.dumps(value) for name, value in wanted.items() if value is not None}
    return Call("POST", "/group", wire.grouping, query, bodies.form(files))


def plain(value: Any) -> Any:
    """A value of NumPy as one of JSON."""
    return value.tolist()


def models() -> Call[status.Models]:
    """GET /models."""
    return Call("GET", "/models", wire.models)


def health() -> Call[status.Health]:
    """GET /health; the answer with status 503, of a service that is not ready, is read as well."""
    return Call("GET", "/health", wire.health, accepted=frozenset({200, 503}), retried=False)


def ready() -> Call[bool]:
    """GET /health/ready: True for 200, False for 503."""

    def is_ready(answer: Answer) -> bool:
        return answer.status == 200

    return Call("GET", "/health/ready", is_ready, accepted=frozenset({200, 503}), retried=False)


def query_of(options: Options) -> dict[str, str]:
    """Options as query parameters, without those that are None. Embeddings are asked for as base64,
    which takes half the bytes of JSON numbers."""
    given = {name: value for name, value in options.items() if value is not None}
    embeddings = given.pop("embeddings", True)
    query = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }
    return {"embedding_format": "base64" if embeddings else "none", **query}
