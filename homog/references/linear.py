"""The linear equation, and the nonlinear one with its coefficient frozen."""

import numpy as np

from homog.references.elements import Elements
from homog.references.multigrid import Multigrid
from homog.references.newton import TOLERANCE, NotConverged


def solve_linear(
    elements: Elements, lifted: np.ndarray, *, start: np.ndarray | None = None, frozen: np.ndarray | None = None
) -> np.ndarray:
    """The solution of -div(A grad u) = f.

    Args:
        elements: The equation.
        lifted: Has the boundary values.
        start: Near the solution, with the boundary values; None where nothing is known.
        frozen: The values of u that A is taken at; a linear law needs none.

    Raises:
        NotConverged: If A is not positive.
        NotSolved: If the linear solver fails.
    """
    at = lifted if frozen is None else frozen
    residual = elements.residual(lifted, frozen=at)
    if residual is None:  # the problem was checked, but on a sample
        raise NotConverged("the coefficient is not positive on the whole domain")
    multigrid = Multigrid(elements.nearby(at))
    guess = np.zeros_like(lifted) if start is None else start - lifted
    found = multigrid.symmetric(elements.stiffness(at, frozen=True), -residual.values, guess, TOLERANCE)
    multigrid.close()
    return lifted + found
