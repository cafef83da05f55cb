"""The two parts of a velocity in the limit of a small eps: what stirs, and what carries."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import sympy

from homog.equation.problem import Problem, even_points
from homog.formula import Formula

_NOTHING = 1e-12  # of the largest |b|

Velocity = tuple[Formula, ...]


class Parts(NamedTuple):
    """b as the sum of two velocities, None where one of them is zero.

    Attributes:
        stirring: Has the coefficient's cell, and in it neither mean nor divergence: it changes a*.
        carrying: Does not vary with the cell: it stays in the equation for u_0.
    """

    stirring: Velocity | None
    carrying: Velocity | None


def parts_of_velocity(problem: Problem) -> Parts | None:
    """What becomes of b where eps tends to zero; None where it names eps and is no such sum.

    A b that does not name eps is one that carries, unless it stirs.
    """
    velocity = problem.operator.velocity
    if velocity is None:
        return Parts(None, None)
    if problem.stirs:
        return Parts(velocity, None)
    if not any("eps" in part.names for part in velocity):
        return Parts(None, velocity)
    if problem.cell is None or problem.operator.velocity_of_u or problem.dimension > 3:
        return None
    values = problem.operator.velocity_at(even_points(problem.cell)).reshape(-1, problem.dimension)
    size, mean = float(np.abs(values).max()), values.mean(0)
    mean[np.abs(mean) < _NOTHING * size] = 0
    carrying = tuple(Formula(f"{m:.6g}", sympy.Float(m), part.axes) for m, part in zip(mean, velocity, strict=True))
    rest = tuple(
        Formula(f"{part.text} - {m.text}", part.expression - m.expression, part.axes)
        for m, part in zip(carrying, velocity, strict=True)
    )
    if with_velocity(problem, rest).stirs:
        return Parts(rest, carrying)
    points = problem.domain.spread(len(values), np.random.default_rng(0))
    constant = np.abs(problem.operator.velocity_at(points) - mean).max() < _NOTHING * size
    return Parts(None, carrying) if constant else None


def with_velocity(problem: Problem, velocity: Velocity | None) -> Problem:
    """The problem with another velocity, or none, in the place of its own."""
    return problem.but(operator=replace(problem.operator, velocity=velocity))
