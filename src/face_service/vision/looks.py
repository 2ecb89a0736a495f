"""Looks: which part of a picture the detector is shown, how large, and turned by how much.

A picture that is much larger than the canvas loses its small faces when it is shrunk. Tiles, parts
of it that overlap, show it again in the same canvas at a larger scale, one after the other.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Literal, NamedTuple

import numpy as np

from .blob import Image
from .detections import Detections, Floats

Detail = Literal["auto", "1", "2", "3"]
"""How closely a picture is looked at: as a whole, in tiles of which 2 or 3 lie along its longer
side, or in as many as small faces need."""

MAX_TILES = 20
"""Tiles of a picture at most where `auto` chooses: so many more runs of the detector."""
AUTO_FROM = 3.0
"""Longer side of a picture, in sides of the canvas, above which `auto` makes tiles: on a canvas of
640 a full HD frame is looked at as a whole."""
AUTO_TILE = 2.5
"""Longer side of a tile, in sides of the canvas, that `auto` tries for: a face of 48 pixels has 19
on the canvas then."""
LEAST_OVERLAP = 0.2
"""Of neighbouring tiles, as a share of their longer side."""
SEEN_SMALL = 20.0
"""Pixels of the canvas at which a face is found without fail. One that is smaller than that on the
canvas of the whole picture lies in one of the tiles as a whole: they overlap by as much."""
SMALLEST = 10.0
"""Shorter side of a box, in pixels of the canvas, below which most faces are lost; of 12 and more
nine in ten are found (benchmarks/studies/small_faces.py)."""
AROUND = 3.0
"""Side of the part of a picture around a box (`around`), in longer sides of the box."""
LEAST_TILE = 32
"""Longer side of a tile, in pixels of the picture, below which no tiles are made."""
TOLERANCE = 0.1
"""Share of the distance of neighbouring tiles by which a picture may be higher or wider than its
rows or columns of tiles without getting another."""
EDGE = 2.0
"""Pixels of the canvas from an edge of a tile within which a box ends that the edge has cut."""


class Tile(NamedTuple):
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """The pixels, not copied."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def around(box: Floats, width: int, height: int) -> Tile:
    """The square part of a picture of `width`×`height` around a box (float32 [4]), its side AROUND
    times the box's longer one, cut off at the edges of the picture; a pixel at least."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    reach = AROUND * max(x2 - x1, y2 - y1) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = int(min(max(0, x - reach), width - 1)), int(min(max(0, y - reach), height - 1))
    right, bottom = (
        int(min(width, max(x + reach, left + 1))),
        int(min(height, max(y + reach, top + 1))),
    )
    return Tile(left, top, right - left, bottom - top)


def tiles(width: int, height: int, side: int, detail: Detail) -> list[Tile]:
    """The tiles of a picture of `width`×`height` for a canvas of `side`×`side`, row by row; none
    where it is looked at as a whole alone."""
    if detail != "auto":
        return tiling(width, height, side, int(detail))
    longest, along, found = max(width, height), 1, list[Tile]()
    if longest <= AUTO_FROM * side:
        return found
    while tile_side(longest, side, along) > AUTO_TILE * side:
        along += 1
        finer = tiling(width, height, side, along)
        if len(finer) > MAX_TILES:
            break
        found = finer
    return found


def tiling(width: int, height: int, side: int, along: int) -> list[Tile]:
    """Tiles of which `along` lie along the longer side; none for 1, and where a tile would be
    smaller than LEAST_TILE."""
    tile = tile_side(max(width, height), side, along)
    if along == 1 or tile < LEAST_TILE:
        return []
    shared = overlap(side, along) * tile
    columns, rows = (
        spread(length, max(1, ceil((length - shared) / (tile - shared) - TOLERANCE)), shared)
        for length in (width, height)
    )
    return [Tile(left, top, wide, high) for top, high in rows for left, wide in columns]


def overlap(side: int, along: int) -> float:
    """Overlap of neighbouring tiles as a share of their side: for many tiles more than
    LEAST_OVERLAP, so that it holds a face that is too small on the canvas of the whole picture
    (SEEN_SMALL)."""
    share = SEEN_SMALL / side
    return max(LEAST_OVERLAP, share * along / (1 + share * (along - 1)))


def tile_side(longest: int, side: int, along: int) -> float:
    """The side of `along` tiles that cover a length of `longest` pixels."""
    return longest / (1 + (1 - overlap(side, along)) * (along - 1))


def spread(length: int, count: int, shared: float) -> list[tuple[int, int]]:
    """Where `count` tiles that share `shared` pixels begin on a side of `length` pixels, and how
    long each is."""
    tile = (length + shared * (count - 1)) / count
    starts = [round(number * (length - tile) / max(1, count - 1)) for number in range(count)]
    return [(start, min(length, start + ceil(tile)) - start) for start in starts]


def in_picture(found: Detections, tile: Tile, width: int, height: int, scale: float) -> Detections:
    """What was found in a tile, in pixels of its picture of `width`×`height`, without faces that an
    edge of the tile has cut: they lie in its neighbour. scale: pixels of the canvas for one of
    the picture."""
    shift = np.array([tile.left, tile.top], np.float32)
    margin = EDGE / scale
    low = np.where(shift > 0, margin, -np.inf)
    size = np.array([tile.width, tile.height], np.float32)
    high = np.where(shift + size < (width, height), size - margin, np.inf)
    boxes = found.bboxes
    whole = (boxes[:, :2] >= low).all(axis=1) & (boxes[:, 2:] <= high).all(axis=1)
    kept = found.take(np.flatnonzero(whole))
    bboxes: Floats = kept.bboxes + np.tile(shift, 2)
    return replace(kept, bboxes=bboxes, landmarks=kept.landmarks + shift)


def smallest_face(scale: float) -> float:
    """Shorter side, in pixels of the picture, of the smallest face that may have been found where
    it was shown at `scale`, pixels of the canvas for one of the picture."""
    return SMALLEST / scale
