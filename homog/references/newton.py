"""Newton's method with damping, for whatever has a residual."""

import logging
from typing import NamedTuple, Protocol

import numpy as np

TOLERANCE = 1e-8  # algebraic error in the energy norm, relative
_MOST_STEPS = 15
_LEAST_DAMPING = 2.0**-5

_log = logging.getLogger("homog")


class NotConverged(Exception):
    """There is no solution, or Newton's method does not find it."""


class Residual(NamedTuple):
    """F(u), and the energy norm of u."""

    values: np.ndarray
    size: float


class Equation(Protocol):
    """F(u) = 0 for arrays of unknowns."""

    def residual(self, u: np.ndarray) -> Residual | None:
        """F(u), or None where it is not defined."""
        ...

    def correction(self, u: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """F'(u)^-1 residual, approximately: to 1e-4, say."""
        ...

    def norm(self, residual: np.ndarray) -> float:
        """About the energy norm of the error that a residual stands for."""
        ...


def newton(equation: Equation, start: np.ndarray) -> np.ndarray:
    """A root of F.

    A step is halved until the norm falls (Deuflhard, Newton Methods for Nonlinear Problems, section 3.1). The norm is
    that of the error, as far as the preconditioner knows it, and not that of the residual's entries: on an
    oscillating coefficient these say nothing.

    Args:
        equation: F, its linearisation and its norms.
        start: Where F is defined.

    Raises:
        NotConverged: If F is not defined at the start, or no step makes the norm smaller.
    """
    u, residual = start, equation.residual(start)
    if residual is None:
        raise NotConverged("the coefficient is not positive where Newton's method starts")
    norm = equation.norm(residual.values)
    for step in range(_MOST_STEPS):
        if norm <= TOLERANCE * residual.size:
            _log.debug("Newton's method: %d steps", step)
            return u
        correction, damping = equation.correction(u, residual.values), 1.0
        while True:
            trial = u - damping * correction
            found = equation.residual(trial)
            if found is not None and (reached := equation.norm(found.values)) < (1 - damping / 10) * norm:
                break
            damping /= 2
            if damping < _LEAST_DAMPING:
                raise NotConverged(_reason(u, norm / residual.size, step, found is None))
        u, residual, norm = trial, found, reached
    raise NotConverged(_reason(u, norm / residual.size, _MOST_STEPS, False))


def _reason(u: np.ndarray, residual: float, steps: int, at_the_edge: bool) -> str:
    why = "the coefficient is not positive at u beyond these" if at_the_edge else "there may be no solution"
    return (
        f"Newton's method stopped after {steps} steps at a relative residual of {residual:.1e} and u between"
        f" {u.min():.4g} and {u.max():.4g}: {why}"
    )
