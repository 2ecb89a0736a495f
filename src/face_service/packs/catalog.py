"""The catalogue: every pack that has a name, file by file.

SHA-256 sums of the InsightFace files are those of the v0.7 release; those of `starter` and `open`
were taken from the packages that registries.py names, that of AuraFace from its file's page on the
hub. `measured_on` of a threshold says on what it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from face_service.errors import PackError
from face_service.packs.entries import CatalogPack
from face_service.packs.insightface import INSIGHTFACE_PACKS, MODEL_ZOO, UNPINNED
from face_service.packs.registries import AURAFACE, OPEN, STARTER

_PACKS = (*INSIGHTFACE_PACKS, STARTER, OPEN, AURAFACE)

CATALOG: Mapping[str, CatalogPack] = MappingProxyType({pack.name: pack for pack in _PACKS})


def find(name: str) -> CatalogPack:
    """The pack of that name. Raises PackError for any other: how to load one of UNPINNED from a
    folder, else the names of the catalogue."""
    if pack := CATALOG.get(name):
        return pack
    if name in UNPINNED:
        raise PackError(
            f"{name} cannot be fetched by its name, because its SHA-256 is not known here: unpack "
            f"{MODEL_ZOO}/{name}.zip into a folder of yours and set INSIGHTFACE_MODEL=./{name}; "
            "its manifest.json says the rest."
        )
    close = get_close_matches(name.lower(), (*CATALOG, *UNPINNED), n=1)
    meant = "".join(f" Did you mean '{other}'?" for other in close)
    raise PackError(
        f"There is no model pack named '{name}'.{meant} Known packs: {', '.join(CATALOG)}. "
        "INSIGHTFACE_MODEL and --model take a folder of ONNX files as a path, such as ./my-models."
    )
