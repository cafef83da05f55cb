"""Krylov iterations by PETSc, preconditioned by algebraic multigrid on a matrix near the one to be solved."""

from typing import Any

import numpy as np

_MOST_ITERATIONS = 1_000

# The inner "ksp" is there for multigrid to see nothing but the finite-volume matrix: left to itself, it takes
# residuals with the finite elements' on the finest level, and is then not positive. One symmetric Gauss-Seidel sweep
# a level needs no guess of eigenvalues, as Chebyshev's iteration does.
_OPTIONS = {
    "pc_type": "ksp",
    "ksp_ksp_type": "preonly",
    "ksp_pc_type": "gamg",
    "ksp_pc_gamg_threshold": "0.01",
    "ksp_mg_levels_ksp_type": "richardson",
    "ksp_mg_levels_ksp_max_it": "1",
    "ksp_mg_levels_pc_type": "sor",
}

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A sparse matrix: starts of the rows, columns, entries."""


class Multigrid:
    """A symmetric positive preconditioner, and what is solved with it.

    Args:
        nearby: The matrix that it is made from, symmetric and positive definite.
    """

    def __init__(self, nearby: Rows) -> None:
        import petsc4py.PETSc

        self._petsc: Any = petsc4py.PETSc  # its stubs know neither enumerations nor arrays
        options = self._petsc.Options("homog_")
        for name, value in _OPTIONS.items():
            options[name] = value
        self._nearby = self._wrap(nearby, symmetric=True)
        self._solver = self._petsc.KSP().create(self._petsc.COMM_SELF)
        self._solver.setOptionsPrefix("homog_")
        self._solver.setOperators(self._nearby, self._nearby)
        self._solver.setFromOptions()
        self._solver.setUp()
        self._solver.getPC().setReusePreconditioner(True)

    def norm(self, residual: np.ndarray) -> float:
        """The root of r . M^-1 r: the energy norm of the error behind a residual, as far as M is the matrix."""
        result = np.empty_like(residual)
        self._solver.getPC().apply(self._vector(residual), self._vector(result))
        return float(np.sqrt(residual @ result))

    def symmetric(self, matrix: Rows, right: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution by conjugate gradients, in the place of `start`; tolerance in the energy norm, relative."""
        self._solver.setType("cg")
        self._solver.setNormType(self._petsc.KSP.NormType.NATURAL)
        return self._solve(self._wrap(matrix, symmetric=True), right, start, tolerance)

    def general(self, matrix: Rows, right: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution by GMRES."""
        self._solver.setType("gmres")
        self._solver.setNormType(self._petsc.KSP.NormType.PRECONDITIONED)
        return self._solve(self._wrap(matrix, symmetric=False), right, np.zeros_like(right), tolerance)

    def close(self) -> None:
        """Give the memory back."""
        self._solver.destroy()

    def _solve(self, matrix: Any, right: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
        solver = self._solver
        solver.setOperators(matrix, self._nearby)
        solver.setTolerances(rtol=tolerance, max_it=_MOST_ITERATIONS)
        solver.setInitialGuessNonzero(True)
        solver.solve(self._vector(right), self._vector(start))
        if solver.getConvergedReason() <= 0:
            raise RuntimeError(
                f"{solver.getType()} stopped after {solver.getIterationNumber()} iterations without converging"
            )
        return start

    def _vector(self, values: np.ndarray) -> Any:
        return self._petsc.Vec().createWithArray(values, comm=self._petsc.COMM_SELF)

    def _wrap(self, rows: Rows, *, symmetric: bool) -> Any:
        PETSc, (starts, columns, entries) = self._petsc, rows
        structure = starts.astype(PETSc.IntType), columns.astype(PETSc.IntType, copy=False)
        size = starts.size - 1
        wrapped = PETSc.Mat().createAIJWithArrays((size, size), (*structure, entries), comm=PETSc.COMM_SELF)
        wrapped.setOption(PETSc.Mat.Option.SPD, symmetric)
        return wrapped
