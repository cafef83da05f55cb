"""Finite elements by dolfinx: the only file that knows it. It runs in a child process; see `process`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from homog.formula import Formula
from homog.formula.evaluate import as_ufl, at_points
from homog.problems import Problem
from homog.references.lattice import Lattice
from homog.references.preconditioner import finite_volumes

_TOLERANCE = 1e-8  # algebraic error in the energy norm, relative
_MOST_ITERATIONS = 1_000

# The inner "ksp" is there for multigrid to see nothing but the finite-volume matrix: left to itself, it takes
# residuals with the finite elements' on the finest level, and is then not positive. One symmetric Gauss-Seidel sweep
# a level needs no guess of eigenvalues, as Chebyshev's iteration does.
_MULTIGRID = {
    "pc_type": "ksp",
    "ksp_ksp_type": "preonly",
    "ksp_pc_type": "gamg",
    "ksp_pc_gamg_threshold": "0.01",
    "ksp_mg_levels_ksp_type": "richardson",
    "ksp_mg_levels_ksp_max_it": "1",
    "ksp_mg_levels_pc_type": "sor",
}


@dataclass(frozen=True, eq=False)
class Task:
    """One linear system: a constant tensor, shape (d, d), in place of the problem's coefficient, or None for it."""

    lattice: Lattice
    tensor: np.ndarray | None = None


def solve(problem: Problem, tasks: Sequence[Task], cache: Path) -> list[np.ndarray]:
    """Continuous finite elements for -div(A grad u) = f, u = g on the boundary, one task after the other.

    The stiffness is integrated from the formula with degree + 1 Gauss points an axis of each cell, the load with
    one more. (Measured: with more points, or the coefficient interpolated at the nodes, the error changes by
    some per cent; with interpolation one degree lower at degree 3 it is 20 times as large.)

    The systems are solved by conjugate gradients, preconditioned by algebraic multigrid on the finite-volume matrix
    of the nodes: 20 to 30 iterations whatever the size and the degree. At 2.6 million unknowns of degree 4
    that took 16 s and 2.5 GB, a Cholesky factorisation by MUMPS 29 s and 5 GB; it grows linearly.

    Args:
        problem: Gives the coefficient, f and g.
        tasks: A task for the problem's own coefficient starts from the previous such solution: coarse ones first.
        cache: Folder for compiled forms.

    Returns:
        Nodal values of each, of the lattice's `shape`.

    Raises:
        RuntimeError: If the iteration does not converge.
    """
    solutions: list[np.ndarray] = []
    previous: tuple[Lattice, np.ndarray] | None = None
    for task in tasks:
        own = task.tensor is None
        guess = previous[0].interpolate(previous[1], task.lattice.nodes) if own and previous else None
        solutions.append(_solve(problem, task, guess, cache))
        if own:
            previous = task.lattice, solutions[-1]
    return solutions


def _solve(problem: Problem, task: Task, guess: np.ndarray | None, cache: Path) -> np.ndarray:
    dolfinx = import_dolfinx()
    fem, lattice = dolfinx.fem, task.lattice
    mesh = _mesh(dolfinx, lattice)
    space = fem.functionspace(mesh, ("Lagrange", lattice.degree))
    points = space.tabulate_dof_coordinates()[:, : lattice.dimension]
    positions = lattice.positions(points)

    stiffness, load = _forms(dolfinx, problem, task, space, cache)
    mesh.topology.create_connectivity(lattice.dimension - 1, lattice.dimension)
    facets = dolfinx.mesh.exterior_facet_indices(mesh.topology)
    on_boundary = fem.locate_dofs_topological(space, lattice.dimension - 1, facets)
    boundary = fem.Function(space)
    boundary.x.array[on_boundary] = at_points(problem.boundary, points[on_boundary], problem.parameters)
    condition = fem.dirichletbc(boundary, on_boundary)

    matrix = fem.assemble_matrix(stiffness, bcs=[condition])
    right = fem.assemble_vector(load)
    fem.apply_lifting(right.array, [stiffness], bcs=[[condition]])
    condition.set(right.array)

    nearby = finite_volumes(lattice, lambda axis, x: _across(problem, task, axis, x))
    nearby = nearby[positions][:, positions]
    start = np.zeros(lattice.unknowns) if guess is None else guess.ravel()[positions]
    start[on_boundary] = boundary.x.array[on_boundary]  # where the residual is then zero, and stays so
    found = _conjugate_gradients(
        (matrix.indptr, matrix.indices, matrix.data),
        (nearby.indptr, nearby.indices, nearby.data),
        right.array,
        start,
    )
    values = np.empty(lattice.unknowns)
    values[positions] = found
    return values.reshape(lattice.shape)


