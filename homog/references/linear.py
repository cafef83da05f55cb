"""The linear equation, and the nonlinear one with its coefficient frozen."""

from types import TracebackType
from typing import Self

import numpy as np

from homog.references.elements import Elements
from homog.references.factorisation import Factors, NotSolved
from homog.references.multigrid import Multigrid
from homog.references.newton import TOLERANCE, NotConverged

_HIGH_CONTRAST = 1e4  # from which on rounding errors are looked at
_MOST_CONTRAST = 1e14  # in one dimension, where all that flows passes the least value, beside the rounded largest
_MOST_CHANGE = 1e-6  # by rounding errors, relative
_MOST_REFINEMENTS = 10
_REFINEMENT = 1e-3  # tolerance of each


def solve_linear(
    elements: Elements, lifted: np.ndarray, *, start: np.ndarray | None = None, frozen: np.ndarray | None = None
) -> np.ndarray:
    """The solution of -div(A grad u) + b.grad u + c u = f.

    By a factorisation in one dimension, where it costs next to nothing and multigrid's idea of the error is of no use
    from a contrast of 1e4 on; else by conjugate gradients, or with a velocity by GMRES.

    At a high contrast the matrix itself is inexact: the sum of a row is zero, but for rounding, and where the
    coefficient is large around a place and small beyond, that is more than what flows out of there. The residual, which
    takes the gradient of u before it is multiplied, does not have that error, so the solution is refined by it.

    Args:
        elements: The equation.
        lifted: Has the boundary values.
        start: Near the solution, with the boundary values; None where nothing is known.
        frozen: The values of u that A, b, c and f are taken at; a linear equation needs none.

    Raises:
        NotConverged: If A is not positive.
        NotSolved: If the linear solver fails, or the contrast is too much for double precision.
    """
    at = lifted if frozen is None else frozen
    residual = elements.residual(lifted, frozen=at)
    if residual is None:  # the problem was checked, but on a sample
        raise NotConverged("the coefficient is not positive on the whole domain")
    if elements.lattice.dimension == 1 and elements.contrast > _MOST_CONTRAST:
        raise _too_much(elements)
    guess = np.zeros_like(lifted) if start is None else start - lifted
    with _Solver(elements, at) as solver:
        u = elements.joined(lifted + solver(-residual.values, guess, TOLERANCE))
        if elements.contrast < _HIGH_CONTRAST:
            return u
        for _ in range(_MOST_REFINEMENTS):
            change = elements.joined(solver(-_residual(elements, u, at), np.zeros_like(u), _REFINEMENT))
            u = u + change
            share = float(np.linalg.norm(change) / (np.linalg.norm(u) or 1.0))
            if share <= _MOST_CHANGE:
                return u
    raise _too_much(elements)


def _too_much(elements: Elements) -> NotSolved:
    return NotSolved(f"a contrast of {elements.contrast:.0e} in the coefficient is too much for double precision")


def _residual(elements: Elements, u: np.ndarray, at: np.ndarray) -> np.ndarray:
    found = elements.residual(u, frozen=at)
    assert found is not None  # it was at the same values
    return found.values


class _Solver:
    """The linear solver, for several right sides."""

    def __init__(self, elements: Elements, at: np.ndarray) -> None:
        self._matrix, self._symmetric = elements.stiffness(at, frozen=True), elements.symmetric
        self._by: Factors | Multigrid
        if elements.lattice.dimension == 1:
            self._by = Factors(self._matrix, symmetric=elements.symmetric)
        else:
            self._by = Multigrid(elements.nearby(at), symmetric=self._symmetric)

    def __call__(self, right: np.ndarray, guess: np.ndarray, tolerance: float) -> np.ndarray:
        if isinstance(self._by, Factors):
            return self._by(right, tolerance)
        solve = self._by.symmetric if self._symmetric else self._by.general
        return solve(self._matrix, right, guess, tolerance)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._by.close()
