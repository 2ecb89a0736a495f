"""JSON schemas of bodies that FastAPI does not parse: each is whole, without `$ref` to others."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, with what it refers to in the place of the reference."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return resolved(definitions[value["$ref"].rpartition("/")[2]])
        return {name: resolved(item) for name, item in value.items()}

    found: dict[str, Any] = resolved(schema)
    return found
