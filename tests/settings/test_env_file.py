"""`.env` files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from face_service.config import load_settings
from face_service.errors import StartupError


@pytest.mark.parametrize(
    "text",
    ['API_KEYS="0123', "API_KEYS: 0123", "API_KEYS 0123", 'API_KEYS="01" 23', "set API_KEYS=0123"],
)
def test_a_line_that_is_no_setting_is_one_sentence_that_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"# keys\n{text}\nPORT=8200\n")
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert f"{tmp_path / '.env'} cannot be understood from line 2 on" in str(caught.value)
    assert "0123" not in str(caught.value)


def test_a_folder_and_a_link_that_leads_nowhere_are_not_the_same_as_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    load_settings()
    (tmp_path / ".env").mkdir()
    with pytest.raises(StartupError, match=r"\.env cannot be read: Is a directory"):
        load_settings()
    (tmp_path / ".env").rmdir()
    (tmp_path / ".env").symlink_to("nowhere")
    with pytest.raises(StartupError, match=r"\.env cannot be read: No such file or directory"):
        load_settings()
