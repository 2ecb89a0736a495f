"""Operating points of a pack, measured on photos of people: a folder for each person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_service.errors import InvalidRequest
from face_service.face_engine import Embedding, FaceEngine, Options
from face_service.thresholds import IdentificationPoint, OperatingPoints, VerificationPoint
from face_service.tools.evaluation import main_face
from face_service.tools.photos import photos_in, read_photo

FALSE_MATCH_RATES = (0.01, 0.001, 0.0001)
FALSE_POSITIVE_RATES = (0.1, 0.01)
"""Of pairs of two people, and of strangers: the shares that are to reach a similarity."""
GALLERIES = (5, 20)
"""Numbers of people against whom strangers are measured, besides everybody but the stranger."""
EXTRAPOLATED = (1_000, 10_000)
"""Numbers of people for which the similarity is extrapolated."""
DRAWS = 300
"""Galleries that are drawn at random for each of GALLERIES."""
TAIL = 0.01
"""Share of the similarities, the highest ones, from whose distribution is extrapolated."""
LEAST_PEOPLE = 25
"""People with two photos or more that operating points are measured on."""

Cosines = NDArray[np.float64]
"""float64 [n, n], of each photo with each; `reached_by` takes any shape."""


def people_in(folder: Path) -> dict[str, list[Path]]:
    """The photos of each person by the name of their folder in `folder`, without people who have
    fewer than two. Raises InvalidRequest where fewer than LEAST_PEOPLE are left."""
    people = {
        person.name: photos_in(person) for person in sorted(folder.iterdir()) if person.is_dir()
    }
    found = {name: photos for name, photos in people.items() if len(photos) > 1}
    if len(found) < LEAST_PEOPLE:
        raise InvalidRequest(
            f"{folder} has folders of {len(found)} people with two photos or more, "
            f"{LEAST_PEOPLE} are needed"
        )
    return found


def embed_people(
    engine: FaceEngine,
    people: Mapping[str, Sequence[Path]],
    advance: Callable[[], object] = lambda: None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The embeddings of the main faces (float32 [n, dimension]) and the number of each one's
    person (int64 [n], from 0 on, none left out). Photos without a face are left out, and so are
    people who have fewer than two with one. advance: called after each photo. Raises InvalidRequest
    for a photo that cannot be read, and where fewer than LEAST_PEOPLE are left."""
    found: list[list[Embedding]] = []
    for photos in people.values():
        embeddings = []
        for photo in photos:
            image = read_photo(photo)
            faces = engine.analyse_image(image, Options(attributes=False))
            if faces and (embedding := main_face(faces, image).embedding) is not None:
                embeddings.append(embedding)
            advance()
        if len(embeddings) > 1:
            found.append(embeddings)
    if len(found) < LEAST_PEOPLE:
        raise InvalidRequest(
            f"{len(found)} people have two photos or more on which a face is found, "
            f"{LEAST_PEOPLE} are needed"
        )
    person = np.repeat(np.arange(len(found)), [len(embeddings) for embeddings in found])
    return np.concatenate(found), person


def measure_operating_points(
    embeddings: NDArray[np.float32], person: NDArray[np.int64], name: str
) -> OperatingPoints:
    """The operating points of embeddings (float32 [n, dimension], norm 1) whose people are known.

    person: int64 [n], numbers from 0 on, none left out. name: of the photos, for `measured_on`.
    Raises ValueError where a number below the largest is left out.
    """
    cosines = embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    same = person[:, None] == person[None]
    once = np.triu(np.ones_like(same), 1)
    impostors, genuine = cosines[once & ~same], cosines[once & same]
    verification = tuple(
        VerificationPoint(rate, shown(least), round(float(np.mean(genuine >= least)), 4))
        for rate in FALSE_MATCH_RATES
        for least in [reached_by(impostors, rate)]
    )
    count = int(person.max()) + 1
    return OperatingPoints(
        measured_on=(
            f"{name}: {len(person)} photos of {count} people, "
            f"{len(genuine):,} pairs of one person, {len(impostors):,} of two"
        ),
        verification=verification,
        identification=(*measured(cosines, person, count), *extrapolated(cosines, person, count)),
    )


def measured(cosines: Cosines, person: NDArray[np.int64], count: int) -> list[IdentificationPoint]:
    """Strangers against galleries, which have all photos of their people: DRAWS at random for each
    of GALLERIES, and everybody but the stranger. count: number of people."""
    random = np.random.default_rng(0)
    points = []
    for size in (*GALLERIES, count - 1):
        draws = (
            [random.permutation(count)[:size] for _ in range(DRAWS)]
            if size < count - 1
            else [np.delete(np.arange(count), one) for one in range(count)]
        )
        inside = [np.isin(person, gallery) for gallery in draws]
        nearest = np.concatenate([cosines[np.ix_(~one, one)].max(axis=1) for one in inside])
        points += [
            IdentificationPoint(size, rate, shown(reached_by(nearest, rate)), True)
            for rate in FALSE_POSITIVE_RATES
        ]
    return points


def extrapolated(
    cosines: Cosines, person: NDArray[np.int64], count: int
) -> list[IdentificationPoint]:
    """Strangers against EXTRAPOLATED people, more than there are: the highest similarities of a
    stranger and a person are taken to fall off exponentially, and those of different people to be
    independent. count: number of people."""
    to_person = np.stack([cosines[:, person == one].max(axis=1) for one in range(count)], axis=1)
    strangers = to_person[person[:, None] != np.arange(count)[None]]
    start = reached_by(strangers, TAIL)
    scale = float(np.mean(strangers[strangers >= start] - start))
    return [
        IdentificationPoint(size, rate, shown(start + scale * np.log(TAIL / each)), False)
        for size in EXTRAPOLATED
        for rate in FALSE_POSITIVE_RATES
        for each in [1 - (1 - rate) ** (1 / size)]
    ]


def reached_by(similarities: Cosines, share: float) -> float:
    """The highest of `similarities` that at least a `share` of them, 0..1, reaches."""
    return float(np.quantile(similarities, 1 - share, method="higher"))


def shown(similarity: float) -> float:
    """A similarity rounded up to a thousandth, so that no more pairs reach it than before."""
    return float(np.ceil(similarity * 1000) / 1000)
