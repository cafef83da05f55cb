"""A run's settings as `config.yaml` in its folder, which names the kinds: Hydra composes it, and `read` reads it."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_type_hints

import yaml

from homog.config import KINDS, RunSettings
from homog.errors import UserError

_HEAD = "# The settings of one run; to run them again: homog-run --config-dir THIS_FOLDER --config-name config\n"
_SCHEMA = "/schema/"


def text(settings: RunSettings) -> str:
    """The settings as a configuration for Hydra, with the kind of every group among its defaults."""
    kinds = _kinds(settings)
    # a problem is a variant that the user may have named anything: its schema stands in for the variant's file
    schemas = [f"{_SCHEMA}{path}" for path in kinds if path.startswith("problem")]
    overrides = [{"override /problem": None}]
    overrides += [{f"override /{group}": kind} for group, _, kind in _parts(kinds) if not group.startswith("problem")]
    content = {"defaults": ["run", *schemas, "_self_", *overrides], **asdict(settings)}
    return _HEAD + yaml.safe_dump(content, sort_keys=False)


def read(content: str, where: str) -> RunSettings:
    """The settings that `text` wrote.

    Args:
        content: Text of the file.
        where: Its name, for the message.

    Raises:
        UserError: If it does not name the kinds, as those of earlier versions, or is damaged.
    """
    try:
        values = dict(yaml.safe_load(content))
        kinds = dict.fromkeys(_named(values.pop("defaults")))
        chosen = {group: KINDS[path] for path in kinds for group, _, _ in _parts([path])}
        settings = _made(RunSettings, values, chosen, "")
        if {path.partition("/")[0] for path in KINDS} - {path.partition("/")[0] for path in _kinds(settings)}:
            raise ValueError("a group without a kind")
        return settings
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{where} does not name the kinds of its settings: an earlier version wrote it, or it is damaged"
        ) from error


def _kinds(settings: Any) -> list[str]:
    """GROUP/KIND of each part that has a kind, an outer one before what is within it."""
    found = [path for path, kind in KINDS.items() if kind is type(settings)]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            found += _kinds(value)
    return found


def _parts(paths: Any) -> list[tuple[str, str, str]]:
    return [path.rpartition("/") for path in paths]


def _named(defaults: list[Any]) -> list[str]:
    """The paths GROUP/KIND that a list of defaults has."""
    found = []
    for one in defaults:
        if isinstance(one, Mapping):
            found += [f"{name.removeprefix('override /')}/{kind}" for name, kind in one.items() if kind is not None]
        elif one.startswith(_SCHEMA):
            found.append(one.removeprefix(_SCHEMA))
    return found


def _made(kind: type, values: Mapping[str, Any], chosen: Mapping[str, type], group: str) -> Any:
    """A dataclass of settings from plain values, with those within it."""
    hints = get_type_hints(kind)
    made = {}
    for name, value in values.items():
        inner = f"{group}/{name}".lstrip("/")
        within = chosen.get(inner, hints[name])
        made[name] = _made(within, value, chosen, inner) if is_dataclass(within) and isinstance(value, dict) else value
    return kind(**made)
