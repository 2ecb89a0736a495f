"""The setting ONNX_PROVIDER_OPTIONS."""

from __future__ import annotations

import json

from face_service.runtime.providers import PROVIDERS


def parse_options(value: str) -> dict[str, dict[str, str]]:
    """Options by provider, from a JSON object of objects; values as strings, booleans spelt as the
    provider expects them.

    Raises ValueError, with what is allowed, for any other text, a provider or option that does not
    exist, and a value that is neither text, number nor boolean.
    """
    example = '{"CUDAExecutionProvider": {"cudnn_conv_algo_search": "EXHAUSTIVE"}}'
    try:
        content = json.loads(value)
    except ValueError as error:
        raise ValueError(f"JSON such as {example}; {error}") from error
    if not isinstance(content, dict) or not all(isinstance(o, dict) for o in content.values()):
        raise ValueError(f"options by provider, such as {example}")
    found: dict[str, dict[str, str]] = {}
    for name, options in content.items():
        if name not in PROVIDERS:
            raise ValueError(f"{name} is none of {', '.join(PROVIDERS)}")
        known = PROVIDERS[name].known_options
        for option, setting in options.items():
            if option not in known:
                others = ", ".join(sorted(known)) or "none at all"
                raise ValueError(f"{name} has no option {option}; it has {others}")
            if not isinstance(setting, str | int | float):
                raise ValueError(f"{option} of {name} is a word, a number, true or false")
        spelling = PROVIDERS[name].booleans
        found[name] = {
            option: spelling[setting] if isinstance(setting, bool) else str(setting)
            for option, setting in options.items()
        }
    return found
