"""`MODEL.LICENSE` of a pack of InsightFace 2.x, in one line.

    {
      "license_version": 1, "license_id": "…", "issuer": "InsightFace", "model_id": "raccoon_s",
      "grant": "non-commercial", "valid_from": "2026-09-01T00:00:00Z", "signature": "…"
    }

Fields are those of `model_zoo/model_license.py` of insightface 2.1, which checks the signature
too. Here it is not checked: what the file says is shown, and decides nothing.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

LARGEST = 64 << 10
"""Most bytes of a licence that insightface reads."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class _Licence(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    license_version: Literal[1]
    license_id: Words
    issuer: Literal["InsightFace"]
    model_id: Words
    grant: Literal["commercial", "non-commercial"]
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = None
    signature: Words


def licence_in(path: Path, model_id: str, now: datetime | None = None) -> str:
    """In a line of text: what the licence in `path` grants for the pack `model_id`, and until when.

    Without the file it says non-commercial research, as insightface does; where the file cannot be
    read or is of another pack, `not known`, and why. now: a time with a time zone; None for this
    moment.
    """
    if not os.path.lexists(path):
        return f"InsightFace: non-commercial research only (the pack has no {path.name})"
    try:
        if path.stat().st_size > LARGEST:
            return f"not known: {path.name} of the pack has more than {LARGEST} bytes"
        licence = _Licence.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return f"not known: {path.name} of the pack is no licence that InsightFace signs"
    if licence.model_id != model_id:
        return f"not known: {path.name} of the pack is for {licence.model_id}"
    said = f"by {path.name} {licence.license_id}, whose signature is not checked here"
    moment, until = now or datetime.now(UTC), licence.valid_until
    if moment < licence.valid_from:
        return f"InsightFace: none before {licence.valid_from:%Y-%m-%d}, {said}"
    if until and moment >= until:
        return f"InsightFace: none any more, {licence.grant} until {until:%Y-%m-%d}, {said}"
    use = "commercial use" if licence.grant == "commercial" else "non-commercial use only"
    return f"InsightFace: {use}{f' until {until:%Y-%m-%d}' if until else ''}, {said}"
