"""Stiffness and mass matrix of one equation, for what depends on time and for eigenvalues."""

from types import TracebackType
from typing import Self

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from homog.references.elements import Elements
from homog.references.factorisation import Factors, NotSolved
from homog.references.multigrid import Multigrid
from homog.references.newton import NotConverged

_FACTORED = 2  # dimensions in which factors, made once for many right sides, cost less than iterations
_MASS = 1e-12  # tolerance of the iterations with the mass matrix, which take about 20


class Pencil:
    """K and M of -div(A grad u) + b.grad u + c u = l u, on the n unknowns that are free: neither given nor copies.

    Args:
        elements: The equation; nothing in it depends on u.

    Raises:
        NotConverged: If A is not positive.

    Attributes:
        elements: The equation.
        unknowns: n.
        stiffness: K, shape (n, n); it has b, c and the factors k of faces in it.
        mass: M, likewise, symmetric.
        symmetric: Whether K is: without a velocity.
        lifted: K times the boundary values, shape (n,).
        mass_lifted: M times these, likewise.
    """

    def __init__(self, elements: Elements) -> None:
        self.elements = elements
        given, self.symmetric = elements.boundary_values, elements.symmetric
        flow = elements.residual(given, share=0.0)
        if flow is None:
            raise NotConverged("the coefficient is not positive on the whole domain")
        free = elements.joined(np.arange(elements.lattice.unknowns)) == np.arange(elements.lattice.unknowns)
        free[elements.on_boundary] = False
        self._free = np.flatnonzero(free)
        self.unknowns = self._free.size
        starts, columns, entries = elements.stiffness(given)
        self.stiffness = self._of_free(sp.csr_matrix((entries, columns, starts)))
        mass = elements.mass()
        self.mass = self._of_free(mass)
        self.lifted, self.mass_lifted = flow.values[self._free], (mass @ given)[self._free]

    def load(self, values: np.ndarray) -> np.ndarray:
        """The entries of the free unknowns, of what `Elements.load` returns."""
        return values[self._free]

    def restricted(self, nodal: np.ndarray) -> np.ndarray:
        """What nodal values, of the lattice's shape, are at the free unknowns."""
        return nodal.ravel()[self.elements.positions][self._free]

    def extended(self, free: np.ndarray) -> np.ndarray:
        """Nodal values on the lattice, of the lattice's shape, of what is known at the free unknowns."""
        elements = self.elements
        all_of_them = elements.boundary_values.copy()
        all_of_them[self._free] = free
        return elements.on_lattice(elements.joined(all_of_them))

    def projected(self, load: np.ndarray) -> np.ndarray:
        """M^-1 load.

        Raises:
            NotSolved: If conjugate gradients fail.
        """
        diagonal = sp.diags(1 / self.mass.diagonal())
        found, failed = scipy.sparse.linalg.cg(self.mass, load, rtol=_MASS, maxiter=1000, M=diagonal)
        if failed:
            raise NotSolved("the initial value cannot be projected onto the elements")
        return found

    def nearby(self) -> sp.csr_matrix:
        """Finite volumes close to K."""
        starts, columns, entries = self.elements.nearby(self.elements.boundary_values)
        return self._of_free(sp.csr_matrix((entries, columns, starts)))

    def _of_free(self, matrix: sp.csr_matrix) -> sp.csr_matrix:
        found = sp.csr_matrix(matrix[self._free][:, self._free])
        found.sort_indices()
        return found


class Inverse:
    """(M + s K)^-1 or (K + s M)^-1 of a pencil, a context manager.

    By a factorisation in one and two dimensions, as far as memory allows it; else by iterations.

    Args:
        pencil: K and M.
        of_mass: The factor of M.
        of_stiffness: The factor of K.
        tolerance: Of each solve, relative. Factors are held to it by the first alone.
    """

    def __init__(self, pencil: Pencil, of_mass: float, of_stiffness: float, tolerance: float) -> None:
        self._pencil, self._shares, self._tolerance = pencil, (of_mass, of_stiffness), tolerance
        matrix = sp.csr_matrix(of_mass * pencil.mass + of_stiffness * pencil.stiffness)
        self._matrix = matrix.indptr, matrix.indices, matrix.data
        self._factors: Factors | None = None
        self._sound = False  # the factors
        self._multigrid: Multigrid | None = None
        if pencil.elements.lattice.dimension <= _FACTORED:
            self._factors = Factors(self._matrix, symmetric=pencil.symmetric)

    def __call__(self, right: np.ndarray) -> np.ndarray:
        """The solution for one right side.

        Raises:
            NotSolved: If neither factors nor iterations find it.
        """
        if self._factors is not None:
            if self._sound:
                return self._factors.unrefined(right)
            try:
                found = self._factors(right, self._tolerance)
                self._sound = True
                return found
            except NotSolved:
                self._factors.close()
                self._factors = None
        if self._multigrid is None:
            self._multigrid = Multigrid(self._nearby(), symmetric=self._pencil.symmetric)
        solve = self._multigrid.symmetric if self._pencil.symmetric else self._multigrid.general
        return solve(self._matrix, right, np.zeros_like(right), self._tolerance)

    def _nearby(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        of_mass, of_stiffness = self._shares
        lumped = np.asarray(self._pencil.mass.sum(axis=1)).ravel()
        volumes = np.maximum(lumped, self._pencil.mass.diagonal())  # beside given values a row's sum lacks a part
        nearby = sp.csr_matrix(of_stiffness * self._pencil.nearby() + sp.diags(of_mass * volumes))
        nearby.sort_indices()
        return nearby.indptr, nearby.indices, nearby.data

    def close(self) -> None:
        """Give the memory back."""
        for solver in (self._factors, self._multigrid):
            if solver is not None:
                solver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
