"""PRECISION: what it asks of machine and pack, what it tells ONNX Runtime, what it is called."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from face_service import engine_factory as assembly
from face_service.config import Settings
from face_service.engine_factory import load_engine
from face_service.engine_factory.builder import Canvases, build_engine, computed_precision
from face_service.errors import PackError, ProviderError
from face_service.face_engine import FaceEngine
from face_service.packs.local import load_folder
from face_service.packs.pack import QUANTIZATION, Pack
from face_service.runtime import session
from face_service.runtime.precision import require_precision
from face_service.runtime.processor import BF16, processor
from face_service.runtime.providers import CPU, OPENVINO, PROVIDERS, Precision, RuntimeConfig
from face_service.vision.blob import Image
from face_service.vision.canvas import Size

ROOT = Path(__file__).resolve().parent.parent
SQUARE = Canvases((Size(640, 640),), None)


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    """/proc/cpuinfo of a processor with bfloat16."""
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n\nflags\t\t: fpu\n")
    return path


@pytest.fixture
def old_cpuinfo(tmp_path: Path) -> Path:
    """/proc/cpuinfo of a processor without; its name must not be taken for a flag."""
    path = tmp_path / "old"
    path.write_text("model name\t: avx512_bf16\nflags\t\t: fpu avx512f amx_tile\n")
    return path


def test_bf16_is_possible_with_openvino_on_a_processor_that_has_it(cpuinfo: Path) -> None:
    require_precision(OPENVINO, "bf16", cpuinfo)


@pytest.mark.parametrize("flag", sorted(BF16))
def test_either_instruction_set_will_do(flag: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : sse {flag} avx\n")
    require_precision(OPENVINO, "bf16", tmp_path / "cpuinfo")


def test_bf16_on_a_processor_without_it_names_what_lacks(old_cpuinfo: Path) -> None:
    with pytest.raises(ProviderError, match=r"AVX512_BF16 or AMX.*PRECISION=fp32.*int8"):
        require_precision(OPENVINO, "bf16", old_cpuinfo)


def test_bf16_where_nothing_lists_the_instructions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="shows neither"):
        require_precision(OPENVINO, "bf16", tmp_path / "absent")


@pytest.mark.parametrize(
    ("precision", "able"),
    [
        ("bf16", {"MIGraphXExecutionProvider", OPENVINO}),
        (
            "fp16",
            {
                "CUDAExecutionProvider",
                "TensorrtExecutionProvider",
                "ROCMExecutionProvider",
                "MIGraphXExecutionProvider",
                "DmlExecutionProvider",
            },
        ),
        ("fp32", set(PROVIDERS)),
        ("int8", set(PROVIDERS)),
    ],
)
def test_a_provider_that_cannot_names_those_that_can(
    precision: Precision, able: set[str], cpuinfo: Path
) -> None:
    for name in able:
        require_precision(name, precision, cpuinfo)
    for name in set(PROVIDERS) - able:
        with pytest.raises(ProviderError) as caught:
            require_precision(name, precision, cpuinfo)
        assert f"{name} does not compute in PRECISION={precision}" in str(caught.value)
        assert all(f"{other} ({PROVIDERS[other].package})" in str(caught.value) for other in able)


def test_bf16_is_refused_before_a_pack_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> Pack:
        raise AssertionError("fetched")

    monkeypatch.setattr(assembly, "resolve", fetch)
    with pytest.raises(ProviderError, match="does not compute in PRECISION=bf16"):
        load_engine(Settings(_env_file=None, precision="bf16"), RuntimeConfig())


def test_a_quantised_pack_is_int8_whatever_the_default(starter: Pack) -> None:
    quantised = replace(starter, precision="int8")
    assert computed_precision(quantised, "fp32") == "int8"
    assert computed_precision(quantised, "int8") == "int8"


@pytest.mark.parametrize("asked", ["fp16", "bf16"])
def test_a_quantised_pack_is_computed_in_nothing_else(asked: Precision, starter: Pack) -> None:
    quantised = replace(starter, precision="int8")
    with pytest.raises(PackError, match=f"={asked}, but .* quantised to int8: set PRECISION=int8"):
        computed_precision(quantised, asked)


def test_int8_of_a_pack_that_is_not_quantised_says_how_to_make_one(starter: Pack) -> None:
    with pytest.raises(PackError) as caught:
        computed_precision(starter, "int8")
    assert "face-service models quantize starter --calibrate PHOTOS --out ./starter-int8" in str(
        caught.value
    )
    with pytest.raises(PackError, match=f"quantize {starter.directory} "):
        computed_precision(replace(starter, name="mine"), "int8")


def test_other_precisions_are_those_asked_for(starter: Pack) -> None:
    assert computed_precision(starter, "fp32") == "fp32"
    assert computed_precision(starter, "bf16") == "bf16"


@pytest.fixture
def with_manifest(starter: Pack, tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder of the starter pack whose manifest says this, too."""

    def write(**said: str) -> Path:
        models = []
        for role, model in starter.models.items():
            (tmp_path / model.path.name).symlink_to(model.path.absolute())
            models.append({"file": model.path.name, "role": role})
        (tmp_path / "manifest.json").write_text(json.dumps({**said, "models": models}))
        return tmp_path

    return write


