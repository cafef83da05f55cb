"""Krylov iterations by PETSc, preconditioned by algebraic multigrid on a matrix near the one to be solved."""

from typing import Any

import numpy as np

from homog.references.factorisation import Factors, NotSolved, Rows, petsc, vector, wrapped

_MOST_ITERATIONS = 200  # 20 to 30 are the rule; factors cost as much as some fifty
_MOST_GENERAL_ITERATIONS = 150  # 7 to 16 are the rule

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
# With a velocity aggregates are left as they are: smoothed ones make an operator on the coarser level that blows up
# where |b| is 200 a (measured: by 1e5). Plain ones take a W-cycle, and 30 to 50 iterations.
_WITH_VELOCITY = {**_OPTIONS, "ksp_pc_gamg_agg_nsmooths": "0", "ksp_pc_mg_cycle_type": "w"}


class Multigrid:
    """A preconditioner, and what is solved with it.

    Where the iterations fail, the matrix is factorised, as far as memory allows it, and so are those after it: on a
    coefficient whose contrast is beyond 1e15 or so, rounding makes the multigrid hierarchy indefinite.

    Args:
        nearby: The matrix that it is made from, symmetric and positive definite, or with a velocity an M-matrix.
        symmetric: Whether it is symmetric.

    Raises:
        NotSolved: If no hierarchy can be made of it.
    """

    def __init__(self, nearby: Rows, *, symmetric: bool = True) -> None:
        self._petsc = petsc()
        self._failed = ""
        self._factors: tuple[Rows, Factors] | None = None  # of the last matrix that they were needed for
        prefix, given = ("homog_", _OPTIONS) if symmetric else ("homog_velocity_", _WITH_VELOCITY)
        options = self._petsc.Options(prefix)
        for name, value in given.items():
            options[name] = value
        self._nearby = wrapped(nearby, definite=symmetric)
        self._diagonal = self._nearby.getDiagonal().getArray().copy()
        self._solver = self._petsc.KSP().create(self._petsc.COMM_SELF)
        self._solver.setOptionsPrefix(prefix)
        self._solver.setOperators(self._nearby, self._nearby)
        self._solver.setFromOptions()
        try:
            self._solver.setUp()
        except self._petsc.Error as error:
            raise NotSolved(f"multigrid cannot be set up (PETSc's error {error.ierr})") from None
        self._solver.getPC().setReusePreconditioner(True)

    def norm(self, residual: np.ndarray) -> float:
        """The root of r . M^-1 r: the energy norm of the error behind a residual, as far as M is the matrix.

        Where M is not positive, its diagonal is taken.
        """
        result = np.empty_like(residual)
        self._solver.getPC().apply(vector(residual), vector(result))
        with np.errstate(over="ignore", invalid="ignore"):  # a step that led too far: the infinite norm refuses it
            square = float(residual @ result)
            if not (np.isfinite(square) and square >= 0):
                square = float(np.sum(residual**2 / self._diagonal))
        return float(np.sqrt(square))

    def symmetric(self, matrix: Rows, right: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution by conjugate gradients, in the place of `start`; tolerance in the energy norm, relative.

        Raises:
            NotSolved: If neither they nor a factorisation find it.
        """
        self._solver.setType("cg")
        self._solver.setNormType(self._petsc.KSP.NormType.NATURAL)
        return self._solve(matrix, right, start, tolerance, _MOST_ITERATIONS)

    def general(self, matrix: Rows, right: np.ndarray, start: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution by GMRES in the place of `start`; tolerance of the preconditioned residual, relative.

        Raises:
            NotSolved: As `symmetric` does.
        """
        self._solver.setType("gmres")
        self._solver.setNormType(self._petsc.KSP.NormType.PRECONDITIONED)
        return self._solve(matrix, right, start, tolerance, _MOST_GENERAL_ITERATIONS)

    def close(self) -> None:
        """Give the memory back."""
        self._solver.destroy()
        if self._factors is not None:
            self._factors[1].close()

    def _solve(self, matrix: Rows, right: np.ndarray, start: np.ndarray, tolerance: float, most: int) -> np.ndarray:
        definite = self._solver.getType() == "cg"
        found = start.copy()
        if not self._failed:
            self._failed = self._iterate(wrapped(matrix, definite=definite), right, found, tolerance, most)
            if not self._failed:
                return found
        try:
            return self._factorised(matrix, symmetric=definite)(right, tolerance)
        except NotSolved as error:
            raise NotSolved(f"{self._failed}, and {error}") from None

    def _factorised(self, matrix: Rows, *, symmetric: bool) -> Factors:
        """The factors of a matrix, made once for each."""
        if self._factors is None or self._factors[0] is not matrix:
            if self._factors is not None:
                self._factors[1].close()
            self._factors = matrix, Factors(matrix, symmetric=symmetric)
        return self._factors[1]

    def _iterate(self, matrix: Any, right: np.ndarray, found: np.ndarray, tolerance: float, most: int) -> str:
        """Improve `found` in place; what went wrong, or nothing."""
        solver = self._solver
        solver.setOperators(matrix, self._nearby)
        solver.setTolerances(rtol=tolerance, atol=0.0, divtol=1e30, max_it=most)
        solver.setInitialGuessNonzero(True)
        try:
            solver.solve(vector(right), vector(found))
        except self._petsc.Error as error:
            return f"{solver.getType()} failed (PETSc's error {error.ierr})"
        if solver.getConvergedReason() > 0 and np.isfinite(found).all():
            return ""
        return f"{solver.getType()} stopped after {solver.getIterationNumber()} iterations without converging"
