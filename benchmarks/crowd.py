"""Synthetic people, as many as are wanted, as like each other as real ones.

A person is a centre, drawn with the covariance of the embeddings of real photos; a photo is its
centre and noise of the same covariance. Three numbers are fitted to what is measured on the real
photos: how much of the covariance is spread over all directions, which 60 people do not span (by
the standard deviation of the cosines of two people); and the middle and the width of the log-normal
amount of noise (by the median and the 10th percentile of the cosines of one person's photos).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.tools.operating_points import embed_people, people_in
from tests.conftest import SHARED

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def photographed(pack: str, folder: Path = SHARED / "faces" / "lfw") -> tuple[Vectors, Labels]:
    """Embeddings (float32 [n, dimension], norm 1) of photos of people, and whose each is."""
    settings = load_settings(insightface_model=pack)
    return embed_people(load_engine(settings, runtime_config(settings)), people_in(folder))


def cosines(vectors: Vectors, person: Labels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of every two photos of two people, and of one."""
    once = np.triu(np.ones((len(person), len(person)), bool), 1)
    same = person[:, None] == person[None]
    found = vectors @ vectors.T
    return found[once & ~same], found[once & same]


@dataclass(frozen=True)
class Crowd:
    """What synthetic people are drawn from.

    Args:
        mean: float [dimension], of all photos.
        directions: float [dimension, dimension], eigenvectors of their covariance.
        deviations: float [dimension], along these.
        noise: the middle and the width of its log-normal amount.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    deviations: NDArray[np.float64]
    noise: tuple[float, float] = (0.0, 0.0)

    def people(self, count: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Centres: float64 [count, dimension], of any norm."""
        return self.mean + self._draw(count, random)

    def photos(self, centres: NDArray[np.float64], random: np.random.Generator) -> Vectors:
        """One photo of each centre: float32 [n, dimension], norm 1."""
        amount = np.exp(random.normal(*self.noise, (len(centres), 1)))
        found = centres + amount * self._draw(len(centres), random)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    def _draw(self, count: int, random: np.random.Generator) -> NDArray[np.float64]:
        normal = random.standard_normal((count, len(self.mean)), np.float32)
        return normal * self.deviations.astype(np.float32) @ self.directions.T.astype(np.float32)


def like(vectors: Vectors, person: Labels) -> Crowd:
    """A crowd as like each other as these people are."""
    two, one = cosines(vectors, person)
    values, directions = np.linalg.eigh(np.cov(vectors.T.astype(np.float64)))
    values = values.clip(0)
    median, tenth = np.median(one), np.quantile(one, 0.1)

    def crowd(spread: float, middle: float = 0.67, width: float = 0.0) -> Crowd:
        deviations = np.sqrt((1 - spread) * values + spread * values.mean())
        return Crowd(vectors.mean(axis=0), directions, deviations, (np.log(middle), width))

    spread = root(lambda x: two.std() - sample(crowd(x))[0].std())
    width = root(lambda x: (median - tenth) - gap(sample(crowd(spread, 0.67, x))[1]))
    middle = root(lambda x: np.median(sample(crowd(spread, x, width))[1]) - median, 0.3, 1.5)
    return crowd(spread, middle, width)


def gap(one: NDArray[np.float32]) -> np.float32:
    return np.median(one) - np.quantile(one, 0.1)


def sample(crowd: Crowd) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cosines of 400 synthetic people with 4 photos each; always the same ones."""
    random = np.random.default_rng(0)
    centres = np.repeat(crowd.people(400, random), 4, axis=0)
    return cosines(crowd.photos(centres, random), np.repeat(np.arange(400), 4))


def root(f: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
    """Where a function that changes its sign once between two points does so."""
    rises = f(high) > 0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (low, middle) if (f(middle) > 0) == rises else (middle, high)
    return (low + high) / 2


def described(name: str, vectors: Vectors, person: Labels) -> str:
    """A row of a table: the cosines of two people and of one."""
    two, one = cosines(vectors, person)
    cells = [
        two.std(),
        *np.quantile(two, [0.99, 0.999, 0.9999]),
        *np.quantile(one, [0.1, 0.5, 0.9]),
    ]
    return f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"


HEADER = (
    "| Cosines | of two people: deviation | 99 % | 99.9 % | 99.99 % | of one: 10 % | 50 % | 90 % |"
    "\n|---|---|---|---|---|---|---|---|"
)
