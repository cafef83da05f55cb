"""What is known of an effective tensor from the values of the coefficient and their shares alone."""

import math
from dataclasses import dataclass, replace

import numpy as np

from homog.equation import FIELD, Problem
from homog.fields.phases import Phases

_LOOKS = 2**20
_PHASES = 12  # different values, up to which they count as phases


@dataclass(frozen=True)
class Mixture:
    """Shares of the phases and the classical bounds of a*.

    Attributes:
        phases: Value and share in the volume of each phase, ascending; empty where the values vary.
        reuss: Harmonic mean of a, the least that x.a* x can be for |x| = 1 (Reuss 1929, for currents Wiener 1912); of
            a matrix A the least eigenvalue of <A^-1>^-1, which is no more than a*.
        voigt: Arithmetic mean, the most; of a matrix the largest eigenvalue of <A>. None where a velocity stirs, by
            which a* becomes larger without a bound.
        lower: Of a* where it is a multiple of the identity (Hashin and Shtrikman 1962); None of a matrix, or where a
            velocity stirs.
        upper: The other bound of such an a*.
    """

    phases: tuple[tuple[float, float], ...]
    reuss: float
    voigt: float | None
    lower: float | None
    upper: float | None

    @property
    def porosity(self) -> float | None:
        """Share of what conducts, where the rest does not at all; None without such holes."""
        holes = [share for value, share in self.phases if value == 0]
        return 1 - holes[0] if holes else None

    def tortuosity(self, tensor: np.ndarray) -> np.ndarray | None:
        """porosity a / a*_ii along each axis, a that of the one phase that conducts; None for other media."""
        if self.porosity is None or len(self.phases) != 2:
            return None
        conducting = max(value for value, _ in self.phases)
        with np.errstate(divide="ignore"):
            return self.porosity * conducting / np.diag(tensor)


def mixture(problem: Problem) -> Mixture:
    """The mixture that a cell of a linear problem is, by a million points of it; of an image by all its voxels."""
    found = _without_velocity(problem)
    return found if problem.operator.velocity is None else replace(found, voigt=None, lower=None, upper=None)


def _without_velocity(problem: Problem) -> Mixture:
    assert problem.cell is not None
    field, cell = problem.operator.field, problem.cell
    if problem.operator.tensor is not None:
        return _of_matrices(problem.operator.tensor_at(cell.spread(_LOOKS, np.random.default_rng(0))))
    if isinstance(field, Phases) and problem.operator.coefficient.names <= {FIELD}:
        shares = field.shares()
        values = problem.operator.coefficient_in(field.values)[shares > 0]
        shares = shares[shares > 0]
    else:
        values = problem.operator.coefficient_at(cell.spread(_LOOKS, np.random.default_rng(0)))
        shares = np.full(len(values), 1 / len(values))
    distinct, which = np.unique(values, return_inverse=True)
    by_value = np.bincount(which, weights=shares)
    phases = tuple(zip(distinct.tolist(), by_value.tolist(), strict=True)) if len(distinct) <= _PHASES else ()

    def bound(reference: float) -> float:
        """1 / <1 / (a + (d - 1) a_0)> - (d - 1) a_0, by a comparison medium a_0."""
        added = (problem.dimension - 1) * reference
        if not (values + added > 0).all():
            return 0.0
        return float(1 / np.sum(shares / (values + added)) - added)

    reuss = 0.0 if values.min() == 0 else float(1 / np.sum(shares / values))
    return Mixture(phases, reuss, math.fsum(shares * values), bound(values.min()), bound(values.max()))


def _of_matrices(values: np.ndarray) -> Mixture:
    """From A at evenly spread points, shape (n, d, d)."""
    least = np.linalg.inv(np.linalg.inv(values).mean(0))
    reuss, voigt = np.linalg.eigvalsh(least).min(), np.linalg.eigvalsh(values.mean(0)).max()
    return Mixture((), float(reuss), float(voigt), None, None)