def import_dolfinx() -> Any:
    """The module dolfinx.

    Raises:
        ImportError: If it, or a library that it needs, is missing.
    """
    with suppress(ModuleNotFoundError):  # conda-forge's fenics-dolfinx has none
        import dolfinx_solver  # noqa: F401  # the wheel's own entry, which has to come before dolfinx
    import dolfinx
    import dolfinx.fem

    return dolfinx


def _mesh(dolfinx: Any, lattice: Lattice) -> Any:
    from mpi4py import MPI

    corners = [np.array(lattice.lower), np.array(lattice.upper)]
    cells = list(lattice.cells)
    if lattice.dimension == 1:
        return dolfinx.mesh.create_interval(MPI.COMM_SELF, cells[0], [corners[0][0], corners[1][0]])
    if lattice.dimension == 2:
        kind = dolfinx.mesh.CellType.quadrilateral
        return dolfinx.mesh.create_rectangle(MPI.COMM_SELF, corners, cells, kind)
    return dolfinx.mesh.create_box(MPI.COMM_SELF, corners, cells, dolfinx.mesh.CellType.hexahedron)


def _forms(dolfinx: Any, problem: Problem, task: Task, space: Any, cache: Path) -> tuple[Any, Any]:
    """The bilinear and the linear form; parameters are constants, so that they compile once for all values."""
    import ufl

    mesh, degree = space.mesh, task.lattice.degree
    constant = partial(dolfinx.fem.Constant, mesh)
    x, trial, test = ufl.SpatialCoordinate(mesh), ufl.TrialFunction(space), ufl.TestFunction(space)
    parameters = {name: constant(float(value)) for name, value in problem.parameters.items()}

    def term(formula: Formula) -> Any:
        if not formula.names:  # a number; UFL would drop a zero, and a form may not be empty
            return constant(float(at_points(formula, np.zeros(len(formula.axes)), problem.parameters)))
        return as_ufl(formula, x, parameters)

    coefficient = term(problem.coefficient) if task.tensor is None else constant(task.tensor)
    forcing, flux = term(problem.forcing), coefficient * ufl.grad(trial)
    stiffness = ufl.inner(flux, ufl.grad(test)) * ufl.dx(metadata={"quadrature_degree": 2 * degree})
    load = forcing * test * ufl.dx(metadata={"quadrature_degree": 2 * degree + 2})
    options = {"cache_dir": str(cache), "cffi_extra_compile_args": ["-O3"]}
    with FileLock(cache / ".lock"):
        purge(cache)
        return tuple(dolfinx.fem.form(form, jit_options=options) for form in (stiffness, load))  # type: ignore[return-value]


def purge(cache: Path) -> None:
    """Remove forms whose compilation was cut short: FFCx would wait for them and fail. Needs the folder's lock."""
    for source in cache.glob("libffcx_*.c"):
        if not source.with_suffix(".c.cached").exists():
            for file in cache.glob(source.stem + "*"):
                file.unlink()


def _across(problem: Problem, task: Task, axis: int, points: np.ndarray) -> np.ndarray:
    if task.tensor is None:
        return problem.coefficient_at(points)
    return np.full(points.shape[:-1], task.tensor[axis, axis])


Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # a sparse matrix: starts of the rows, columns, entries


def _conjugate_gradients(matrix: Rows, nearby: Rows, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The solution, in the place of `start`."""
    import petsc4py.PETSc

    PETSc: Any = petsc4py.PETSc  # its stubs know neither enumerations nor arrays

    def wrap(rows: Rows) -> Any:
        starts, columns, entries = rows
        structure = starts.astype(PETSc.IntType), columns.astype(PETSc.IntType, copy=False)
        wrapped = PETSc.Mat().createAIJWithArrays((right.size, right.size), (*structure, entries), comm=PETSc.COMM_SELF)
        wrapped.setOption(PETSc.Mat.Option.SPD, True)
        return wrapped

    options = PETSc.Options("homog_")
    for name, value in _MULTIGRID.items():
        options[name] = value
    solver = PETSc.KSP().create(PETSc.COMM_SELF)
    solver.setOptionsPrefix("homog_")
    solver.setOperators(wrap(matrix), wrap(nearby))
    solver.setType("cg")
    solver.setNormType(PETSc.KSP.NormType.NATURAL)
    solver.setTolerances(rtol=_TOLERANCE, max_it=_MOST_ITERATIONS)
    solver.setInitialGuessNonzero(True)
    solver.setFromOptions()
    solver.solve(
        PETSc.Vec().createWithArray(right, comm=PETSc.COMM_SELF),
        PETSc.Vec().createWithArray(start, comm=PETSc.COMM_SELF),
    )
    if solver.getConvergedReason() <= 0:
        raise RuntimeError(
            f"conjugate gradients stopped after {solver.getIterationNumber()} iterations without converging"
        )
    solver.destroy()
    return start
