"""The shape of every face of ../shared/faces as MediaPipe sees it: a second opinion on poses.

    uv run --no-project --python 3.11 --with mediapipe==0.10.21 \\
        python benchmarks/studies/mediapipe_meshes.py meshes.npz

Runs in an environment of its own, which that line makes; the wheel holds the network (Face Mesh,
Apache-2.0). Writes `names` [n], `meshes` float32 [n, 468, 3]: x to the right, y down, z towards
the viewer, in pixels of the photo, and `triangles` [m, 3] of the mesh. Photos without a face are
left out.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import cv2
import mediapipe
import numpy as np

PHOTOS = Path(__file__).resolve().parents[3] / "shared/faces/lfw"
GROWN = 500
"""Photos are enlarged to this side: Face Mesh's own detector likes faces that are not small."""

mesh_of = mediapipe.solutions.face_mesh


def triangles() -> np.ndarray:
    """The cycles of three among the edges that are drawn."""
    after = defaultdict(set)
    for a, b in mesh_of.FACEMESH_TESSELATION:
        after[a].add(b)
    found = {
        tuple(sorted((a, b, c))) for a in after for b in after[a] for c in after[b] if a in after[c]
    }
    return np.array(sorted(found))


def main() -> None:
    """Write the file named on the command line."""
    names, meshes = [], []
    with mesh_of.FaceMesh(
        static_image_mode=True, max_num_faces=4, min_detection_confidence=0.3
    ) as find:
        for path in sorted(PHOTOS.glob("*/*.jpg")):
            photo = cv2.imread(str(path))
            side = photo.shape[0]
            grown = cv2.resize(photo, (GROWN, GROWN), interpolation=cv2.INTER_CUBIC)
            found = find.process(cv2.cvtColor(grown, cv2.COLOR_BGR2RGB)).multi_face_landmarks or ()
            points = [np.array([(p.x, p.y, -p.z) for p in face.landmark]) * side for face in found]
            if points:
                middle = [np.abs(mesh[:, :2].mean(axis=0) - side / 2).sum() for mesh in points]
                names.append(str(path.relative_to(PHOTOS)))
                meshes.append(points[int(np.argmin(middle))])
    np.savez_compressed(sys.argv[1], names=names, meshes=np.float32(meshes), triangles=triangles())
    print(f"{len(names)} photos")


if __name__ == "__main__":
    main()
