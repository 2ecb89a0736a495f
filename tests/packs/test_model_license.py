"""The licence of a pack of InsightFace 2.x."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from face_service.packs.model_license import LARGEST, licence_in

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SIGNED = {
    "license_version": 1,
    "license_id": "IF-1",
    "issuer": "InsightFace",
    "model_id": "raccoon_s",
    "grant": "non-commercial",
    "valid_from": "2026-09-01T00:00:00Z",
    "signature": "c2lnbmF0dXJl",
}
BY = "by MODEL.LICENSE IF-1, whose signature is not checked here"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "MODEL.LICENSE"


def read(path: Path, **fields: object) -> str:
    path.write_text(json.dumps(SIGNED | fields))
    return licence_in(path, "raccoon_s", NOW)


def test_what_it_grants_is_said_and_until_when(path: Path) -> None:
    assert read(path) == f"InsightFace: non-commercial use only, {BY}"
    until = "2027-09-01T00:00:00Z"
    assert (
        read(path, grant="commercial", valid_until=until, customer="somebody")
        == f"InsightFace: commercial use until 2027-09-01, {BY}"
    )


def test_a_licence_that_is_over_or_has_not_begun_grants_nothing(path: Path) -> None:
    over = read(path, grant="commercial", valid_until="2026-11-29T00:00:00Z")
    assert over == f"InsightFace: none any more, commercial until 2026-11-29, {BY}"
    later = read(path, grant="commercial", valid_from="2027-01-01T00:00:00Z")
    assert later == f"InsightFace: none before 2027-01-01, {BY}"


def test_without_one_it_is_for_research_alone(path: Path) -> None:
    assert licence_in(path, "raccoon_s") == (
        "InsightFace: non-commercial research only (the pack has no MODEL.LICENSE)"
    )


def test_one_of_another_pack_or_that_nobody_can_read_is_not_known(path: Path) -> None:
    assert read(path, model_id="raccoon_l") == (
        "not known: MODEL.LICENSE of the pack is for raccoon_l"
    )
    unreadable = "not known: MODEL.LICENSE of the pack is no licence that InsightFace signs"
    assert read(path, grant="everything") == unreadable
    assert read(path, valid_from="soon") == unreadable
    assert read(path, issuer="Somebody") == unreadable
    path.write_text("Apache License\n")
    assert licence_in(path, "raccoon_s") == unreadable
    path.unlink()
    path.symlink_to("nowhere")
    assert licence_in(path, "raccoon_s") == unreadable
    path.unlink()
    path.write_bytes(b" " * (LARGEST + 1))
    assert "has more than 65536 bytes" in licence_in(path, "raccoon_s")
