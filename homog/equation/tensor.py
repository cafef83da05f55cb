"""A coefficient that is a symmetric matrix of formulas."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float

from homog.formula import Formula
from homog.formula.evaluate import at_points
from homog.formula.logistic import stable


@dataclass(frozen=True, eq=False)
class Tensor:
    """A, symmetric.

    Attributes:
        text: What the user wrote.
        entries: A_ij, by rows; of A_ij and A_ji one formula.
    """

    text: str
    entries: tuple[tuple[Formula, ...], ...]

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.entries)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that occur in it."""
        return frozenset[str]().union(*(formula.names for row in self.entries for formula in row))

    @property
    def is_diagonal(self) -> bool:
        """Whether nothing is off the diagonal."""
        return all(formula.expression == 0 for i, row in enumerate(self.entries) for formula in row[:i])

    @property
    def lower(self) -> tuple[Formula, ...]:
        """The entries up to the diagonal, by rows."""
        return tuple(formula for i, row in enumerate(self.entries) for formula in row[: i + 1])

    def mean_of_diagonal(self) -> Formula:
        """tr A / d."""
        whole: Any = sum(row[i].expression for i, row in enumerate(self.entries)) / sympy.Integer(self.dimension)
        return Formula(self.text, stable(whole), self.entries[0][0].axes)

    def minors(self) -> tuple[Formula, ...]:
        """What is positive, all of it, exactly where A is: its leading principal minors (Sylvester).

        Of a diagonal matrix the entries themselves.
        """
        if self.is_diagonal:
            return tuple(replace(row[i], text=f"{self.text}: its entry") for i, row in enumerate(self.entries))
        matrix: Any = sympy.Matrix([[formula.expression for formula in row] for row in self.entries])
        found = []
        for size in range(1, self.dimension + 1):
            minor = matrix[:size, :size].det(method="berkowitz")
            found.append(Formula(f"{self.text}: its leading minor", stable(minor), self.entries[0][0].axes))
        return tuple(found)

    def at(self, points: Float[np.ndarray, "*batch d"], names: Mapping[str, Any]) -> Float[np.ndarray, "*batch d d"]:
        """A at points of shape (..., d)."""
        found: np.ndarray | None = None
        for i, row in enumerate(self.entries):
            for j, formula in enumerate(row[: i + 1]):
                values = at_points(formula, points, names)
                if found is None:
                    found = np.empty((*values.shape, self.dimension, self.dimension), dtype=values.dtype)
                found[..., i, j] = found[..., j, i] = values
        assert found is not None
        return found

    def derivative(self, name: str) -> "Tensor":
        """dA by one name."""
        return Tensor(self.text, tuple(tuple(formula.derivative(name) for formula in row) for row in self.entries))


def least_eigenvalues(tensors: Float[np.ndarray, "*batch d d"]) -> Float[np.ndarray, "*batch"]:
    """The least eigenvalue of each symmetric matrix; not a number where one is not finite."""
    finite = np.asarray(np.isfinite(tensors).all((-1, -2)))
    return np.where(finite, np.linalg.eigvalsh(np.where(finite[..., None, None], tensors, 0.0))[..., 0], np.nan)
