"""HOST and PORT, apart from other settings, so that the health check imports nothing slow."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_FILE = ".env"


class Address(BaseSettings):
    """HOST and PORT, from the environment or from `.env` (the environment wins)."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(default="0.0.0.0", min_length=1, description="Address to listen on.")
    port: int = Field(default=8100, ge=0, le=65535, description="HTTP port; 0 takes any free one.")
