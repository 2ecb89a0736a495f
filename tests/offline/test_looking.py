"""A library is looked at as closely as a request can ask for."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from face_service.packs.pack import Pack
from tests import commands
from tests.conftest import environment_of_servers
from tests.offline.library import write_manifest


def test_old_photos_that_lie_are_found_with_the_options_and_settings_of_the_service(
    four_faces: Path, open_pack: Pack, tmp_path: Path
) -> None:
    lying = np.rot90(cv2.imread(str(four_faces)), 2)
    cv2.imwrite(str(tmp_path / "lying.png"), np.ascontiguousarray(lying))
    manifest = write_manifest(tmp_path / "manifest.csv", [{"id": 1, "uri": "lying.png"}])
    environment = environment_of_servers() | {
        "INSIGHTFACE_MODEL": "open",
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
        "DETAIL": "auto",
    }
    looking = ["--rotations", "auto", "--order", "size", "--max-faces", 3]
    arguments = ["embed", manifest, "--out", "out", "--processes", 1, *looking]
    done = commands.run(arguments, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    (part,) = (tmp_path / "out").glob("part-*")
    options = json.loads(pq.read_schema(part).metadata[b"face_service.options"])
    assert (options["detail"], options["rotations"], options["order"]) == ("auto", "auto", "size")
    assert options["min_score"] is None, "the detector's own, as in the service"
    (row,) = pq.read_table(part).to_pylist()
    faces = row["frames"][0]["faces"]
    assert [face["rotation"] for face in faces] == [180] * 3
    boxes = np.array([face["bbox"] for face in faces])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    assert areas.tolist() == sorted(areas, reverse=True)
