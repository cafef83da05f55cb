"""Finite elements by dolfinx: the only file that knows it. It runs in a child process; see `process`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from homog.formula.evaluate import as_ufl, at_points
from homog.problems import Problem
from homog.references.lattice import Lattice
from homog.references.laws import Law
from homog.references.multigrid import Multigrid, Rows
from homog.references.newton import TOLERANCE, NotConverged, Residual, newton
from homog.references.preconditioner import finite_volumes

_GMRES_TOLERANCE = 1e-4  # of a Newton step, which is not worth more far from the solution


@dataclass(frozen=True, eq=False)
class Task:
    """One equation on one lattice.

    Attributes:
        lattice: The nodes.
        law: A of -div(A grad u) = f.
        continued: Whether it starts from the solution of the task before.
    """

    lattice: Lattice
    law: Law
    continued: bool = False


def solve(problem: Problem, tasks: Sequence[Task], cache: Path) -> list[np.ndarray]:
    """Continuous finite elements for -div(A grad u) = f, u = g on the boundary, one task after the other.

    A is evaluated by NumPy at degree + 1 Gauss points an axis of each cell, whatever it is made of; the load is
    integrated with one more. (Measured: with more points, or the coefficient interpolated at the nodes, the error
    changes by some per cent; with interpolation one degree lower at degree 3 it is 20 times as large.)

    Linear systems are solved by conjugate gradients, preconditioned by algebraic multigrid on the finite-volume matrix
    of the nodes: 20 to 30 iterations whatever the size and the degree. At 2.6 million unknowns of degree 4
    that took 16 s and 2.5 GB, a Cholesky factorisation by MUMPS 29 s and 5 GB; it grows linearly. Where A depends on u,
    Newton's method is around GMRES with the same preconditioner, made once for A at the start: 7 to 16 iterations a
    step. The paper's nonlinear problem at eps = 0.01 takes five steps on the lattice of u_0, then two on each of 1.4
    and 2.6 million unknowns: 37 s of one core and 3.1 GB in all.

    Args:
        problem: Gives f, g and the parameters.
        tasks: Those that continue others after these.
        cache: Folder for compiled forms.

    Returns:
        Nodal values of each, of the lattice's `shape`.

    Raises:
        NotConverged: If no solution of a nonlinear problem is found, or the coefficient is not positive.
        RuntimeError: If a linear iteration does not converge.
    """
    solutions: list[np.ndarray] = []
    for number, task in enumerate(tasks):
        guess = None
        if task.continued:
            guess = tasks[number - 1].lattice.interpolate(solutions[-1], task.lattice.nodes)
        solutions.append(_solve(Elements(problem, task.lattice, task.law, cache), guess))
    return solutions


def _solve(elements: "Elements", guess: np.ndarray | None) -> np.ndarray:
    """Nodal values on the lattice."""
    start = elements.boundary_values if guess is None else elements.admissible(guess.ravel()[elements.positions])
    multigrid = Multigrid(elements.nearby(start))
    if elements.law.nonlinear:
        found = newton(_Nonlinear(elements, multigrid), start)
    else:
        lifted = elements.boundary_values
        guess, residual = start - lifted, elements.residual(lifted)
        if residual is None:  # the problem was checked, but on a sample
            raise NotConverged("the coefficient is not positive on the whole domain")
        found = lifted + multigrid.symmetric(elements.stiffness(lifted), -residual.values, guess, TOLERANCE)
    multigrid.close()
    values = np.empty(elements.lattice.unknowns)
    values[elements.positions] = found
    return values.reshape(elements.lattice.shape)


@dataclass(frozen=True, eq=False)
class _Nonlinear:
    """The discretised equation as Newton's method wants it."""

    elements: "Elements"
    multigrid: Multigrid

    def residual(self, u: np.ndarray) -> Residual | None:
        return self.elements.residual(u)

    def correction(self, u: np.ndarray, residual: np.ndarray) -> np.ndarray:
        try:
            return self.multigrid.general(self.elements.stiffness(u), residual, _GMRES_TOLERANCE)
        except RuntimeError as error:
            raise NotConverged(f"{error}, in a step of Newton's method: there may be no solution") from None

    def norm(self, residual: np.ndarray) -> float:
        return self.multigrid.norm(residual)


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
        mesh = dolfinx.mesh.create_interval(MPI.COMM_SELF, cells[0], [corners[0][0], corners[1][0]])
    elif lattice.dimension == 2:
        kind = dolfinx.mesh.CellType.quadrilateral
        mesh = dolfinx.mesh.create_rectangle(MPI.COMM_SELF, corners, cells, kind)
    else:
        mesh = dolfinx.mesh.create_box(MPI.COMM_SELF, corners, cells, dolfinx.mesh.CellType.hexahedron)
    if lattice.edges is not None:  # the vertices of equal cells go where those of the lattice are
        vertices = mesh.geometry.x
        for axis, edges in enumerate(lattice.edges):
            share = (vertices[:, axis] - corners[0][axis]) / (corners[1][axis] - corners[0][axis])
            vertices[:, axis] = np.array(edges)[np.rint(share * cells[axis]).astype(int)]
    return mesh


