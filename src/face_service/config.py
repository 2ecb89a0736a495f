"""The settings: every environment variable with its default, its bounds and its description."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource

from face_service.errors import StartupError
from face_service.runtime.policy import MAX_FACES
from face_service.runtime.providers import AUTO, CPU, PROVIDERS, Precision
from face_service.settings.env_file import misspelt, values_in_env_file
from face_service.settings.errors import sentence
from face_service.settings.provider_options import parse_options
from face_service.settings.quality import QualitySettings
from face_service.settings.renamed import FormerNames, former_names
from face_service.vision.alignment import Alignment
from face_service.vision.gate_policy import GateMode
from face_service.vision.looks import Detail

ORIGIN = re.compile(r"https?://[^/\s,*]+")
DetSize = Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
LogFormat = Literal["console", "json"]
KeyHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Settings(QualitySettings):
    """Settings from the environment or from `.env`; the environment wins.

    A field is the variable of its name in upper case. Numeric fields need `ge` or `gt`, and `le`:
    the error message for a bad value names them.
    """

    onnx_providers: Annotated[tuple[str, ...], NoDecode] = Field(
        (CPU,),
        description="ONNX Runtime execution providers, comma-separated, best first; or auto.",
    )
    precision: Precision = Field(
        "fp32",
        description="Numeric precision of the networks; a quantised pack is int8 by itself.",
    )
    insightface_model: str = Field(
        "buffalo_l",
        min_length=1,
        description="Name of a model pack, or a folder of ONNX files.",
    )
    det_size: int = Field(
        640,
        ge=64,
        le=2048,
        multiple_of=32,
        description="Side of the detector's canvas in pixels; higher finds smaller faces, slower.",
    )
    det_sizes: Annotated[tuple[DetSize, ...], NoDecode] = Field(
        (),
        description="Further sides that a request may ask for (det_size), comma-separated.",
    )
    detail: Detail = Field(
        "1",
        description="How closely pictures are looked at where a request does not say: as a whole "
        "(1), in 2 or 3 tiles along the longer side, or in as many as small faces need (auto).",
    )
    alignment: Alignment = Field(
        "antialiased",
        description="How faces are cut out: averaged down first where they are large, or sampled "
        "as InsightFace does.",
    )
    idle_unload_s: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Seconds without a request after which the networks are let go, until the next "
        "one; 0: never.",
    )
    det_rectangular: bool = Field(
        True, description="Look at wide and tall images on a canvas that is not square: faster."
    )
    det_closeup: bool = Field(
        True, description="Look once more on a canvas of 128 pixels: finds faces that fill it."
    )
    det_gate: GateMode = Field(
        "auto",
        description="Skip the detector where one in int8, run first, finds no face: while that "
        "saves time (auto), always (on), or never (off).",
    )
    intra_op_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of a network alone on the CPU; 0 follows the CPU quota.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=16,
        description="Most requests computed side by side; 0: on a CPU one for each core, else one.",
    )
    onnx_provider_options: Annotated[dict[str, dict[str, str]] | None, NoDecode] = Field(
        None,
        description="Options by provider, as JSON; they win over those of this service.",
    )
    device_id: int = Field(0, ge=0, le=63, description="Which card, where there are several.")
    gpu_mem_limit_mb: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Most of a card's memory in MB (10^6 bytes); 0: no limit.",
    )
    gpu_shrink_every: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Runs of a network after which a card gets back unused memory; 0: never.",
    )
    compile_timeout_s: float = Field(
        3600, gt=0, le=86_400, description="Seconds that compiling one program may take."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe line that is logged."
    )
    log_format: LogFormat = Field(
        "console", description="Lines of the log for people (console) or for programs (json)."
    )
    model_cache_dir: Path = Field(Path("./models"), description="Folder that holds the packs.")
    model_mirror: AnyHttpUrl | None = Field(
        None,
        description="Base URL of InsightFace's PACK.zip and AuraFace's glintr100.onnx, in place of "
        "their own addresses.",
    )
    max_body_mb: float = Field(
        64, gt=0, le=1024, description="Largest request body, in MB (10^6 bytes)."
    )
    max_bodies_mb: float = Field(
        512,
        gt=0,
        le=100_000,
        description="Most bytes of bodies inside and of unsent answers, in MB; more gets a 429.",
    )
    max_batch_files: int = Field(
        32, ge=1, le=1000, description="Most files one POST /detect/batch may hold."
    )
    max_image_pixels: int = Field(
        120_000_000, ge=1, le=1_000_000_000, description="Most pixels an image may have."
    )
    max_decoded_mb: float = Field(
        512, gt=0, le=100_000, description="Most memory that decoding takes at once, in MB."
    )
    max_faces: int = Field(
        MAX_FACES, ge=1, le=10_000, description="Most faces of an image that are answered."
    )
    max_group_faces: int = Field(
        10_000, ge=1, le=100_000, description="Most faces one POST /group may hold."
    )
    max_queue: int = Field(
        64, ge=1, le=10_000, description="Most requests inside at once; one more gets a 429."
    )
    max_connections: int = Field(
        1000, ge=1, le=100_000, description="Most open connections; one more is closed."
    )
    request_timeout_s: float = Field(
        30, gt=0, le=3600, description="Seconds a request may take before it gets a 504."
    )
    stall_timeout_s: float = Field(
        20,
        gt=0,
        le=3600,
        description="Seconds one network, or decoding one image, may take before it is replaced.",
    )
    drain_grace_s: float = Field(
        1,
        ge=0,
        le=300,
        description="Seconds after SIGTERM in which /health/ready says 503 and requests are still "
        "answered.",
    )
    api_keys: Annotated[tuple[KeyHash, ...], NoDecode] = Field(
        (),
        description="SHA-256 of each key that may be used (`face-service key`), comma-separated.",
    )
    metrics: bool = Field(True, description="Serve GET /metrics, behind a key where keys are set.")
    demo: bool = Field(True, description="Serve the demo page at /, which shows what the API does.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call from a browser, comma-separated."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the former names of settings, after all other sources."""
        former = FormerNames(settings_cls, env_settings, dotenv_settings)
        return init_settings, env_settings, dotenv_settings, former

    @property
    def mirror(self) -> str | None:
        """MODEL_MIRROR as text."""
        return str(self.model_mirror) if self.model_mirror else None

    @property
    def max_body_bytes(self) -> int:
        """MAX_BODY_MB in bytes."""
        return int(self.max_body_mb * 1e6)

    @field_validator("onnx_providers", "api_keys", "cors_origins", "det_sizes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        if value and not names:  # an empty variable in a template must not mean "no keys"
            raise ValueError("a comma-separated list of at least one; or left out")
        return names

    @field_validator("onnx_providers")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in PROVIDERS]
        if value != (AUTO,) and (unknown or not value or len(set(value)) < len(value)):
            raise ValueError(
                f"a comma-separated list, each once, of {', '.join(PROVIDERS)}; or {AUTO} alone"
            )
        return value

    @field_validator("onnx_provider_options", mode="before")
    @classmethod
    def _provider_options(cls, value: object) -> object:
        return parse_options(value) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("a comma-separated list of origins such as https://app.example.com")
        return value

    @field_validator("quality_max_brightness")
    @classmethod
    def _something_is_usable(cls, value: float, info: ValidationInfo) -> float:
        least = info.data.get("quality_min_brightness", 0)
        if value <= least:
            raise ValueError(f"above {least:g}, which is QUALITY_MIN_BRIGHTNESS, up to 1")
        return value

    @field_validator("max_bodies_mb")
    @classmethod
    def _one_body_fits(cls, value: float, info: ValidationInfo) -> float:
        largest = info.data.get("max_body_mb", 0)
        if value < largest:
            raise ValueError(f"at least {largest:g}, which is MAX_BODY_MB, at most 100,000")
        return value

    @field_validator("max_decoded_mb")
    @classmethod
    def _one_image_fits(cls, value: float, info: ValidationInfo) -> float:
        largest = info.data.get("max_image_pixels", 0) * 3 / 1e6
        if value < largest:
            raise ValueError(
                f"at least {largest:g}, which an image of MAX_IMAGE_PIXELS takes, at most 100,000"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        # A bad value keeps its spelling for the error message.
        known = isinstance(value, str) and value.upper() in logging.getLevelNamesMapping()
        return str(value).upper() if known else value


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. `overrides`, by field name, win over the environment; None: not given.

    Raises StartupError with one sentence for each bad variable: its name, its value, what is
    allowed; or with one about `.env` if that cannot be read.
    """
    values_in_env_file()
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise StartupError("\n".join(sentence(Settings, item) for item in error.errors())) from None


def setting_warnings() -> list[str]:
    """A sentence for the log about each former name in use, and each name that looks misspelt."""
    return [*former_names(), *misspelt(Settings.model_fields)]
