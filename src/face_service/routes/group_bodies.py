"""Bodies of POST /group: embeddings, and what is known of the faces, to arrays.

Everything here may take tens of milliseconds: call it off the event loop. `dimension`: numbers of
an embedding of the loaded pack. `limit`: most faces, MAX_GROUP_FACES.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray
from pydantic import TypeAdapter

from face_service.errors import InvalidRequest
from face_service.grouping.faces import Faces
from face_service.routes.json_bodies import parsed, refuse_excess, validated
from face_service.schemas.grouping import FaceToGroup, GroupRequest, SeenFace

MAX_NUMBERS = 1_000_000
"""Most numbers of a body's embeddings that are sent as arrays: each becomes a Python object. In
base64 they are not counted."""
Described = tuple[Faces, Sequence[SeenFace], dict[str, Any]]
"""Faces, what is known of each, and the options that are set beside them."""
FIELDS = 8
"""Commas that a face needs at most, beside those within its embedding."""

REQUEST = TypeAdapter(GroupRequest)
SEEN = TypeAdapter(list[SeenFace])
NOTHING_KNOWN = SeenFace.model_validate({})


def faces_of_json(body: bytes, dimension: int, limit: int) -> Described:
    """The faces of a JSON body, and the options that are set in it. Raises InvalidRequest."""
    refuse_excess(body, MAX_NUMBERS + FIELDS * limit, limit)
    request = validated(REQUEST, parsed(body))
    refuse_many(len(request.faces), limit)
    rows = [vector_of(face, place, dimension) for place, face in enumerate(request.faces)]
    options = request.model_dump(exclude={"faces"}, exclude_unset=True)
    return as_faces(np.stack(rows), request.faces), request.faces, options


def faces_of_bytes(
    embeddings: bytes, described: bytes | None, dimension: int, limit: int
) -> Described:
    """Faces whose embeddings are float32, little-endian, one after the other; `described`: JSON, an
    object for each. Raises InvalidRequest."""
    count, rest = divmod(len(embeddings), 4 * dimension)
    if rest or not count:
        raise InvalidRequest(
            f"embeddings: {len(embeddings)} bytes are no whole number of embeddings of {dimension} "
            "float32"
        )
    refuse_many(count, limit)
    vectors = np.frombuffer(embeddings, np.dtype("<f4")).reshape(count, dimension)
    seen = [NOTHING_KNOWN] * count
    if described is not None:
        refuse_excess(described, FIELDS * limit, limit)
        seen = validated(SEEN, parsed(described), "faces")
    if len(seen) != count:
        raise InvalidRequest(f"faces: describes {len(seen)} faces, there are {count} embeddings")
    return as_faces(vectors, seen), seen, {}


def refuse_many(count: int, limit: int) -> None:
    """Raise InvalidRequest for more faces than MAX_GROUP_FACES."""
    if count > limit:
        raise InvalidRequest(f"{count} faces are more than the {limit} of MAX_GROUP_FACES")


def vector_of(face: FaceToGroup, place: int, dimension: int) -> NDArray[np.float32]:
    """The embedding of a face as it was sent, float32 [dimension] of any norm. place: the face's
    index. Raises InvalidRequest where it is not base64 of float32 or has another length."""
    if isinstance(face.embedding, str):
        try:
            data = pybase64.b64decode(face.embedding, validate=True)
            vector = np.frombuffer(data, np.dtype("<f4"))
        except ValueError as error:
            raise InvalidRequest(
                f"faces.{place}.embedding is not base64 of float32: {error}"
            ) from error
    else:
        with np.errstate(over="ignore"):
            vector = np.array(face.embedding, np.float32)
    if len(vector) != dimension:
        raise InvalidRequest(
            f"faces.{place}.embedding has {len(vector)} numbers, those of the loaded pack have "
            f"{dimension}"
        )
    return vector


def as_faces(vectors: NDArray[np.float32], seen: Sequence[SeenFace]) -> Faces:
    """Faces with embeddings of norm 1, from `vectors`, float32 [n, dimension] of any norm. Raises
    InvalidRequest for one that is zero or not finite."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if bad.size:
        raise InvalidRequest(
            f"faces.{bad[0]}.embedding is zero or holds what is no number: no face has that"
        )
    sources: dict[str | None, int] = {}
    unknown = (np.nan,) * 4
    return Faces(
        embeddings=(vectors / norms[:, None]).astype(np.float32),
        times=np.array([np.nan if one.time is None else one.time for one in seen], np.float64),
        boxes=np.array([one.bbox or unknown for one in seen], np.float32).reshape(-1, 4),
        quality=np.array(
            [np.nan if one.quality is None else one.quality for one in seen], np.float32
        ),
        sources=np.array([sources.setdefault(one.source, len(sources)) for one in seen], np.int64),
    )