class Elements:
    """The discretised equation. Arrays of unknowns are in dolfinx's order of the nodes; see `positions`.

    Attributes:
        lattice: The nodes.
        law: A.
        positions: Where each unknown lies in the flattened lattice.
        boundary_values: g on the boundary, zero inside.
    """

    def __init__(self, problem: Problem, lattice: Lattice, law: Law, cache: Path) -> None:
        dolfinx = import_dolfinx()
        import basix.ufl

        self.lattice, self.law = lattice, law
        self._fem: Any = dolfinx.fem
        mesh = _mesh(dolfinx, lattice)
        space = self._fem.functionspace(mesh, ("Lagrange", lattice.degree))
        points = space.tabulate_dof_coordinates()[:, : lattice.dimension]
        self.positions = lattice.positions(points)
        mesh.topology.create_connectivity(lattice.dimension - 1, lattice.dimension)
        facets = dolfinx.mesh.exterior_facet_indices(mesh.topology)
        self._on_boundary = self._fem.locate_dofs_topological(space, lattice.dimension - 1, facets)
        self.boundary_values = np.zeros(lattice.unknowns)
        edge = points[self._on_boundary]
        self.boundary_values[self._on_boundary] = at_points(problem.boundary, edge, problem.parameters)
        self._condition = self._fem.dirichletbc(self._fem.Function(space), self._on_boundary)

        def at_gauss_points(shape: tuple[int, ...]) -> Any:
            kind = basix.ufl.quadrature_element(mesh.basix_cell(), value_shape=shape, degree=2 * lattice.degree)
            return self._fem.functionspace(mesh, kind)

        scalars, values = at_gauss_points(()), at_gauss_points(law.shape)
        self._u, self._u_there = self._fem.Function(space), self._fem.Function(scalars)
        self._coefficient, self._by_u = self._fem.Function(values), self._fem.Function(values)
        self._law_there = law.at(scalars.tabulate_dof_coordinates()[:, : lattice.dimension])
        with FileLock(cache / ".lock"):
            purge(cache)
            options = {"cache_dir": str(cache), "cffi_extra_compile_args": ["-O3"]}
            if law.nonlinear:
                points_of_cell = scalars.element.interpolation_points
                self._interpolated = self._fem.Expression(self._u, points_of_cell, jit_options=options)
            forms = _forms(dolfinx, problem, law.nonlinear, self._u, self._coefficient, self._by_u)
            self._flow, self._stiffness, load = (self._fem.form(form, jit_options=options) for form in forms)
        self._load = self._fem.assemble_vector(load).array
        self._matrix = self._fem.create_matrix(self._stiffness)  # its making takes more memory than it: before others

    def admissible(self, u: np.ndarray) -> np.ndarray:
        """u with the boundary values."""
        u = u.copy()
        u[self._on_boundary] = self.boundary_values[self._on_boundary]
        return u

    def residual(self, u: np.ndarray) -> Residual | None:
        """The integral of A grad u . grad v - f v for each v, zero on the boundary; None where A is not positive.

        The size of u is the root of the integral of A (|grad u|^2 + u^2/L^2), L the longest side: not zero where u is
        constant.
        """
        if not self._take(u):
            return None
        flow = self._fem.assemble_vector(self._flow).array
        sides = np.subtract(self.lattice.upper, self.lattice.lower)
        scale = float(np.abs(self._coefficient.x.array).mean() * np.prod(sides) / sides.max() ** 2)
        size = float(np.sqrt(max(0.0, u @ flow) + scale * np.mean(u**2)))
        flow -= self._load
        flow[self._on_boundary] = 0
        return Residual(flow, size)

    def stiffness(self, u: np.ndarray) -> Rows:
        """The derivative of the residual, a row of the unit matrix for each node on the boundary.

        The next call writes into the same arrays.
        """
        self._take(u)
        if self.law.nonlinear:
            self._by_u.x.array[:] = self._law_there(self._u_there.x.array, 1).ravel()
        self._matrix.set_value(0)
        self._fem.assemble_matrix(self._matrix, self._stiffness, bcs=[self._condition])
        return self._matrix.indptr, self._matrix.indices, self._matrix.data

    def nearby(self, u: np.ndarray) -> Rows:
        """Finite volumes with A at u: close to the derivative of the residual, and cheaper."""
        on_lattice = np.empty(self.lattice.unknowns)
        on_lattice[self.positions] = u
        on_lattice = on_lattice.reshape(self.lattice.shape)

        def across(axis: int, points: np.ndarray) -> np.ndarray:
            along = np.moveaxis(on_lattice, axis, 0)
            between = np.moveaxis((along[1:] + along[:-1]) / 2, 0, axis)
            values = self.law.at(points)(between, 0)
            return values[..., axis, axis] if self.law.shape else values

        matrix = finite_volumes(self.lattice, across)[self.positions][:, self.positions]
        return matrix.indptr, matrix.indices, matrix.data

    def _take(self, u: np.ndarray) -> bool:
        """Put u and A(x, u) into the forms; whether A is positive."""
        self._u.x.array[:] = u
        if self.law.nonlinear:
            self._u_there.interpolate(self._interpolated)
        with np.errstate(all="ignore"):
            values = self._law_there(self._u_there.x.array, 0)
        diagonal = np.diagonal(values, axis1=-2, axis2=-1) if self.law.shape else values
        self._coefficient.x.array[:] = values.ravel()
        return bool(np.isfinite(values).all() and (diagonal > 0).all())


