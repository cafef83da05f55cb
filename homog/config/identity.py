"""What makes two configurations the same run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from homog.config.run import RunSettings

# Root settings on which no number depends; one that is added without standing here only costs a repetition.
WITHOUT_EFFECT = {"tracking", "name", "force", "resume", "checkpoint"}
_KIND = "(kind)"


def describe(settings: RunSettings) -> dict[str, Any]:
    """All settings that a number may depend on, as JSON has them, with the kind of every group.

    The kind enters since two kinds may have the same settings.
    """
    return {name: value for name, value in _plain(settings).items() if name not in WITHOUT_EFFECT}


def identity(settings: RunSettings) -> str:
    """The SHA-256 of a configuration without what does not change the result: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(describe(settings), sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where two descriptions differ, as `setting: before -> now`, in the order of the second.

    Args:
        before: From `describe`, perhaps by way of a file.
        now: Another one, as `before`.
    """
    flat = [dict(_flatten("", description)) for description in (before, now)]
    keys = dict.fromkeys([*flat[1], *flat[0]])
    absent = "(none)"
    found = ((key, flat[0].get(key, absent), flat[1].get(key, absent)) for key in keys)
    return [f"{key}: {old} -> {new}" for key, old, new in found if old != new]


def _flatten(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(prefix, value)]
    parts = []
    for key, item in value.items():
        inner = f"{prefix}.{key}".lstrip(".")
        parts += _flatten(prefix if key == _KIND else inner, item)
    return parts


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        parts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__, **parts}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
