"""Sparse factorisation by MUMPS: for matrices that iterations fail on."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

_MOST_MEMORY = 8_000  # MB of the factors, and at most half of what is free

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A sparse matrix: starts of the rows, columns, entries."""


class NotSolved(Exception):
    """A linear system that nothing here solves."""


class Factors:
    """Factors L D L^T or L U of a matrix, for as many right sides as there are.

    Args:
        matrix: Square.
        symmetric: Whether the matrix is.
    """

    def __init__(self, matrix: Rows, *, symmetric: bool) -> None:
        PETSc = petsc()
        options = PETSc.Options("homog_factors_")
        options["mat_mumps_icntl_23"] = str(min(_MOST_MEMORY, _free_memory() // 2))
        self._matrix = wrapped(matrix, symmetric=symmetric)  # whose arrays live as long as it does
        self._solver = PETSc.KSP().create(PETSc.COMM_SELF)
        self._solver.setOptionsPrefix("homog_factors_")
        self._solver.setOperators(self._matrix, self._matrix)
        self._solver.setType("gmres")
        factors = self._solver.getPC()
        factors.setType("cholesky" if symmetric else "lu")
        factors.setFactorSolverType("mumps")
        self._solver.setFromOptions()

    def __call__(self, right: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution, refined by GMRES until the preconditioned residual is small.

        Args:
            right: The right side.
            tolerance: Relative residual that is accepted.

        Raises:
            NotSolved: If the factors need more memory than there is, or are worth nothing: where the matrix is
                singular in double precision.
        """
        PETSc = petsc()
        self._solver.setTolerances(rtol=tolerance, atol=0.0, max_it=20)
        found = np.zeros_like(right)
        try:
            self._solver.solve(vector(right), vector(found))
            reason = self._solver.getConvergedReason()
        except PETSc.Error as error:
            raise NotSolved(f"it cannot be factorised (PETSc's error {error.ierr})") from None
        if reason == PETSc.KSP.ConvergedReason.DIVERGED_PCSETUP_FAILED:
            raise NotSolved("its factors take too much memory, or it is singular in double precision")
        if reason <= 0 or not np.isfinite(found).all():
            raise NotSolved("its factors are worth nothing in double precision")
        return found

    def unrefined(self, right: np.ndarray) -> np.ndarray:
        """What the factors alone make of a right side, in a third of the time; only after a solution was found."""
        found = np.empty_like(right)
        self._solver.getPC().apply(vector(right), vector(found))
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._solver.destroy()


def petsc() -> Any:
    """petsc4py.PETSc, whose stubs know neither enumerations nor arrays."""
    import petsc4py.PETSc

    return petsc4py.PETSc


def vector(values: np.ndarray) -> Any:
    """PETSc's view of an array."""
    PETSc = petsc()
    return PETSc.Vec().createWithArray(values, comm=PETSc.COMM_SELF)


def wrapped(rows: Rows, *, symmetric: bool = False, definite: bool = False) -> Any:
    """PETSc's view of a sparse matrix."""
    PETSc, (starts, columns, entries) = petsc(), rows
    structure = starts.astype(PETSc.IntType), columns.astype(PETSc.IntType, copy=False)
    size = starts.size - 1
    matrix = PETSc.Mat().createAIJWithArrays((size, size), (*structure, entries), comm=PETSc.COMM_SELF)
    matrix.setOption(PETSc.Mat.Option.SYMMETRIC, symmetric or definite)
    matrix.setOption(PETSc.Mat.Option.SPD, definite)
    return matrix


def _free_memory() -> int:
    """MB that are free, by the kernel's own estimate."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    return _MOST_MEMORY
