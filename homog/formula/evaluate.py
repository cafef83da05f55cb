"""One walk over a checked expression serves every array library.

NumPy, torch and UFL differ only in the functions they bring; nothing is generated or executed here.
"""

import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.special
import sympy

from homog.formula.parse import FUNCTIONS, Formula


def evaluate(expression: Any, values: Mapping[str, Any], functions: Mapping[str, Callable]) -> Any:
    """The value of an expression.

    Args:
        expression: A SymPy expression, from a Formula.
        values: What each name stands for: numbers, arrays, tensors or UFL terms.
        functions: What sin, cos, ... stand for.

    Returns:
        Whatever arithmetic on the values gives; a float for a constant expression.
    """
    if isinstance(expression, sympy.Symbol):
        return values[expression.name]
    if expression.is_number:
        return float(expression)
    arguments = [evaluate(argument, values, functions) for argument in expression.args]
    if isinstance(expression, sympy.Add):
        return functools.reduce(operator.add, arguments)
    if isinstance(expression, sympy.Mul):
        return functools.reduce(operator.mul, arguments)
    if isinstance(expression, sympy.Pow):
        base, exponent = arguments
        if exponent == 0.5:
            return functions["sqrt"](base)
        power = base ** (int(exponent) if exponent == int(exponent) else exponent)
        return math.nan if isinstance(power, complex) else power
    return functions[type(expression).__name__](*arguments)


def at_points(formula: Formula, points: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
    """Values at points, by NumPy in the points' precision.

    Args:
        formula: In x1, ..., xd and the parameters.
        points: Shape (..., d).
        parameters: Value of each name but the coordinates; an array of shape (...) has one for each point.

    Returns:
        Shape (...).
    """
    values = {**parameters, **{axis: points[..., i] for i, axis in enumerate(formula.axes)}}
    with np.errstate(all="ignore"):  # whether a value is finite is for the caller to see
        result = evaluate(formula.expression, values, NUMPY)
    return np.broadcast_to(np.asarray(result, dtype=points.dtype), points.shape[:-1])


def torch_at_points(formula: Formula, points: Any, parameters: Mapping[str, Any]) -> Any:
    """The same for a torch tensor of shape (..., d), on its device and differentiable, in the parameters too."""
    import torch

    functions = {name: getattr(torch, name) for name in FUNCTIONS} | {"logistic": torch.sigmoid, **_torch_kinks(points)}
    named = {name: _like(points, value) for name, value in parameters.items()}
    values = {**named, **{axis: points[..., i] for i, axis in enumerate(formula.axes)}}
    result = evaluate(formula.expression, values, functions)
    if isinstance(result, float | int):
        return points.new_full(points.shape[:-1], result)
    return result.to(points.dtype).expand(points.shape[:-1])


def _like(points: Any, value: Any) -> Any:
    """A number or an array as a tensor like the points."""
    import torch

    if isinstance(value, float | int):  # filled in on the device: copying it there would make the host wait
        return torch.full((), value, dtype=points.dtype, device=points.device)
    return torch.as_tensor(value, dtype=points.dtype, device=points.device)


def _torch_kinks(points: Any) -> Mapping[str, Callable]:
    """What bends or jumps, for tensors like the points and for numbers."""
    import torch

    return {
        "absolute": torch.abs,
        "fraction": lambda z: z - torch.floor(z),
        "larger": lambda a, b: torch.maximum(_like(points, a), _like(points, b)),
        "select": lambda z, a, b: torch.where(z > 0, _like(points, a), _like(points, b)),
    }


def _logistic(z: float) -> float:
    return (1 + math.tanh(z / 2)) / 2


_OF_SCIPY = {"erf": scipy.special.erf, "logistic": scipy.special.expit}
_OF_NUMPY = {
    "absolute": np.abs,
    "fraction": lambda z: z - np.floor(z),
    "larger": np.maximum,
    "select": lambda z, a, b: np.where(z > 0, a, b),
}
NUMPY: Mapping[str, Callable] = (
    {name: getattr(np, {"atan": "arctan"}.get(name, name)) for name in FUNCTIONS if name not in _OF_SCIPY}
    | _OF_SCIPY
    | _OF_NUMPY
)
MATH: Mapping[str, Callable] = {name: value for name, (_, value) in FUNCTIONS.items()} | {
    "logistic": _logistic,
    "absolute": abs,
    "fraction": lambda z: z - math.floor(z),
    "larger": max,
    "select": lambda z, a, b: a if z > 0 else b,
}
