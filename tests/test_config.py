"""Settings: where they come from, and the sentence a bad one gets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from face_service.config import Settings, load_settings, setting_warnings
from face_service.errors import StartupError
from face_service.settings.renamed import RENAMED
from tests.server import Server

ORIGINAL_DEFAULTS = {
    "host": "0.0.0.0",
    "port": 8100,
    "onnx_providers": ("CPUExecutionProvider",),
    "insightface_model": "buffalo_l",
    "det_size": 640,
    "log_level": "INFO",
    "model_cache_dir": Path("./models"),
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No `.env`, no variables."""
    monkeypatch.chdir(tmp_path)
    for name in [*Settings.model_fields, *RENAMED]:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def test_defaults_are_those_of_the_specification() -> None:
    settings = load_settings()
    assert {name: getattr(settings, name) for name in ORIGINAL_DEFAULTS} == ORIGINAL_DEFAULTS


def test_the_environment_wins_over_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("PORT=8200\nDET_SIZE=320\nSOMEBODY_ELSES=1\n")
    monkeypatch.setenv("PORT", "8300")
    settings = load_settings()
    assert (settings.port, settings.det_size) == (8300, 320)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_MIRROR", "")
    assert load_settings().model_mirror is None


def test_providers_are_comma_separated_and_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX_PROVIDERS", "ROCMExecutionProvider, CPUExecutionProvider")
    assert load_settings().onnx_providers == ("ROCMExecutionProvider", "CPUExecutionProvider")


def test_auto_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNX_PROVIDERS", "auto")
    assert load_settings().onnx_providers == ("auto",)
    monkeypatch.setenv("ONNX_PROVIDERS", "auto,CPUExecutionProvider")
    with pytest.raises(StartupError, match="or auto alone"):
        load_settings()


def test_options_of_providers_are_json_and_booleans_as_each_spells_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = {
        "CUDAExecutionProvider": {"gpu_mem_limit": 2147483648, "use_tf32": True},
        "CoreMLExecutionProvider": {"RequireStaticInputShapes": False},
        "TensorrtExecutionProvider": {"trt_op_types_to_exclude": "TopK"},
    }
    monkeypatch.setenv("ONNX_PROVIDER_OPTIONS", json.dumps(content))
    assert load_settings().onnx_provider_options == {
        "CUDAExecutionProvider": {"gpu_mem_limit": "2147483648", "use_tf32": "True"},
        "CoreMLExecutionProvider": {"RequireStaticInputShapes": "0"},
        "TensorrtExecutionProvider": {"trt_op_types_to_exclude": "TopK"},
    }


def test_log_level_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert load_settings().log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "70000", "a whole number from 0 to 65,535"),
        ("PORT", "http", "a whole number from 0 to 65,535"),
        ("DET_SIZE", "641", "a whole number from 64 to 2,048, a multiple of 32"),
        ("DET_SIZE", "32", "a whole number from 64 to 2,048, a multiple of 32"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO, WARNING, ERROR"),
        ("ONNX_PROVIDERS", "GPU", "a comma-separated list, each once, of CPUExecutionProvider"),
        ("ONNX_PROVIDERS", ",", "a comma-separated list"),
        ("ONNX_PROVIDER_OPTIONS", "{", "JSON such as {"),
        ("ONNX_PROVIDER_OPTIONS", "[1]", "options by provider, such as {"),
        ("ONNX_PROVIDER_OPTIONS", '{"CUDA": {}}', "CUDA is none of CPUExecutionProvider"),
        (
            "ONNX_PROVIDER_OPTIONS",
            '{"CUDAExecutionProvider": {"gpu_mem_limt": 1}}',
            "CUDAExecutionProvider has no option gpu_mem_limt; it has arena_extend_strategy",
        ),
        (
            "ONNX_PROVIDER_OPTIONS",
            '{"CPUExecutionProvider": {"use_arena": "0"}}',
            "CPUExecutionProvider has no option use_arena; it has none at all",
        ),
        (
            "ONNX_PROVIDER_OPTIONS",
            '{"CUDAExecutionProvider": {"device_id": [0]}}',
            "device_id of CUDAExecutionProvider is a word, a number, true or false",
        ),
        ("DEVICE_ID", "-1", "a whole number from 0 to 63"),
        ("GPU_MEM_LIMIT_MB", "-5", "a number from 0 to 1,000,000"),
        ("COMPILE_TIMEOUT_S", "0", "a number above 0, up to 86,400"),
        ("PRECISION", "fp8", "one of fp32, fp16, bf16, int8"),
        ("MAX_BODY_MB", "0", "a number above 0, up to 1,024"),
        ("MODEL_MIRROR", "ftp://x/y", "URL"),
    ],
)
def test_a_bad_value_is_one_sentence(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as caught:
        load_settings()
    sentence = str(caught.value)
    assert sentence.startswith(f"{name}={value} is not allowed: ")
    assert allowed in sentence
    assert "\n" not in sentence


def test_every_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("DET_SIZE", "y")
    with pytest.raises(StartupError, match=r"PORT=x(.|\n)*DET_SIZE=y"):
        load_settings()


def test_a_bad_value_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DET_SIZE", "many")
    run = subprocess.run(
        [sys.executable, "-m", "face_service.main"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert run.stderr == (
        "DET_SIZE=many is not allowed: a whole number from 64 to 2,048, a multiple of 32\n"
    )


def test_the_example_lists_every_variable_with_its_default() -> None:
    text = (Path(__file__).parents[1] / ".env.example").read_text()
    lines = re.findall(r"^#? ?([A-Z_]+)=(.*)$", text, re.MULTILINE)
    listed = dict(reversed(lines))  # alternatives follow the default
    assert {name.upper() for name in Settings.model_fields} == set(listed)
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in listed.items()))
    assert load_settings() == Settings(_env_file=None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("PORT=8200\r\n".encode("utf-16"), "invalid start byte", id="UTF-16"),
        pytest.param("# größe\nPORT=8200\n".encode("latin-1"), "invalid", id="Latin-1"),
    ],
)
def test_a_file_in_another_encoding_is_one_sentence_that_names_it(
    empty_folder: Path, content: bytes, why: str
) -> None:
    (empty_folder / ".env").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "face_service.main"], capture_output=True, text=True, env={}
    )
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"{empty_folder / '.env'} is not UTF-8 ({why}")


