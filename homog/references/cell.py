"""The cell problem: what a periodic coefficient looks like from far away."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from homog.problems import Problem, tensor_grid

TOLERANCE = 1e-9  # largest change of a* (relative) between the last two grids

# Odd: an even grid has a highest frequency without a derivative. Products of 3 and 5: fast to transform.
_SIZES = (15, 27, 45, 81, 135, 243, 405, 729, 2187, 6561, 19683)
_MOST_POINTS = 600_000


def effective_tensor(problem: Problem) -> tuple[np.ndarray, float]:
    """The effective tensor a* of a periodic coefficient.

    a*_ij is the mean over a cell of a (e_i + grad chi_i) . (e_j + grad chi_j), where the periodic chi_i solve
    -div(a (e_i + grad chi_i)) = 0 (Bensoussan, Lions and Papanicolaou, Asymptotic Analysis for Periodic
    Structures, chapter 1). Discretised by trigonometric polynomials on finer and finer grids; an error of chi enters
    a* squared.

    Args:
        problem: With a `period`.

    Returns:
        a*, shape (d, d), symmetric; and its relative change between the last two grids, at most TOLERANCE
        unless the coefficient is too rough for the finest grid.

    Raises:
        ValueError: If the coefficient is not periodic.
    """
    if problem.period is None:
        raise ValueError("the coefficient is not periodic")
    tensor, change = np.zeros((problem.dimension, problem.dimension)), np.inf
    for size in _SIZES:
        if size**problem.dimension > _MOST_POINTS:
            break
        coarser, tensor = tensor, _tensor(_on_cell(problem, problem.period, size))
        change = float(np.abs(tensor - coarser).max() / np.abs(tensor).max())
        if change <= TOLERANCE:
            break
    return tensor, change


def _on_cell(problem: Problem, period: float, size: int) -> np.ndarray:
    """a on `size` equidistant points an axis of one cell, its far sides left out."""
    axes = [low + period / size * np.arange(size) for low in problem.domain.lower]
    return problem.coefficient_at(tensor_grid(axes))


def _tensor(coefficient: np.ndarray) -> np.ndarray:
    """a* on the cell [0, 1)^d from the coefficient's values on a grid."""
    dimension, shape = coefficient.ndim, coefficient.shape
    waves = [2 * np.pi * np.fft.fftfreq(n, 1 / n) for n in shape[:-1]]
    waves.append(2 * np.pi * np.fft.rfftfreq(shape[-1], 1 / shape[-1]))
    symbols = [1j * wave for wave in np.meshgrid(*waves, indexing="ij", sparse=True)]
    laplacian = -sum((symbol**2).real for symbol in symbols)
    inverse = np.divide(1, laplacian, out=np.zeros_like(laplacian), where=laplacian > 0)

    def back(transformed: np.ndarray) -> np.ndarray:
        return np.fft.irfftn(transformed, s=shape, axes=range(dimension))

    def gradient(values: np.ndarray) -> np.ndarray:
        transformed = np.fft.rfftn(values)
        return np.stack([back(symbol * transformed) for symbol in symbols])

    def minus_divergence(field: np.ndarray) -> np.ndarray:
        parts = [symbol * np.fft.rfftn(part) for symbol, part in zip(symbols, field, strict=True)]
        return back(-np.sum(parts, axis=0))

    def linear(function: Callable[[np.ndarray], np.ndarray]) -> LinearOperator:
        kind: Any = LinearOperator  # its __new__ takes what pyright looks for in its __init__
        size, flat = coefficient.size, lambda x: function(x.reshape(shape)).ravel()
        return kind((size, size), matvec=flat, dtype=np.float64)

    stiffness = linear(lambda chi: minus_divergence(coefficient * gradient(chi)))
    laplace = linear(lambda residual: back(inverse * np.fft.rfftn(residual)))
    flows = []  # e_i + grad chi_i, each of shape (d, *shape)
    for axis in range(dimension):
        unit = np.zeros((dimension, *shape))
        unit[axis] = 1
        # a(e_i + grad chi) may have rounding noise for a divergence: atol keeps cg from chasing it
        load = -minus_divergence(coefficient * unit).ravel()
        noise = 1e-13 * float(np.abs(coefficient).max()) * np.sqrt(coefficient.size)
        corrector, _ = cg(stiffness, load, rtol=1e-6, atol=noise, maxiter=1000, M=laplace)
        flows.append(unit + gradient(corrector.reshape(shape)))
    return np.array([[np.mean(coefficient * np.sum(p * q, axis=0)) for q in flows] for p in flows])
