"""Hydra's part: the schema registered, the configuration composed, mistakes turned into one line."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from homog import config
from homog.errors import UserError, hint
from homog.machine.home import home

_SCHEMA = {"schema/run": config.RunSettings, **{f"schema/{path}": kind for path, kind in config.KINDS.items()}}
"""The dataclass behind the first line of every YAML file in conf/."""

_TEXTS = {
    *(
        f"problem.{name}"
        for name in (
            "coefficient",
            "forcing",
            "boundary",
            "reaction",
            "velocity",
            "drift",
            "source",
            "period",
            "field.path",
            "field.period",
        )
    ),
    *(f"reference.{name}" for name in ("fine", "homogenized")),
}
"""The settings that are formulas or paths."""

_WITH_NUMBERS = {"problem.time"}
"""Those in which some of the entries are formulas, and others numbers or lists of them."""

_MAPPINGS = {"problem.parameters", "problem.field.values"}
"""Those whose keys are the user's own."""


def conf_folder() -> Path:
    """The packaged conf/ if it is there, else the repository's."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def groups() -> dict[str, list[str]]:
    """The groups of conf/ and what each offers.

    A folder below a group is a group within it where the schema has one (problem/field); otherwise it is part of the
    options' names (experiment=paper/linear_0.05).
    """
    folder = conf_folder()
    within = {path.rpartition("/")[0].removeprefix("schema/") for path in _SCHEMA}
    options: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        group, _, option = name.rpartition("/") if name.rpartition("/")[0] in within else name.partition("/")
        if option and group != "hydra" and "parts/" not in option:  # parts are for other files to pick
            options.setdefault(group, []).append(option)
    return dict(sorted(options.items()))


def register() -> None:
    """Put the schema and the resolvers where Hydra finds them."""
    store = ConfigStore.instance()
    for path, settings in _SCHEMA.items():
        group, _, name = path.rpartition("/")
        package = ".".join(group.split("/")[1:]) or "_global_"  # schema/problem/field holds settings of problem.field
        store.store(group=group, name=name, node=settings, package=package, provider="homog")
    for name, method in _methods().items():
        for group, part in _companions(method).items():
            store.store(group=f"{group}/parts", name=name, node=part, package=group, provider="homog")
        if method.small:
            part = {group: dict(settings) for group, settings in method.small.items()}
            store.store(group="budget/parts", name=f"{name}_small", node=part, package="_global_", provider="homog")
    OmegaConf.register_new_resolver("homog_home", lambda: str(home()), replace=True)
    OmegaConf.register_new_resolver("if_nonlinear", _if_nonlinear, replace=True)
    OmegaConf.register_new_resolver("run_id", _run_id, use_cache=True, replace=True)


def _methods() -> dict[str, type[config.MethodSettings]]:
    """The methods by their names; kinds of other groups may be called the same."""
    return {
        path.rpartition("/")[2]: kind for path, kind in config.KINDS.items() if issubclass(kind, config.MethodSettings)
    }


def _companions(method: type[config.MethodSettings]) -> dict[str, dict[str, Any]]:
    """What run.yaml takes from each group where nothing is chosen: the kind, and what differs from its defaults."""
    parts: dict[str, dict[str, Any]] = {}
    linear, nonlinear = (method.companions(nonlinear=depends) for depends in (False, True))
    for group, chosen, other in zip(linear._fields, linear, nonlinear, strict=True):
        default = type(chosen)()
        parts[group] = {"defaults": [f"/{group}/{config.kind_of(chosen)}@_here_", "_self_"]}
        for field in fields(chosen):
            value, if_nonlinear = getattr(chosen, field.name), getattr(other, field.name)
            if value != if_nonlinear:
                parts[group][field.name] = f"${{if_nonlinear:${{problem.coefficient}},{if_nonlinear},{value}}}"
            elif value != getattr(default, field.name):
                parts[group][field.name] = value
    return parts


def _if_nonlinear(coefficient: object, nonlinear: object, linear: object) -> object:
    """The one value where the coefficient's formula names the solution u, the other where it does not."""
    return nonlinear if config.depends_on_u(str(coefficient)) else linear


