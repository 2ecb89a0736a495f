"""The catalogue of packs, as /models lists it."""

from __future__ import annotations

from face_service.packs.catalog import CATALOG
from face_service.schemas import ModelFileOut, PackOut, threshold_fields


def known_packs() -> list[PackOut]:
    """Every pack that INSIGHTFACE_MODEL may name, in the order of the catalogue."""
    return [
        PackOut(
            name=pack.name,
            licence=pack.licence,
            embedding_dimension=pack.dimension,
            **threshold_fields(pack.threshold, pack.operating_points),
            files=[
                ModelFileOut(
                    role=file.role,
                    file=file.name,
                    sha256=file.sha256,
                    licence=file.licence,
                )
                for file in pack.files
            ],
        )
        for pack in CATALOG.values()
    ]
