"""How right are the people of `benchmarks.tagging`'s clips: faces joined within a clip, and unknown
people over all of them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.studies.grouping import precision_and_recall
from tests.platform.backend import Backend

FACES = """
    SELECT a.id, a.video_id, coalesce(a.group_id, -a.id), d.frame_ms, (d.bbox[1] + d.bbox[3]) / 2,
      (d.bbox[2] + d.bbox[4]) / 2
    FROM video_face_detections d
    JOIN video_tracks t ON t.id = d.track_id JOIN appearances a ON a.id = t.appearance_id"""
SCENE_MS, TRAVEL = 2000, 40
"""Of a clip: how long two photos are seen, and by how many pixels they move in that time."""
NEAR = 45
"""Pixels from the middle of a photo, where its person is; other faces are somebody else's."""


def print_grouping(
    backend: Backend, shown: Mapping[int, Sequence[str]], enrolled: set[str]
) -> None:
    """Pairwise precision and recall. shown: of each video, who is seen, two at a time."""
    people: dict[int, Counter[str]] = {}
    group_of: dict[int, int] = {}
    faces: list[tuple[int, str]] = []
    for row in backend.query(FACES):
        appearance, video, group, ms = map(int, row[:4])
        x, y = float(row[4]) - TRAVEL * (ms % SCENE_MS) / SCENE_MS, float(row[5])
        place = int(x > 320)  # the photos of 250×250 begin at (20, 60) and (340, 60)
        if max(abs(x - (145 + 320 * place)), abs(y - 185)) > NEAR:
            continue
        name = shown[video][2 * (ms // SCENE_MS) + place]
        people.setdefault(appearance, Counter())[name] += 1
        group_of[appearance] = group
        faces.append((appearance, f"{video} {name}"))
    say("faces joined within clips", faces)
    persons = {one: names.most_common(1)[0][0] for one, names in people.items()}
    unknown = [
        (group_of[one], name)
        for one, name in persons.items()
        if group_of[one] > 0 or name not in enrolled
    ]
    say("unknown people grouped over clips", unknown)


def say(what: str, grouped: Sequence[tuple[int, str]]) -> None:
    """One line for pairs of a group's number and whose it is."""
    labels, names = zip(*grouped, strict=True)
    person = np.unique(names, return_inverse=True)[1]
    precision, recall = precision_and_recall(np.array(labels), person)
    count = f"{len(grouped)} in {len(set(labels))} groups, {len(set(names))} people"
    print(f"{what}: {count}, pairwise precision {precision:.4f}, recall {recall:.4f}")
