"""A space of functions on the free unknowns of a pencil, that grows vector by vector."""

from collections.abc import Iterable

import numpy as np

from homog.references.pencil import Inverse, Pencil

_MOST_VECTORS = 400
_MOST_NUMBERS = 5 * 10**8  # in all vectors together: 4 GB
_NOTHING = 1e-11  # what is left of a vector that is in the span of those before, relative


class Space:
    """A basis with V M V^T = 1, a vector a row, and V K V^T.

    Args:
        pencil: K and M.

    Attributes:
        size: Number of vectors.
        full: Whether a vector did not find room.
    """

    def __init__(self, pencil: Pencil) -> None:
        unknowns = pencil.unknowns
        most = min(_MOST_VECTORS, max(8, _MOST_NUMBERS // max(1, unknowns)))
        self._pencil = pencil
        self.size, self.full = 0, False
        self._vectors = np.empty((most, unknowns))  # memory that the system gives when it is written
        self._stiffness = np.zeros((most, most))

    @property
    def symmetric(self) -> bool:
        """Whether K is."""
        return self._pencil.symmetric

    @property
    def vectors(self) -> np.ndarray:
        """Shape (size, n)."""
        return self._vectors[: self.size]

    @property
    def stiffness(self) -> np.ndarray:
        """V K V^T."""
        return self._stiffness[: self.size, : self.size]

    def add(self, vector: np.ndarray) -> np.ndarray | None:
        """Take the part of a vector that is not in the space yet, and return it normalised; None where none is left."""
        mass, before = self._pencil.mass, self._norm(vector)
        if self.size == len(self._vectors):
            self.full = True
            return None
        for _ in range(2):
            vector = vector - (self.vectors @ (mass @ vector)) @ self.vectors
        left = self._norm(vector)
        if left <= _NOTHING * before:
            return None
        number = self.size
        self._vectors[number] = vector / left
        self.size += 1
        stiffness = self._pencil.stiffness
        along = self.vectors @ (stiffness @ self._vectors[number])
        self._stiffness[number, : self.size] = self._stiffness[: self.size, number] = along
        if not self._pencil.symmetric:
            self._stiffness[number, : self.size] = self.vectors @ (stiffness.T @ self._vectors[number])
        return self._vectors[number]

    def solved(self, inverse: Inverse, block: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Take the solution for M times each vector; returns what was new in them, normalised."""
        mass = self._pencil.mass
        return [found for vector in block if (found := self.add(inverse(mass @ vector))) is not None]

    def reduce(self, count: int) -> None:
        """Keep the modes of the first eigenvalues of V K V^T alone."""
        values, modes = np.linalg.eigh(self.stiffness)
        count = min(count, self.size)
        self._vectors[:count] = modes[:, :count].T @ self.vectors
        self._stiffness[:count, :count] = np.diag(values[:count])
        self.size = count

    def combined(self, shares: np.ndarray) -> np.ndarray:
        """The function with these coefficients."""
        return shares @ self._vectors[: len(shares)]

    def _norm(self, vector: np.ndarray) -> float:
        return float(np.sqrt(max(0.0, vector @ (self._pencil.mass @ vector))))