def _run_id(*words: object) -> str:
    """A folder name that sorts by time and that no other run has; whatever could leave the folder is replaced."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    text = "-".join(str(word) for word in words)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in text)[:60]
    return f"{now}-{safe}-{secrets.token_hex(2)}"


def settings_of(composed: DictConfig) -> config.RunSettings:
    """The composed configuration as checked dataclasses.

    Raises:
        UserError: If a value is missing, cannot be resolved or is out of range.
    """
    try:
        given = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        resolved = composed.copy()
        OmegaConf.resolve(resolved)  # with it, what an interpolation puts in place of a group is checked as well
        settings = OmegaConf.to_object(resolved)
    except OmegaConfBaseException as error:
        raise UserError(_explain_value(error)) from error
    except RecursionError as error:
        raise UserError(_one_line(error)) from None
    assert isinstance(settings, config.RunSettings)
    assert isinstance(given, dict)
    _refuse_unknown(given, settings, "")
    _refuse_without_kind(settings)
    return settings.suited()


def refuse_idle_budget(choices: Mapping[str, Any]) -> None:
    """Refuse a budget that cuts nothing of the chosen method: the run would be the one without it.

    Args:
        choices: The option of each group, as Hydra has composed them.

    Raises:
        UserError: If there is no such part.
    """
    budget, method = choices.get("budget"), choices.get("method")
    cut = sorted(name for name, kind in _methods().items() if kind.small)
    if budget == "small" and method not in cut:
        raise UserError(
            f"budget={budget} cuts nothing of method={method}: leave it out, or write it with method={', '.join(cut)}"
            " or a preset of these"
        )


def tracking_of(composed: DictConfig) -> config.TrackingSettings:
    """The part of a composed configuration that says where to record, for what is no run itself.

    Raises:
        UserError: If a value is missing or cannot be resolved.
    """
    try:
        OmegaConf.to_container(composed.tracking, resolve=True, throw_on_missing=True)
        settings = OmegaConf.to_object(composed.tracking)
    except OmegaConfBaseException as error:
        raise UserError(_explain_value(error)) from error
    assert isinstance(settings, config.TrackingSettings)
    return settings


def _refuse_unknown(given: Mapping[Any, Any], settings: Any, path: str) -> None:
    """`+key=value` gets past Hydra's own check for unknown keys."""
    known = list(settings.__dataclass_fields__)
    for key, value in given.items():
        if key not in known:
            raise UserError(f"{path}{key} is unknown: {hint(str(key), known)}")
        inner = getattr(settings, key)
        if isinstance(value, dict) and is_dataclass(inner):
            _refuse_unknown(value, inner, f"{path}{key}.")


def _refuse_without_kind(settings: config.RunSettings) -> None:
    """A file without its schema's line fills the base of a group, which nothing can be done with."""
    kinds: dict[str, list[str]] = {}
    for path in _SCHEMA:
        kinds.setdefault(path.rpartition("/")[0].removeprefix("schema"), []).append(path)
    for group, paths in kinds.items():
        value: Any = settings
        for name in group.split("/")[1:]:
            value = getattr(value, name, None)
        if value is not None and type(value) not in [_SCHEMA[path] for path in paths]:
            raise UserError(f"{group[1:]} is of no kind: its file begins with defaults: [/{paths[0]}, _self_]")