def test_the_manifest_says_int8_and_the_engine_repeats_it(
    with_manifest: Callable[..., Path],
) -> None:
    pack = load_folder(with_manifest(precision="int8", quantization=QUANTIZATION))
    assert pack.precision == "int8"
    assert build_engine(pack, SQUARE, (CPU,), threads=1).info.precision == "int8"


@pytest.mark.parametrize("said", [{}, {"quantization": "u8s8"}], ids=["written before", "another"])
def test_weights_that_depend_on_the_processor_are_refused(
    said: dict[str, str], with_manifest: Callable[..., Path]
) -> None:
    with pytest.raises(PackError) as caught:
        load_folder(with_manifest(precision="int8", **said))
    assert '"quantization": "u8s7"' in str(caught.value)
    assert "face-service models quantize PACK --calibrate PHOTOS --out" in str(caught.value)


def test_a_folder_without_a_word_is_fp32(starter: Pack) -> None:
    assert load_folder(starter.directory).precision == starter.precision == "fp32"


class OpenVino:
    """ONNX Runtime's CPU session under OpenVINO's name; keeps what each one was given."""

    given: list[object]

    def __init__(self) -> None:
        self.given = []
        self._real = session.onnxruntime.InferenceSession

    def __call__(
        self, path: Path, options: object, providers: list[object], enable_fallback: int
    ) -> object:
        self.given.append(providers)
        made = self._real(path, options, providers=[CPU])
        made.get_providers = lambda: [OPENVINO, CPU]
        return made


@pytest.mark.parametrize(("asked", "hint"), [("fp32", "f32"), ("bf16", "bf16")])
def test_every_network_is_told_its_precision(
    asked: Precision, hint: str, starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = OpenVino()
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", openvino)
    config = RuntimeConfig(threads=3, precision=asked, cache=tmp_path)
    engine = build_engine(starter, SQUARE, (OPENVINO,), config=config)
    assert engine.info.precision == asked
    assert engine.info.providers == (OPENVINO,)
    assert len(openvino.given) == len(starter.models)
    for ((name, options),) in openvino.given:
        assert name == OPENVINO
        assert json.loads(options["load_config"])["CPU"]["INFERENCE_PRECISION_HINT"] == hint
        assert json.loads(options["load_config"])["CPU"]["INFERENCE_NUM_THREADS"] == "3"


EMBED = """
import sys
from pathlib import Path
import numpy as np
from face_service.engine_factory import load_engine, runtime_config
from face_service.config import load_settings
from face_service.vision.image import decode
engine = load_engine(load_settings(), runtime_config(load_settings()))
faces = engine.analyse_image(decode(Path(sys.argv[1]).read_bytes(), 10**9))
np.save(sys.argv[2], np.stack([face.embedding for face in faces]))
print(engine.info.precision, *engine.info.providers)
"""


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_openvino_computes_in_the_precision_it_is_told(
    asked: str,
    openvino_python: Path,
    engine: FaceEngine,
    starter: Pack,
    six_faces: Path,
    six_faces_image: Image,
    tmp_path: Path,
) -> None:
    if asked == "bf16" and BF16.isdisjoint(processor().instruction_sets):
        pytest.skip("this processor has neither AVX512_BF16 nor AMX")
    run = subprocess.run(
        [openvino_python, "-c", EMBED, six_faces, tmp_path / "embeddings.npy"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "INSIGHTFACE_MODEL": "starter",
            "MODEL_CACHE_DIR": str(starter.directory.parent),
            "ONNX_PROVIDERS": OPENVINO,
            "PRECISION": asked,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [asked, OPENVINO]
    embeddings = np.load(tmp_path / "embeddings.npy")
    expected = np.stack([face.embedding for face in engine.analyse_image(six_faces_image)])
    assert embeddings.shape == expected.shape
    worst = float((embeddings * expected).sum(axis=1).min())
    if asked == "fp32":
        assert worst > 0.99999
    else:
        assert 0.99 < worst < 0.9999, "as good as bfloat16, and not secretly fp32"
