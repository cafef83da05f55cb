"""The cell problem: what a periodic coefficient looks like from far away."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from homog.problems import Problem, tensor_grid

TOLERANCE = 1e-9  # largest change of a* (relative) between the last two grids
_FIELD_TOLERANCE = 1e-6  # a spline has three derivatives, and one sample's a* is further from another's

# Odd: an even grid has a highest frequency without a derivative. Products of 3 and 5: fast to transform.
_SIZES = (15, 27, 45, 81, 135, 243, 405, 729, 2187, 6561, 19683)


def effective_tensor(problem: Problem, u: float = 0.0, most_points: int = 600_000) -> tuple[np.ndarray, float]:
    """The effective tensor a*(u) of a periodic coefficient at one value of the solution.

    a*_ij is the mean over a cell of a (e_i + grad chi_i) . (e_j + grad chi_j), where the periodic chi_i solve
    -div(a (e_i + grad chi_i)) = 0 (Bensoussan, Lions and Papanicolaou, Asymptotic Analysis for Periodic
    Structures, chapter 1). Discretised by trigonometric polynomials on finer and finer grids; an error of chi enters
    a* squared. On the small scale u is a constant: a coefficient a(x/eps, u) has the limit a*(u) of its tensors at
    each u (Artola and Duvaut, C. R. Acad. Sci. Paris 284, 1977).

    Args:
        problem: With a cell; see `cell_sides`.
        u: Value of the solution; a linear problem has no use for it.
        most_points: Of the finest grid that is tried.

    Returns:
        a*, shape (d, d), symmetric; and its relative change between the last two grids, at most `tolerance`
        unless the coefficient is too rough for the finest grid.

    Raises:
        ValueError: If the coefficient is not periodic, or not positive at this u.
    """
    sides = cell_sides(problem)
    if sides is None:
        raise ValueError("the coefficient is not periodic")
    tensor, change = np.zeros((problem.dimension, problem.dimension)), np.inf
    for size in _SIZES:
        if size**problem.dimension > most_points:
            break
        coarser, tensor = tensor, _tensor(_on_cell(problem, sides, size, u), sides)
        change = float(np.abs(tensor - coarser).max() / np.abs(tensor).max())
        if change <= tolerance(problem):
            break
    return tensor, change


def tolerance(problem: Problem) -> float:
    """The relative change of a* between two grids at which the finer one is fine enough."""
    return TOLERANCE if problem.field is None else _FIELD_TOLERANCE


def cell_sides(problem: Problem) -> np.ndarray | None:
    """The sides of a period of the coefficient, shape (d,), or None.

    Of a field that continues periodically over the faces of the domain, and enters the coefficient together with no
    coordinate, that is the whole domain.
    """
    if problem.period is not None:
        return np.full(problem.dimension, problem.period)
    field, box = problem.field, problem.domain
    if field is None or not field.periodic or problem.coefficient.names & set(problem.coefficient.axes):
        return None
    return box.sides if (field.lower, field.upper) == (box.lower, box.upper) else None


def _on_cell(problem: Problem, sides: np.ndarray, size: int, u: float) -> np.ndarray:
    """a on `size` equidistant points an axis of one cell, its far sides left out."""
    axes = [low + side / size * np.arange(size) for low, side in zip(problem.domain.lower, sides, strict=True)]
    with np.errstate(all="ignore"):
        coefficient = problem.coefficient_at(tensor_grid(axes), u)
    if not (np.isfinite(coefficient).all() and coefficient.min() > 0):
        raise ValueError(f"the coefficient is not positive at u={u:.4g}")
    return coefficient


def _tensor(coefficient: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """a* from the coefficient's values on a grid of a cell."""
    dimension, shape = coefficient.ndim, coefficient.shape
    lengths = sides / sides.max()  # a* knows no scale
    waves = [2 * np.pi * np.fft.fftfreq(n, side / n) for n, side in zip(shape[:-1], lengths, strict=False)]
    waves.append(2 * np.pi * np.fft.rfftfreq(shape[-1], lengths[-1] / shape[-1]))
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
