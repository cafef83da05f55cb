"""Problems whose solution is known: made from the solution, or the sine series of -Lap u = 10."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy
import torch
from torch import nn

from homog.equation import Boundary, Dirichlet, Neumann, Operator, Periodic, Problem, Robin
from homog.equation.boundary import Condition
from homog.equation.coefficient import read
from homog.fields.splines import Spline
from homog.formula import Formula, parse
from homog.formula.evaluate import torch_at_points

_NAMES = ("eps", "u", "field")


class Exact(nn.Module):
    """A formula as a network; its weight, one, is a factor."""

    def __init__(self, solution: str, problem: Problem) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.ones(()))
        self._formula = parse(solution, problem.dimension, ("eps",))
        self._values = problem.parameters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.height * torch_at_points(self._formula, x, self._values)


def with_solution(
    problem: Problem,
    coefficient: str | Sequence[Sequence[str]],
    solution: str,
    field: tuple[Spline, str] | None = None,
    reaction: str | None = None,
    walls: Sequence[str] | None = None,
    factor: str = "2 + x1",
    velocity: Sequence[str] | None = None,
) -> Problem:
    """The problem with this coefficient, and the forcing and what holds on the faces of this solution.

    Args:
        problem: Gives domain and parameters.
        coefficient: In x1, ..., eps, u and `field`; or the rows of a matrix.
        solution: In x1, ... and eps.
        field: A spline and the polynomial in x1, ... that it is.
        reaction: In x1, ... and eps.
        walls: For x1-, x1+, ... value, flux, robin or periodic; None: the value is given on all faces.
        factor: k of robin faces, in x1, ... and eps.
        velocity: In x1, ... and eps.
    """
    d = problem.dimension
    a, tensor = read(coefficient, problem.parameters, _NAMES[1:], problem.domain.corners())
    u = parse(solution, d, ("eps",))
    axes = [sympy.Symbol(axis, real=True) for axis in a.axes]

    def inserted(formula: Formula) -> sympy.Expr:
        found = formula.expression.subs({sympy.Symbol("u", real=True): u.expression})
        return found if field is None else found.subs({sympy.Symbol("field", real=True): parse(field[1], d).expression})

    slopes = [sympy.diff(u.expression, x) for x in axes]
    if tensor is None:
        flux = [inserted(a) * slope for slope in slopes]
    else:
        flux = [sum(inserted(part) * slope for part, slope in zip(row, slopes, strict=True)) for row in tensor.entries]
    divergence: Any = sum(sympy.diff(part, x) for part, x in zip(flux, axes, strict=True))
    c = None if reaction is None else parse(reaction, d, ("eps",))
    load: Any = -divergence if c is None else c.expression * u.expression - divergence
    b = None if velocity is None else tuple(parse(part, d, ("eps",)) for part in velocity)
    if b is not None:
        load = load + sum(part.expression * slope for part, slope in zip(b, slopes, strict=True))
    forcing, spline = Formula("f of the solution", load, a.axes), None if field is None else field[0]
    operator = Operator(a, forcing, problem.parameters, spline, c, tensor, b)
    boundary = Boundary.given(u, problem.parameters)
    if walls is not None:
        k, faces = parse(factor, d, ("eps",)), list[Condition]()
        for number, kind in enumerate(walls):
            outward: Any = (1 if number % 2 else -1) * flux[number // 2]
            given = Formula("q of the solution", outward, a.axes)
            both = Formula("q of the solution", outward + k.expression * u.expression, a.axes)
            faces.append(
                {"value": Dirichlet(u), "flux": Neumann(given), "robin": Robin(k, both), "periodic": Periodic()}[kind]
            )
        boundary = Boundary.of(faces, problem.domain, problem.parameters)
    return problem.but(operator=operator, boundary=boundary, cell=None)


def sine_series(axis: np.ndarray) -> np.ndarray:
    """-Lap u = 10 on the unit square, u = 0 on its boundary, on the tensor grid of two equal axes."""
    k = np.arange(1, 100, 2)
    sines = np.sin(np.pi * np.outer(axis, k))
    heights = 160 / np.pi**4 / (np.outer(k, k) * (k[:, None] ** 2 + k[None, :] ** 2))
    return sines @ heights @ sines.T