def test_a_file_that_may_not_be_read_is_one_sentence_that_names_it(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("PORT=8200\n")
    (empty_folder / ".env").chmod(0)
    command = "from face_service.config import load_settings; load_settings()"
    if os.getuid() == 0:  # who may read everything
        for folder in (empty_folder, *empty_folder.parents[:3]):
            folder.chmod(0o755)
        command = f"import face_service.config, os; os.setuid(65534); {command}"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    said = done.stderr.splitlines()[-1]
    assert said.endswith(f"StartupError: {empty_folder / '.env'} cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DET_SZIE", "DET_SIZE"),
        ("det_szie", "DET_SIZE"),
        ("API_KEY", "API_KEYS"),
        ("MAX_DECODED", "MAX_DECODED_MB"),
        ("ONNX_PROVIDER", "ONNX_PROVIDERS"),
    ],
)
@pytest.mark.parametrize("where", [".env", "the environment"])
def test_a_misspelt_name_is_told_with_the_one_that_is_meant(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str, meant: str
) -> None:
    if where == ".env":
        (empty_folder / ".env").write_text(f"{name}=1\n")
    else:
        monkeypatch.setenv(name, "1")
    (sentence,) = setting_warnings()
    assert sentence == f"{name} in {where} is not a setting and has no effect; {meant} is"


def test_names_of_others_and_of_settings_are_not_misspelt(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = "HOME POST LINES HOSTNAME LOGNAME COMPOSE_PROJECT_NAME RENDER_GID DB_HOST MODEL_DIR"
    names = [*others.split(), *(name.upper() for name in Settings.model_fields), "port"]
    (empty_folder / ".env").write_text("".join(f"{name}=\n" for name in names))
    for name in others.split():
        monkeypatch.setenv(name, "x")
    assert setting_warnings() == []


def give(where: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Set variables in `.env` of a folder, or in the environment."""
    if where == ".env":
        (folder / ".env").write_text("".join(f"{name}={text}\n" for name, text in values.items()))
    for name, text in values.items() if where != ".env" else ():
        monkeypatch.setenv(name, text)


@pytest.mark.parametrize("where", [".env", "the environment"])
def test_the_former_name_of_a_setting_is_read_and_named_in_the_log(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    give(where, empty_folder, monkeypatch, LANES="3")
    assert load_settings().workers == 3
    assert setting_warnings() == ["LANES is now WORKERS: the former name is read until version 0.2"]


def test_a_former_name_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANES", "")
    monkeypatch.setenv("WORKERS", "2")
    assert load_settings().workers == 2
    assert setting_warnings() == []


@pytest.mark.parametrize("where", [".env", "the environment"])
def test_a_former_name_beside_the_new_one_has_to_agree(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("WORKERS", "2")
    give(where, empty_folder, monkeypatch, LANES="2")
    assert load_settings().workers == 2
    give(where, empty_folder, monkeypatch, LANES="3")
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert str(caught.value) == (
        "LANES=3 is not allowed: it is the former name of WORKERS, which is 2; give WORKERS alone"
    )


def test_a_bad_value_is_reported_under_the_name_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANES", "17")
    with pytest.raises(StartupError, match="LANES=17 is not allowed: a whole number from 0 to 16"):
        load_settings()


def test_what_is_given_to_a_command_wins_over_a_former_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANES", "3")
    assert load_settings(workers=2).workers == 2


def test_misspelt_and_former_names_are_in_the_log_of_a_server(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(DET_SZIE="320", API_KEY="secret", LANES="1")
    server.wait_until_ready()
    log = server.log()
    for sentence in (
        "DET_SZIE in the environment is not a setting and has no effect; DET_SIZE is",
        "API_KEY in the environment is not a setting and has no effect; API_KEYS is",
        "LANES is now WORKERS: the former name is read until version 0.2",
    ):
        lines = [line for line in log.splitlines() if line.endswith(sentence)]
        assert len(lines) == 1 and " - WARNING - " in lines[0], log
    assert "secret" not in log


@pytest.mark.parametrize("name", ["API_KEYS", "CORS_ORIGINS"])
@pytest.mark.parametrize("value", [" , ,", ",", " "])
def test_a_list_that_holds_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """An empty secret in a template must not open the door."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError, match=f"^{name}.* is not allowed"):
        load_settings()
