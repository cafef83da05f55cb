"""Periodic faces of a mesh: the nodes of the upper one are copies of those of the lower one."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from homog.domains import ABSORBING, PERIODIC, Walls
from homog.references.lattice import Lattice


class Copies:
    """What is at a copy belongs to its original.

    Args:
        lattice: The nodes.
        positions: Where each unknown lies in the flattened lattice.
        walls: The kinds of the faces.

    Attributes:
        originals: Of each unknown its own number, or that of what it is a copy of.
    """

    def __init__(self, lattice: Lattice, positions: np.ndarray, walls: Walls) -> None:
        places = np.stack(np.unravel_index(positions, lattice.shape))
        for axis, kind in enumerate(walls.below):
            if kind == PERIODIC:
                places[axis][places[axis] == lattice.shape[axis] - 1] = 0
        numbers = np.empty(lattice.unknowns, dtype=np.int64)
        numbers[positions] = np.arange(lattice.unknowns)
        self.originals = numbers[np.ravel_multi_index(tuple(places), lattice.shape)]
        self._copies = np.flatnonzero(self.originals != np.arange(lattice.unknowns))

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """What a form has at copies, added to what it has at their originals, in place; zero at copies."""
        np.add.at(values, self.originals[self._copies], values[self._copies])
        values[self._copies] = 0
        return values

    def joined(self, u: np.ndarray) -> np.ndarray:
        """u with the values of originals at their copies."""
        return u[self.originals]

    def matrix(self, of_all: sp.csr_matrix) -> sp.csr_matrix:
        """A matrix of all unknowns as one of the originals, a row of the unit matrix for each copy."""
        if not self._copies.size:
            return of_all
        unit = np.zeros(len(self.originals))
        unit[self._copies] = 1
        found = sp.csr_matrix(self._originals_of_all.T @ of_all @ self._originals_of_all + sp.diags(unit))
        found.sort_indices()
        return found

    @cached_property
    def _originals_of_all(self) -> sp.csr_matrix:
        own = np.arange(len(self.originals))
        return sp.csr_matrix((np.ones(len(own)), (own, self.originals)), shape=(len(own), len(own)))


def held(lattice: Lattice, positions: np.ndarray, walls: Walls) -> np.ndarray:
    """Numbers of the unknowns on faces where u is given, int32."""
    places = np.stack(np.unravel_index(positions, lattice.shape))
    given = np.zeros(lattice.unknowns, dtype=bool)
    for axis, (below, above) in enumerate(zip(walls.below, walls.above, strict=True)):
        last = lattice.shape[axis] - 1
        given |= (places[axis] == 0) & (below == ABSORBING) | (places[axis] == last) & (above == ABSORBING)
    return np.flatnonzero(given).astype(np.int32)
