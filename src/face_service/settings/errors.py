"""Bad settings as sentences."""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings

from face_service.settings.renamed import used_name

KEY_RULE = (
    "comma-separated SHA-256 hashes of keys, 64 hexadecimal digits each; "
    "face-service key makes a key and its hash"
)


def sentence(settings: type[BaseSettings], error: Any) -> str:
    """One of pydantic's errors of `settings` (`ValidationError.errors()`) as a sentence: NAME=VALUE
    is not allowed, and what is. The value of API_KEYS is left out."""
    name = str(error["loc"][0])
    if name == "api_keys":  # not repeated: the value may be a key
        return f"API_KEYS is not allowed: {KEY_RULE}"
    given = used_name(name).upper()
    allowed = _allowed(settings, name, error)
    return f"{given}={_shown(error['input'])} is not allowed: {allowed}"


def _shown(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _allowed(settings: type[BaseSettings], name: str, error: Any) -> str:
    """The values that a field allows. Every numeric field needs `le`, and `ge` or `gt`."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    schema = settings.model_json_schema()["properties"][name]
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    kind = {"integer": "a whole number", "number": "a number"}.get(schema.get("type", ""))
    if kind is None:
        return str(error["msg"])
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema["maximum"]
    above = "above" if "exclusiveMinimum" in schema else "from"
    of = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{kind} {above} {low:,} to {high:,}{of}".replace("above 0 to", "above 0, up to")
