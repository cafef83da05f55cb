"""The nonlinear equation: where Newton's method starts, and what is done where it fails."""

import logging
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from homog.references.elements import Elements
from homog.references.factorisation import NotSolved
from homog.references.kirchhoff import Kirchhoff
from homog.references.linear import solve_linear
from homog.references.multigrid import Multigrid
from homog.references.newton import NotConverged, Residual, newton

_GMRES_TOLERANCE = 1e-4  # of a Newton step, which is not worth more far from the solution
_LEAST_STEP = 2.0**-8

_log = logging.getLogger("homog")


def solve_nonlinear(elements: Elements, guess: np.ndarray | None) -> np.ndarray:
    """The solution of -div(A(x, u) grad u) + b(x, u).grad u + c(x, u) u = f(x, u) by Newton's method.

    Its matrix is that of v -> -div(A grad v + v dA/du grad u), which for w = A v is -lap w + div(w grad_x A / A): its
    adjoint has a maximum principle, so it has an inverse wherever A is positive. What fails is a start from afar.

    Without a guess, or where it leads nowhere, the start is Kirchhoff's: the linear equation for theta(u), exact where
    A is a product of functions of x and u. Where A does not depend on u, it is the linear problem at g. Where
    Kirchhoff's is not enough, the data are brought up little by little, theta on the boundary and f times a share that
    grows to one (natural continuation; Allgower and Georg, Numerical Continuation Methods, chapter 2). Where A is
    bounded from below by a positive number, each of these problems has a solution.

    Args:
        elements: The equation.
        guess: Near the solution, with its boundary values.

    Raises:
        NotConverged: If there is no solution, or none is found.
        NotSolved: If the linear solver fails.
    """
    if guess is not None:
        with suppress(NotConverged, NotSolved):
            return _newton(elements, guess, 1.0)
    path = _path(elements) if elements.law.nonlinear else None
    if path is None:
        return _from_extension(elements)
    try:
        return path.follow()
    except NotConverged:
        with suppress(NotConverged, NotSolved):  # where A has no lower bound, a share of the data may be too much
            return _from_extension(elements)
        raise


def _from_extension(elements: Elements) -> np.ndarray:
    """From the linear problem with all at the boundary values' continuation into the domain, where A is positive."""
    extension = elements.problem.boundary.at(elements.points)
    return _newton(elements, solve_linear(elements, elements.boundary_values, frozen=extension), 1.0)


@dataclass(frozen=True, eq=False)
class _Path:
    """The problems with a share of the data.

    Attributes:
        elements: The equation.
        kirchhoff: theta.
        linear: theta of all data, where the equation is linear in it.
    """

    elements: Elements
    kirchhoff: Kirchhoff
    linear: np.ndarray

    def follow(self) -> np.ndarray:
        """The solution for all data."""
        share, theta, slope = 0.0, np.zeros_like(self.linear), self.linear  # as far as it is known
        step, error = 1.0, None
        while True:
            step = min(step, 1 - share, self.kirchhoff.reach(theta, slope))
            if step < _LEAST_STEP:
                raise self._ended(share, theta, error)
            try:
                found = self._solve(share + step, theta + step * slope)
            except (NotConverged, NotSolved) as failure:
                _log.debug("share %.4g: %s", share + step, failure)
                error, step = failure, step / 2
                continue
            share += step
            if share >= 1:
                return found
            reached = self.kirchhoff(found)
            theta, slope, step = reached, (reached - theta) / step, 2 * step

    def _solve(self, share: float, theta: np.ndarray) -> np.ndarray:
        start = self.kirchhoff.inverse(theta)
        there = self.elements.on_boundary
        start[there] = self.elements.boundary_values[there]
        if share < 1:
            start[there] = self.kirchhoff.inverse(share * self.kirchhoff(start[there]))
        return _newton(self.elements, start, share)

    def _ended(self, share: float, theta: np.ndarray, error: Exception | None) -> Exception:
        """Why the path leads no further."""
        if isinstance(error, NotSolved):
            return error
        u = self.kirchhoff.inverse(theta)
        low, high = float(u.min()), float(u.max())
        edge = self.kirchhoff.ends_near(low, high)
        why = "the coefficient is not positive at u beyond these" if edge else "there may be no solution"
        found = f"a solution for {100 * share:.0f} %" if share > 0 else f"no solution for {100 * _LEAST_STEP:.1g} %"
        return NotConverged(
            f"Newton's method finds {found} of f and of the variation of g, with u between {low:.4g} and {high:.4g},"
            f" and none for more: {why}"
        )


def _path(elements: Elements) -> _Path | None:
    """None where no constant makes the coefficient positive."""
    values = elements.boundary_values[elements.on_boundary]
    values = values if values.size else np.zeros(1)
    for reference in (values.mean(), values.min(), values.max()):
        flat = np.full(elements.lattice.unknowns, reference)
        if elements.residual(flat) is not None:
            scale = float(values.max() - values.min()) or abs(float(reference)) or 1.0
            kirchhoff = Kirchhoff(elements.problem, float(reference), scale)
            lifted = np.zeros_like(flat)
            lifted[elements.on_boundary] = kirchhoff(elements.boundary_values[elements.on_boundary])
            return _Path(elements, kirchhoff, solve_linear(elements, lifted, frozen=flat))
    return None


def _newton(elements: Elements, start: np.ndarray, share: float) -> np.ndarray:
    if elements.residual(start, share) is None:
        raise NotConverged("the coefficient is not positive where Newton's method starts")
    multigrid = Multigrid(elements.nearby(start), symmetric=elements.symmetric)
    try:
        return newton(_Equation(elements, multigrid, share), start)
    finally:
        multigrid.close()


@dataclass(frozen=True, eq=False)
class _Equation:
    """The discretised equation as Newton's method wants it."""

    elements: Elements
    multigrid: Multigrid
    share: float

    def residual(self, u: np.ndarray) -> Residual | None:
        return self.elements.residual(u, self.share)

    def correction(self, u: np.ndarray, residual: np.ndarray) -> np.ndarray:
        matrix, start = self.elements.stiffness(u), np.zeros_like(residual)
        return self.elements.joined(self.multigrid.general(matrix, residual, start, _GMRES_TOLERANCE))

    def norm(self, residual: np.ndarray) -> float:
        return self.multigrid.norm(residual)
