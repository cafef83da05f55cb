"""The settings of a run as MLflow has them."""

from dataclasses import fields, is_dataclass
from typing import Any

from homog.config import KINDS
from homog.config.coefficient import as_typed
from homog.run.task import Task


def parameters(task: Task) -> dict[str, str | float | int | bool]:
    """The settings as MLflow's flat parameters, each group with the name of its kind, and what came of them."""
    settings, steps = task.settings, task.steps
    flat: dict[str, str | float | int | bool] = {}

    def collect(prefix: str, value: Any) -> None:
        if is_dataclass(value):
            if type(value) in KINDS.values():
                flat[prefix] = type(value).__name__
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, dict) and prefix == "problem.boundary":  # MLflow's names have no plus sign
            flat[prefix] = as_typed(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                collect(f"{prefix}.{key}" if prefix else str(key), item)
        elif value is not None:
            flat[prefix] = value if isinstance(value, str | float | int | bool) else as_typed(value)

    collect("", settings)
    flat.update(task.problem.metrics)
    if steps is None:
        return {name: value for name, value in flat.items() if name.partition(".")[0] != "timestep"}
    return {**flat, "dt": steps.micro_step, "Dt": steps.macro_step, "K": steps.count}
