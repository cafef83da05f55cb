"""The correctors of media in many dimensions: known exactly where a is a product of functions of one coordinate."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from homog.equation import Problem
from homog.equation.factors import axes_of_factors

_NODES = 4096  # an axis


@dataclass(frozen=True, eq=False)
class CorrectorsAlongAxes:
    """chi_i as functions of x_i alone: of a product of functions a_i, chi_i' = 1 / (a_i <1/a_i>) - 1.

    Attributes:
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        values: At equidistant nodes along each axis, shape (d, nodes); zero of a medium that is no product.
        delay: As of `homog.references.voxel_cell.Correctors`; not a number of a medium that is no product.
        lack: Likewise; zero, or infinite.
    """

    lower: Float64[np.ndarray, " d"]
    sides: Float64[np.ndarray, " d"]
    values: Float64[np.ndarray, "d nodes"]
    delay: Float64[np.ndarray, "d d"]
    lack: float
    exact: bool = False
    order: float = 1.0

    def at(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "d n"]:
        """At points, linear between the nodes."""
        places = ((points - self.lower) / self.sides % 1.0).T
        nodes = np.arange(_NODES + 1) / _NODES
        return np.stack(
            [np.interp(t, nodes, np.append(chi, chi[0])) for t, chi in zip(places, self.values, strict=True)]
        )


def correctors_along_axes(
    problem: Problem, lower: Float64[np.ndarray, " d"], sides: Float64[np.ndarray, " d"]
) -> CorrectorsAlongAxes:
    """Those of a linear problem with a cell.

    Args:
        problem: Its coefficient need not be a product: the correctors are then zero, and lack everything.
        lower: Corner of the cell.
        sides: Its sides.
    """
    dimension = len(sides)
    values, nodes = np.zeros((dimension, _NODES)), np.arange(_NODES) / _NODES
    if axes_of_factors(problem) is None:
        unknown = np.full((dimension, dimension), np.nan)
        return CorrectorsAlongAxes(lower, sides, values, unknown, np.inf)
    corner = float(problem.operator.coefficient_at(lower[None])[0])
    means, spread = np.ones(dimension), np.zeros(dimension)
    for axis, side in enumerate(sides):
        points = np.repeat(lower[None], _NODES, axis=0)
        points[:, axis] += side * nodes
        factor = problem.operator.coefficient_at(points) / corner
        slope = 1 / (factor * np.mean(1 / factor)) - 1
        waves = 2j * np.pi * np.fft.rfftfreq(_NODES, side / _NODES)
        waves[0] = 1.0  # the mean, which is zero
        values[axis] = np.fft.irfft(np.fft.rfft(slope) / waves, _NODES)
        means[axis] = factor.mean()
        spread[axis] = np.mean(factor * (values[axis] - np.mean(factor * values[axis]) / means[axis]) ** 2)
    delay = 2 * corner * np.diag([spread[i] * np.prod(np.delete(means, i)) for i in range(dimension)])
    return CorrectorsAlongAxes(lower, sides, values, delay, 0.0)