def _forms(dolfinx: Any, problem: Problem, nonlinear: bool, u: Any, coefficient: Any, by_u: Any) -> tuple[Any, ...]:
    """The flow of u, its derivative with respect to u, and the load.

    Parameters are constants and the coefficient is numbers: one compilation serves all problems with the same f.
    """
    import ufl

    space = u.function_space
    mesh, degree = space.mesh, space.element.basix_element.degree
    constant = partial(dolfinx.fem.Constant, mesh)
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    there = ufl.dx(metadata={"quadrature_degree": 2 * degree, "quadrature_rule": "default"})
    flow = ufl.inner(coefficient * ufl.grad(u), ufl.grad(test)) * there
    change = coefficient * ufl.grad(trial)
    if nonlinear:
        change += trial * by_u * ufl.grad(u)
    stiffness = ufl.inner(change, ufl.grad(test)) * there
    if problem.forcing.names:
        parameters = {name: constant(float(value)) for name, value in problem.parameters.items()}
        forcing = as_ufl(problem.forcing, ufl.SpatialCoordinate(mesh), parameters)
    else:  # a number; UFL would drop a zero, and a form may not be empty
        forcing = constant(float(at_points(problem.forcing, np.zeros(mesh.geometry.dim), problem.parameters)))
    load = forcing * test * ufl.dx(metadata={"quadrature_degree": 2 * degree + 2})
    return flow, stiffness, load


def purge(cache: Path) -> None:
    """Remove forms whose compilation was cut short: FFCx would wait for them and fail. Needs the folder's lock."""
    for source in cache.glob("libffcx_*.c"):
        if not source.with_suffix(".c.cached").exists():
            for file in cache.glob(source.stem + "*"):
                file.unlink()
