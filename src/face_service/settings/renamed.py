"""Former names of settings, read for one release."""

from __future__ import annotations

import os
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from face_service.errors import StartupError
from face_service.settings.env_file import values_in_env_file

RENAMED = {"lanes": "workers"}
"""Former name: field of Settings."""
UNTIL = "0.2"
"""The version that no longer reads the former names."""


class FormerNames(PydanticBaseSettingsSource):
    """Values that are given under former names, in the environment or in `.env`.

    Raises StartupError where the new name is given as well, with another value.
    """

    def __init__(
        self,
        settings: type[BaseSettings],
        environment: PydanticBaseSettingsSource,
        env_file: PydanticBaseSettingsSource,
    ) -> None:
        super().__init__(settings)
        self._sources = [cast(EnvSettingsSource, env_file), cast(EnvSettingsSource, environment)]

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: `__call__` reads all fields."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Values of former names, by field. Raises StartupError where both names are given and
        differ."""
        given = {name: value for source in self._sources for name, value in source.env_vars.items()}
        found = {}
        for former, name in RENAMED.items():
            if former in given:
                found[name] = given[former]
                if given.get(name, given[former]) != given[former]:
                    raise StartupError(
                        f"{former.upper()}={given[former]} is not allowed: it is the former name "
                        f"of {name.upper()}, which is {given[name]}; give {name.upper()} alone"
                    )
        return found


def former_names() -> list[str]:
    """A sentence for the log about each former name that is given."""
    return [
        f"{former.upper()} is now {name.upper()}: the former name is read until version {UNTIL}"
        for former, name in RENAMED.items()
        if former in _given()
    ]


def used_name(name: str) -> str:
    """The name under which the field `name` is given: its former one if that alone is."""
    given = _given()
    for former, now in RENAMED.items():
        if now == name and former in given and name not in given:
            return former
    return name


def _given() -> set[str]:
    """Names of all variables, in lower case, that have a value."""
    variables = {**values_in_env_file(), **os.environ}
    return {name.lower() for name, value in variables.items() if value}
