"""Solutions for coefficients that vary along x1 alone: sine modes in x2, finite volumes in x1 on a fine graded grid."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import solve_banded

_MODES = 2000

Function = Callable[[np.ndarray], np.ndarray]


def solution(coefficient: Function, forcing: float, x: np.ndarray, y: np.ndarray, nodes: int = 20_000) -> np.ndarray:
    """u on the tensor grid of x and y in the unit square, zero on its boundary, -div(a(x1) grad u) = f constant.

    u is the sum of v_n(x1) sin(n pi x2), n odd, with -(a v')' + (n pi)^2 a v = 4 f/(n pi): a tridiagonal system for
    each n. Conductances are harmonic means by sums over a hundred points an interval, where intervals are short where
    log a changes: second order in the interval. Where a is small there is a bump of u as thin as that place, with
    layers as thin at both ends of it: it takes many modes, and Lanczos's factors make their sum end smoothly.
    """
    edges, means, harmonic = _intervals(coefficient, nodes)
    widths = np.diff(edges)
    conductance = harmonic / widths
    volumes = (widths[1:] + widths[:-1]) / 2
    mass = (means[1:] * widths[1:] + means[:-1] * widths[:-1]) / 2
    result = np.zeros((x.size, y.size))
    for n in range(1, _MODES, 2):
        wave = n * np.pi
        system = np.zeros((3, widths.size - 1))
        system[1] = conductance[1:] + conductance[:-1] + wave**2 * mass
        system[0, 1:] = system[2, :-1] = -conductance[1:-1]
        v = np.zeros(edges.size)
        v[1:-1] = solve_banded((1, 1), system, 4 * forcing / wave * volumes)
        result += np.sinc(n / _MODES) * np.interp(x, edges, v)[:, None] * np.sin(wave * y)
    return result


def lifted(coefficient: Function, x: np.ndarray, y: np.ndarray, nodes: int = 20_000) -> np.ndarray:
    """u = x1 on the boundary of the unit square, f = 0: x1 + w with div(a grad w) = -a'(x1), likewise by modes."""
    edges, means, harmonic = _intervals(coefficient, nodes)
    widths = np.diff(edges)
    conductance = harmonic / widths
    mass = (means[1:] * widths[1:] + means[:-1] * widths[:-1]) / 2
    result = np.tile(x[:, None], (1, y.size))
    for n in range(1, _MODES, 2):
        wave = n * np.pi
        system = np.zeros((3, widths.size - 1))
        system[1] = conductance[1:] + conductance[:-1] + wave**2 * mass
        system[0, 1:] = system[2, :-1] = -conductance[1:-1]
        w = np.zeros(edges.size)
        w[1:-1] = solve_banded((1, 1), system, 4 / wave * np.diff(harmonic))
        result += np.interp(x, edges, w)[:, None] * np.sin(wave * y)
    return result


def _intervals(coefficient: Function, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, and the arithmetic and harmonic means on each interval."""
    fine = np.linspace(0, 1, 1_000_001)
    change = np.abs(np.diff(np.log(coefficient(fine))))
    weight = np.concatenate([[0.0], np.cumsum(1 / fine.size + change / max(change.sum(), 1.0))])
    edges = np.interp(np.linspace(0, weight[-1], nodes + 1), weight, fine)
    inside, weights = np.polynomial.legendre.leggauss(12)
    points = edges[:-1, None] + np.diff(edges)[:, None] * (1 + inside) / 2
    values = coefficient(points)
    return edges, values @ weights / 2, 1 / ((1 / values) @ weights / 2)
