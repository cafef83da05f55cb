"""A problem from the formulas of its settings, checked before anything is computed."""

import keyword
import re
from collections.abc import Mapping
from math import isfinite

import numpy as np
from scipy.optimize import minimize

from homog.config import FormulaProblem
from homog.errors import UserError
from homog.formula import FUNCTIONS, Formula, parse
from homog.formula.evaluate import at_points
from homog.problems.domain import Box
from homog.problems.problem import Problem

_SAMPLE = 2**16


def formula_problem(settings: FormulaProblem, eps: float) -> Problem:
    """The problem that formulas describe at one eps.

    Raises:
        UserError: If a formula is refused, or the coefficient is not positive and finite on a sample of the domain.
    """
    domain = Box(tuple(settings.domain.lower), tuple(settings.domain.upper))
    parameters = _parameters(settings.parameters, eps)

    def formula(name: str) -> Formula:
        return parse(getattr(settings, name), domain.dimension, tuple(parameters), where=f"problem.{name}")

    coefficient, forcing, boundary = formula("coefficient"), formula("forcing"), formula("boundary")
    sample = domain.sample(_SAMPLE, np.random.default_rng(0))
    closed = np.concatenate([sample, domain.sample_boundary(2**12, np.random.default_rng(1)), domain.corners()])
    _check_finite("problem.coefficient", coefficient, closed, parameters)
    for slope in coefficient.gradient():  # the walkers drift along it: a must be continuously differentiable
        _check_finite("problem.coefficient", slope, closed, parameters)
    _check_finite("problem.forcing", forcing, sample, parameters)  # may be singular on the boundary
    _check_finite("problem.boundary", boundary, closed, parameters)
    _check_positive(coefficient, domain, sample, parameters)
    period = parse(settings.period, 0, tuple(parameters), where="problem.period")
    cell = float(at_points(period, np.empty((1, 0)), parameters)[0])
    if not (isfinite(cell) and cell > 0):
        raise UserError(f"problem.period={settings.period} is {cell:g}: write a positive length, such as eps")
    periodic = _is_periodic(coefficient, cell, sample, parameters)
    return Problem(settings.name, coefficient, forcing, boundary, domain, parameters, cell if periodic else None)


def _parameters(given: Mapping[str, float], eps: float) -> dict[str, float]:
    for name, value in given.items():
        taken = name in FUNCTIONS or name in ("pi", "eps", "u") or re.fullmatch(r"x\d+", name)
        if taken or keyword.iskeyword(name) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
            raise UserError(f"problem.parameters.{name!a}: choose another name for this parameter")
        if not isfinite(value):
            raise UserError(f"problem.parameters.{name}={value}: write a finite number")
    return {"eps": eps, **given}


def _check_finite(where: str, formula: Formula, points: np.ndarray, parameters: Mapping[str, float]) -> None:
    with np.errstate(all="ignore"):
        try:
            values = at_points(formula, points, parameters)
        except (OverflowError, ZeroDivisionError, ValueError):
            raise UserError(f"{where}={formula.text} has no finite value with these parameters") from None
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise UserError(f"{where}={formula.text} is {values[first]:g} at {_place(points[first])}: it must be finite")


def _check_positive(formula: Formula, domain: Box, points: np.ndarray, parameters: Mapping[str, float]) -> None:
    """Sample, then descend from the lowest points: a dip narrower than the sample's spacing is found too."""
    values = at_points(formula, points, parameters)
    lowest = points[np.argsort(values)[:8]]
    gradient = formula.gradient()
    bounds = list(zip(domain.lower, domain.upper, strict=True))
    for start in lowest:
        scale = parameters["eps"]  # steps in units of the fine scale
        with np.errstate(all="ignore"):
            found = minimize(
                lambda z, o=start, s=scale: float(at_points(formula, o + s * z, parameters)),
                np.zeros(domain.dimension),
                jac=lambda z, o=start, s=scale: (
                    s * np.array([float(at_points(g, o + s * z, parameters)) for g in gradient])
                ),
                bounds=[((low - x) / scale, (high - x) / scale) for (low, high), x in zip(bounds, start, strict=True)],
                method="L-BFGS-B",
            )
        place, value = start + scale * found.x, float(found.fun)
        if not value > 0:
            raise UserError(
                f"problem.coefficient={formula.text} is {value:.4g} at {_place(place)}: it must be positive on the"
                " whole domain"
            )


def _is_periodic(formula: Formula, period: float, points: np.ndarray, parameters: Mapping[str, float]) -> bool:
    """Whether a shift by one period along each axis leaves the coefficient as it is, up to rounding."""
    base = points[:256]
    values = at_points(formula, base, parameters)
    for axis in range(base.shape[1]):
        shifted = base.copy()
        shifted[:, axis] += period
        # a phase x/eps loses about |x|/eps units in the last place
        tolerance = 1e-12 + 1e-14 * float(np.abs(shifted).max()) / period
        if not np.allclose(
            at_points(formula, shifted, parameters),
            values,
            rtol=0,
            atol=tolerance * np.abs(values).max() * 100,
        ):
            return False
    return True


def _place(point: np.ndarray) -> str:
    return "(" + ", ".join(f"x{i + 1}={value:.6g}" for i, value in enumerate(point)) + ")"
