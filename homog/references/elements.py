"""The discretised equation by dolfinx: the only file, beside `advection`, that knows it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from filelock import FileLock

from homog.equation import Problem
from homog.formula.evaluate import at_points
from homog.references.advection import Advection
from homog.references.copies import Copies, held
from homog.references.factorisation import Rows
from homog.references.lattice import Lattice
from homog.references.laws import Law
from homog.references.newton import Residual
from homog.references.preconditioner import finite_volumes


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

    Along a periodic axis the nodes of the upper face are copies of those of the lower one: what the residual has at a
    copy is added to its original, and the rows of copies are those of the unit matrix.

    Attributes:
        problem: Gives f, c and what holds on the faces.
        lattice: The nodes.
        law: A and b.
        positions: Where each unknown lies in the flattened lattice.
        points: Coordinates of each unknown, shape (unknowns, d).
        on_boundary: The unknowns on the faces where u is given.
        boundary_values: g there, zero elsewhere.
    """

    def __init__(self, problem: Problem, lattice: Lattice, law: Law, cache: Path) -> None:
        dolfinx = import_dolfinx()
        import basix.ufl

        self.problem, self.lattice, self.law = problem, lattice, law
        self._fem: Any = dolfinx.fem
        mesh = _mesh(dolfinx, lattice)
        space = self._fem.functionspace(mesh, ("Lagrange", lattice.degree))
        self.points = space.tabulate_dof_coordinates()[:, : lattice.dimension]
        self.positions = lattice.positions(self.points)
        walls = problem.boundary.walls
        self.on_boundary, self._copies = held(lattice, self.positions, walls), Copies(lattice, self.positions, walls)
        self.boundary_values = np.zeros(lattice.unknowns)
        edge = self.points[self.on_boundary]
        self.boundary_values[self.on_boundary] = problem.boundary.at(edge)
        self._condition = self._fem.dirichletbc(self._fem.Function(space), self.on_boundary)

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
            self._data = [self._of_load(mesh, self._fem, options) for _ in problem.operator.data]
            of_data = [values for values, _, _ in self._data]
            self._advection = None
            if law.velocity is not None:
                finer = _load_degree(lattice.degree)
                self._advection = Advection(problem.operator, law.velocity, self._u, finer, options)
            self._take_data(self.boundary_values)
            on_faces = self._on_faces(dolfinx, mesh, space)
            forms = _forms(law.nonlinear, self._u, self._coefficient, self._by_u, on_faces, self._advection, *of_data)
            self._flow, self._stiffness, self._load_form = (self._fem.form(form, jit_options=options) for form in forms)
        self._load = self._copies.gathered(self._fem.assemble_vector(self._load_form).array)
        self._matrix = self._fem.create_matrix(self._stiffness)  # its making takes more memory than it: before others

    def mass(self) -> sp.csr_matrix:
        """The integral of u v, a row of the unit matrix for each copy."""
        of_lattice = self.lattice.mass()
        return self._copies.matrix(sp.csr_matrix(of_lattice[self.positions][:, self.positions]))

    def load(self, forcing: Callable[[np.ndarray], np.ndarray] | None) -> np.ndarray:
        """The integral of f v, and of q v on faces with a flux, for each v: at copies zero, at their originals the sum.

        Args:
            forcing: f at points of shape (..., d); None for zero.
        """
        function, points, _ = self._data[0]
        before = function.x.array.copy()
        function.x.array[:] = 0.0 if forcing is None else forcing(points)
        found = self._copies.gathered(self._fem.assemble_vector(self._load_form).array.copy())
        function.x.array[:] = before
        return found

    def on_lattice(self, u: np.ndarray) -> np.ndarray:
        """The values of unknowns, of the lattice's shape."""
        values = np.empty(self.lattice.unknowns)
        values[self.positions] = u
        return values.reshape(self.lattice.shape)

    @property
    def rate(self) -> float:
        """The mean of |A| over the square of the longest side."""
        sides = np.subtract(self.lattice.upper, self.lattice.lower)
        return float(np.abs(self._coefficient.x.array).mean() / sides.max() ** 2)

    def _of_load(self, mesh: Any, fem: Any, options: Any) -> tuple[Any, np.ndarray, Any]:
        """A function at the Gauss points of the load, their coordinates, and what gives u there where data ask for it.

        Its values are those of `_take_data`.
        """
        import basix.ufl

        kind = basix.ufl.quadrature_element(mesh.basix_cell(), degree=_load_degree(self.lattice.degree))
        space = fem.functionspace(mesh, kind)
        points = space.tabulate_dof_coordinates()[:, : self.lattice.dimension]
        of_u = self.problem.operator.data_of_u
        return fem.Function(space), points, fem.Expression(self._u, space.element.interpolation_points,
                                                           jit_options=options) if of_u else None  # fmt: skip

    def _take_data(self, u: np.ndarray, *, frozen: bool = False) -> None:
        """Put b, f and c, where there are such, into the forms, where they depend on u at its values."""
        self._u.x.array[:] = u
        if self._advection is not None:
            self._advection.take(frozen=frozen)
        operator = self.problem.operator
        for (function, points, u_there), at in zip(
            self._data, (operator.forcing_at, operator.reaction_at), strict=False
        ):
            if u_there is None:
                function.x.array[:] = at(points)
                continue
            function.interpolate(u_there)
            function.x.array[:] = at(points, function.x.array.copy())

    def _on_faces(self, dolfinx: Any, mesh: Any, space: Any) -> list[tuple[Any, Any, Any]]:
        """Of each face with a flux or a factor the measure, and q and k; None where there is none."""
        import ufl

        boundary, dimension = self.problem.boundary, self.lattice.dimension
        faces = sorted(boundary.fluxes.keys() | boundary.factors.keys())
        if not faces:
            return []
        facets, tags = list[np.ndarray](), list[np.ndarray]()
        ends = self.lattice.lower, self.lattice.upper
        for face in faces:
            axis, end = face // 2, ends[face % 2][face // 2]
            near = 1e-6 * (ends[1][axis] - ends[0][axis]) / self.lattice.cells[axis]
            found = dolfinx.mesh.locate_entities_boundary(
                mesh, dimension - 1, lambda x, axis=axis, end=end, near=near: np.abs(x[axis] - end) < near
            )
            facets.append(found)
            tags.append(np.full(len(found), face, dtype=np.int32))
        numbers, marks = np.concatenate(facets), np.concatenate(tags)
        order = np.argsort(numbers)
        marked = dolfinx.mesh.meshtags(mesh, dimension - 1, numbers[order], marks[order])
        degree = _load_degree(self.lattice.degree)
        measure = ufl.Measure("ds", domain=mesh, subdomain_data=marked, metadata={"quadrature_degree": degree})

        def on_nodes(given: Any, face: int) -> Any:
            if face not in given:
                return None
            found = self._fem.Function(space)
            there = (
                np.abs(self.points[:, face // 2] - ends[face % 2][face // 2]) < 1e-9 * self.problem.domain.sides.max()
            )
            found.x.array[there] = at_points(given[face], self.points[there], self.problem.parameters)
            return found

        return [(measure(face), on_nodes(boundary.fluxes, face), on_nodes(boundary.factors, face)) for face in faces]

    def joined(self, u: np.ndarray) -> np.ndarray:
        """u with the values of originals at their copies."""
        return self._copies.joined(u)

    def admissible(self, u: np.ndarray) -> np.ndarray:
        """u with the values that are given, and those of originals at copies."""
        u = self.joined(u)
        u[self.on_boundary] = self.boundary_values[self.on_boundary]
        return u

    def residual(self, u: np.ndarray, share: float = 1.0, frozen: np.ndarray | None = None) -> Residual | None:
        """The integral of A grad u . grad v + (b.grad u + c u - share f) v for each v, zero on the boundary; None where
        A is not positive.

        The size of u is the root of the integral of A (|grad u|^2 + u^2/L^2) + c u^2, L the longest side: not zero
        where u is constant.

        Args:
            u: The unknowns.
            share: Share of f on the right-hand side.
            frozen: What A is taken at; u itself where it is not given.
        """
        if not self._take(u if frozen is None else frozen):
            return None
        if self._data_of_u:
            self._take_data(u if frozen is None else frozen)
            self._load = self._copies.gathered(self._fem.assemble_vector(self._load_form).array)
        self._u.x.array[:] = u
        flow = self._fem.assemble_vector(self._flow).array
        scale = self.rate * float(np.prod(np.subtract(self.lattice.upper, self.lattice.lower)))
        size = float(np.sqrt(max(0.0, u @ flow) + scale * np.mean(u**2)))
        flow = self._copies.gathered(flow)
        flow -= share * self._load
        flow[self.on_boundary] = 0
        return Residual(flow, size)

    def stiffness(self, u: np.ndarray, *, frozen: bool = False) -> Rows:
        """The derivative of the residual, a row of the unit matrix for each node on the boundary.

        The next call writes into the same arrays.

        Args:
            u: Where.
            frozen: Leave out that A and b depend on u.
        """
        self._take(u)
        if self._data_of_u:
            self._take_data(u, frozen=frozen)
        if self.law.nonlinear:
            self._by_u.x.array[:] = 0 if frozen else self._law_there(self._u_there.x.array, 1).ravel()
        self._matrix.set_value(0)
        self._fem.assemble_matrix(self._matrix, self._stiffness, bcs=[self._condition])
        rows = self._matrix.indptr, self._matrix.indices, self._matrix.data
        if not any(self.problem.boundary.walls.periodic):
            return rows
        joined = self._copies.matrix(sp.csr_matrix((rows[2], rows[1], rows[0])))
        return joined.indptr, joined.indices, joined.data

    @property
    def nonlinear(self) -> bool:
        """Whether anything depends on u."""
        return self.law.nonlinear or self._data_of_u

    @property
    def symmetric(self) -> bool:
        """Whether the stiffness matrix is, where A does not depend on u or is frozen."""
        return self._advection is None

    @property
    def _data_of_u(self) -> bool:
        """Whether b, f or c depend on u."""
        return self.problem.operator.data_of_u or (self._advection is not None and self._advection.of_u)

    @property
    def contrast(self) -> float:
        """Of the largest eigenvalue of A to the smallest, at the Gauss points where it was taken last."""
        values = self._coefficient.x.array
        if self.law.shape:
            values = np.linalg.eigvalsh(values.reshape(-1, *self.law.shape))
        return float(values.max() / values.min())

    def nearby(self, u: np.ndarray) -> Rows:
        """Finite volumes with A and b at u: close to the derivative of the residual, and cheaper."""
        on_lattice = self.on_lattice(u)

        def between(axis: int) -> np.ndarray:
            along = np.moveaxis(on_lattice, axis, 0)
            return np.moveaxis((along[1:] + along[:-1]) / 2, 0, axis)

        def across(axis: int, points: np.ndarray) -> np.ndarray:
            values = self.law.at(points)(between(axis), 0)
            return values[..., axis, axis] if self.law.shape else values

        def lost(axis: int, side: int, points: np.ndarray) -> np.ndarray | None:
            factor = self.problem.boundary.factors.get(2 * axis + side)
            return None if factor is None else at_points(factor, points, self.problem.parameters)

        def taken(points: np.ndarray) -> np.ndarray:
            return self.problem.operator.reaction_at(points, on_lattice)

        def carried(axis: int, points: np.ndarray) -> np.ndarray:
            assert self._advection is not None
            return self._advection.along(axis, points, between(axis))

        reaction = None if self.problem.operator.reaction is None else taken
        velocity = None if self._advection is None else carried
        matrix = finite_volumes(self.lattice, across, self.problem.boundary.walls, lost, reaction, velocity)
        matrix = self._copies.matrix(matrix[self.positions][:, self.positions])
        return matrix.indptr, matrix.indices, matrix.data

    def _take(self, u: np.ndarray) -> bool:
        """Put u and A(x, u) into the forms; whether A is positive."""
        self._u.x.array[:] = u
        if self.law.nonlinear:
            self._u_there.interpolate(self._interpolated)
        with np.errstate(all="ignore"):
            values = self._law_there(self._u_there.x.array, 0)
        self._coefficient.x.array[:] = values.ravel()
        return bool(np.isfinite(values).all() and (_definite(values) if self.law.shape else (values > 0).all()))


def _definite(tensors: np.ndarray) -> bool:
    """Whether symmetric matrices are positive definite, which is to say the pivots of Gauss's elimination positive."""
    rest = tensors
    while (rest[..., 0, 0] > 0).all():
        if rest.shape[-1] == 1:
            return True
        column = rest[..., 1:, :1]
        rest = rest[..., 1:, 1:] - column * np.swapaxes(column, -1, -2) / rest[..., :1, :1]
    return False


def _forms(
    nonlinear: bool,
    u: Any,
    coefficient: Any,
    by_u: Any,
    on_faces: Any,
    advection: Advection | None,
    forcing: Any,
    reaction: Any = None,
) -> tuple[Any, ...]:
    """The flow of u, its derivative with respect to u, and the load.

    Coefficient, velocity and forcing are numbers: one compilation serves all problems with conditions of the same
    kinds.
    """
    import ufl

    space = u.function_space
    degree = space.element.basix_element.degree
    trial, test = ufl.TrialFunction(space), ufl.TestFunction(space)
    there = ufl.dx(metadata={"quadrature_degree": 2 * degree, "quadrature_rule": "default"})
    flow = ufl.inner(coefficient * ufl.grad(u), ufl.grad(test)) * there
    change = coefficient * ufl.grad(trial)
    if nonlinear:
        change += trial * by_u * ufl.grad(u)
    stiffness = ufl.inner(change, ufl.grad(test)) * there
    finer = ufl.dx(metadata={"quadrature_degree": _load_degree(degree)})
    if reaction is not None:
        flow += reaction * u * test * finer
        stiffness += reaction * trial * test * finer
    if advection is not None:
        carried, change_of_it = advection.forms(trial, test)
        flow += carried
        stiffness += change_of_it
    load = forcing * test * finer
    for there, flux, factor in on_faces:
        if flux is not None:
            load += flux * test * there
        if factor is not None:
            flow += factor * u * test * there
            stiffness += factor * trial * test * there
    return flow, stiffness, load


def _load_degree(degree: int) -> int:
    """Of the quadrature of the load: one Gauss point an axis more than the stiffness has."""
    return 2 * degree + 2


def purge(cache: Path) -> None:
    """Remove forms whose compilation was cut short: FFCx would wait for them and fail. Needs the folder's lock."""
    for source in cache.glob("libffcx_*.c"):
        if not source.with_suffix(".c.cached").exists():
            for file in cache.glob(source.stem + "*"):
                file.unlink()
