"""Representatives of a group: a few faces that are good, and differ from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .faces import Faces, mean_of

FIT = 0.5
"""Quality from which a face is fit to be stored: `quality.score` of a face that is `usable`."""
ALIKE = 0.95
"""Cosine from which a face adds nothing to another one of the same person."""


def best_of(faces: Faces, members: Sequence[int]) -> int:
    """The face of the best quality, of one or more `members`; an unknown quality counts as 0. Among
    equals, the one that is nearest to the mean of all."""
    if len(members) == 1:  # most groups of strangers: this is most of the time of 10,000
        return members[0]
    chosen = np.asarray(members)
    cosines = faces.embeddings[chosen] @ mean_of(faces.embeddings[chosen])
    quality = np.nan_to_num(faces.quality[chosen])
    return int(chosen[np.lexsort((chosen, -cosines, -quality))[0]])


def representatives(
    faces: Faces, members: Sequence[int], count: int, similarity: float
) -> list[int]:
    """At most `count` of one or more `members`: the best (`best_of`), then again and again the one
    that is least similar to those chosen, until all that are left have a cosine of ALIKE to one.

    Faces of a quality below FIT are left out where there are others, and so are those whose cosine
    to the mean of the group is below `similarity`: what differs most may not belong to it.
    """
    if len(members) == 1:
        return [*members]
    chosen = np.asarray(members)
    fit = chosen[faces.quality[chosen] >= FIT]
    chosen = fit if len(fit) else chosen
    cosines = faces.embeddings[chosen] @ mean_of(faces.embeddings[chosen])
    typical = chosen[cosines >= similarity]
    chosen = typical if len(typical) else chosen
    found = [best_of(faces, chosen.tolist())]
    nearest = faces.embeddings[chosen] @ faces.embeddings[found[0]]
    while len(found) < count and nearest.min() < ALIKE:
        found.append(int(chosen[nearest.argmin()]))
        np.maximum(nearest, faces.embeddings[chosen] @ faces.embeddings[found[-1]], out=nearest)
    return found