def as_hydra_reads(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with formulas and paths in quotes: Hydra's own grammar takes sin(...) for its own call.

    Mappings with keys of the user's own, such as problem.field.values={0: 1, 255: 100}, get the plus signs by which
    Hydra adds keys.

    A comma outside of all brackets separates the values of a sweep, which are quoted one by one; one inside is part of
    the text, and for the formula's parser to refuse. In a mapping such as problem.boundary={x1: {flux: sin(x2)}} the
    formulas are quoted, as in a list such as
    problem.coefficient=[2+sin(x1), 1].
    """
    quoted = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key in _MAPPINGS and value.lstrip().startswith("{"):
            argument = f"++{argument}"
        if equals and key.lstrip("+") in _TEXTS and not value.lstrip().startswith(("'", '"', "choice(")):
            argument = f"{key}=" + ",".join(map(_quoted, _parts(value)))
        if key.lstrip("+") in _WITH_NUMBERS and value.lstrip().startswith("{"):
            argument = f"{key}={_quoted(value, numbers=False)}"
        quoted.append(argument)
    return quoted


def _quoted(value: str, *, numbers: bool = True) -> str:
    """A formula in quotes; of a mapping or a list those in it; numbers too, unless they are to stay as they are."""
    text = value.strip()
    if text.startswith(("'", '"')) or (not numbers and _is_number(text)):
        return text
    if text.startswith("[") and text.endswith("]"):
        return f"[{', '.join(_quoted(part, numbers=numbers) for part in _parts(text[1:-1]))}]"
    if not (text.startswith("{") and text.endswith("}")):
        return "'" + text.replace("'", r"\'") + "'"
    entries = (part.partition(":") for part in _parts(text[1:-1]))
    inside = (f"{key.strip()}: {_quoted(inner, numbers=numbers)}" if colon else key for key, colon, inner in entries)
    return "{" + ", ".join(inside) + "}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parts(value: str) -> list[str]:
    """The text cut at the commas that are in no bracket."""
    depth, parts = 0, [""]
    for character in value:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """One line for a configuration that could not be composed: what is wrong and what to write instead."""
    offered = groups()
    for override in overrides:
        key, equals, value = override.lstrip("+~").partition("=")
        if key.startswith("hydra") or not equals:
            continue
        if key in offered and "," not in value and value not in (*offered[key], "null", "None"):
            return f"{key}={value} is unknown: {hint(value, offered[key])}"
        if key.replace(".", "/") in offered and key not in offered and "," not in value:
            return f"{key} is a group of settings: write {key.replace('.', '/')}={value}"
        if f"Ambiguous value for argument '{key}=" in str(error):
            return f"{key}={value}: several values are a sweep, which begins with -m: homog-run -m {key}=..."
        if key == "problem/field" and f"override '{key}'" in str(error):
            return f"{key}={value}: this problem has no field; write problem=random_field {override}"
        if "." not in key and key not in offered and key not in _root_keys():
            return f"{key} is unknown: {hint(key, dict.fromkeys([*offered, *_root_keys()]))}"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    return _one_line(error) if cause is None else _explain_value(cause)


def _explain_value(error: OmegaConfBaseException) -> str:
    key = error.full_key or ""
    parent = error.object_type
    if key.startswith("problem.parameters."):
        return f"{key} is new: add a parameter with +{key}=1.5 and a number of your own"
    if key.startswith("problem.time."):
        return f"{key}: write all of it in one mapping, problem.time={{end: 0.1, initial: x1*(1 - x1)}}"
    group = _settings_at(key)
    if group is not None and not isinstance(error, ConfigAttributeError | ConfigKeyError):
        return f"{key} is a group of settings: write {' '.join(f'{key}.{given}' for given in group)}"
    if key in _TEXTS:
        return (
            f"{key}: write one text, such as {key}='1 + x1**2'; lists and dictionaries are for no setting of this kind"
        )
    unknown = isinstance(error, ConfigAttributeError | ConfigKeyError)
    if unknown and parent is not None and hasattr(parent, "__dataclass_fields__") and key.rpartition(".")[2] not in (
        known := list(parent.__dataclass_fields__)
    ):  # fmt: skip
        return f"{key} is unknown: {hint(key.rpartition('.')[2], known)}"
    if "Missing mandatory value" in str(error) or "MissingMandatoryValue" in type(error).__name__:
        return f"{key} must be given: write {key}=..."
    return f"{key}: {_one_line(error)}" if key else _one_line(error)


def _settings_at(key: str) -> list[str] | None:
    """The settings below a key and their defaults, as one writes them; None where the key is no group of settings."""
    kind: Any = config.RunSettings
    for name in key.split("."):
        found = get_type_hints(kind).get(name)
        if not is_dataclass(found):
            return None
        kind = found
    made = kind()
    defaults = {field.name: getattr(made, field.name) for field in fields(made)}
    texts = {name: yaml.safe_dump(value, default_flow_style=True) for name, value in defaults.items()}
    return [f"{name}={text.splitlines()[0].replace(' ', '')}" for name, text in texts.items()]


def _root_keys() -> list[str]:
    return list(config.RunSettings.__dataclass_fields__)


def _one_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "the configuration is nested too deeply, or stands for itself"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem_mark.name}, line {error.problem_mark.line + 1}: {error.problem}"
    text = str(error).strip().partition("\n")[0]
    return text.removeprefix("LexerNoViableAltException: ") if text else type(error).__name__
