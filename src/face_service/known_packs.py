"""The catalogue of packs, as /models lists it."""

from __future__ import annotations

from face_service.packs.catalog import CATALOG
from face_service.schemas import ModelFileOut, PackOut


def known_packs() -> list[PackOut]:
    """Every pack that INSIGHTFACE_MODEL may name, in the order of the catalogue."""
    return [
        PackOut(
            name=pack.name,
            licence=pack.licence,
            embedding_dimension=pack.dimension,
            same_person_threshold=pack.threshold.same_person,
            threshold_measured_on=pack.threshold.measured_on,
            false_match_rate=pack.threshold.false_match_rate,
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
