"""The tensor grid of nodes behind continuous Lagrange elements on a box of equal cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Lattice:
    """`cells` cells an axis on a box, with Lagrange elements of one degree.

    The cells of an axis are equal, or lie between `edges`, one tuple of ascending coordinates for each axis. The nodes
    of a cell are the Gauss-Lobatto points, those of its neighbours coincide with them: all nodes together form a tensor
    grid, and evaluation and preconditioning need no mesh.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    cells: tuple[int, ...]
    degree: int
    edges: tuple[tuple[float, ...], ...] | None = None

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.cells)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of nodes on each axis."""
        return tuple(count * self.degree + 1 for count in self.cells)

    @property
    def unknowns(self) -> int:
        """Number of nodes."""
        return prod(self.shape)

    @property
    def entries(self) -> int:
        """Number of entries of a stiffness matrix: a row holds degree + 2 on average along each axis."""
        return self.unknowns * (self.degree + 2) ** self.dimension

    @property
    def widest(self) -> np.ndarray:
        """Width of the widest cell on each axis, shape (d,)."""
        return np.array([np.diff(edges).max() for edges in self.ends])

    @property
    def ends(self) -> tuple[np.ndarray, ...]:
        """Where cells end on each axis, ascending."""
        if self.edges is not None:
            return tuple(np.array(edges) for edges in self.edges)
        sides = zip(self.lower, self.upper, self.cells, strict=True)
        return tuple(np.linspace(low, high, count + 1) for low, high, count in sides)

    def coarser(self) -> "Lattice":
        """The lattice with every second edge: half as many cells an axis."""
        if self.edges is None:
            return replace(self, cells=tuple((count + 1) // 2 for count in self.cells))
        edges = tuple((*axis[:-1:2], axis[-1]) for axis in self.edges)
        return replace(self, edges=edges, cells=tuple(len(axis) - 1 for axis in edges))

    @cached_property
    def nodes(self) -> tuple[np.ndarray, ...]:
        """Coordinates of the nodes on each axis, ascending."""
        inside = gauss_lobatto(self.degree)[:-1]
        if self.edges is not None:
            return tuple(np.append((x[:-1, None] + np.diff(x)[:, None] * inside).ravel(), x[-1]) for x in self.ends)
        return tuple(
            low + (high - low) * np.append((np.arange(count)[:, None] + inside).ravel(), count) / count
            for low, high, count in zip(self.lower, self.upper, self.cells, strict=True)
        )

    def positions(self, points: np.ndarray) -> np.ndarray:
        """Where points lie in the flattened grid of nodes.

        Args:
            points: Shape (n, at least d), each at a node up to rounding.

        Returns:
            Shape (n,), integer.

        Raises:
            ValueError: If a point is not at a node.
        """
        indices = []
        for axis, nodes in enumerate(self.nodes):
            tolerance = 1e-3 * float(np.diff(nodes).min())
            index = np.minimum(np.searchsorted(nodes, points[:, axis] - tolerance), nodes.size - 1)
            if not np.allclose(nodes[index], points[:, axis], rtol=0, atol=tolerance):
                raise ValueError("a point is not at a node of the lattice")
            indices.append(index)
        return np.asarray(np.ravel_multi_index(tuple(indices), self.shape))

    def interpolate(self, values: np.ndarray, axes: Sequence[np.ndarray]) -> np.ndarray:
        """The finite element function with nodal values `values` on the tensor grid of other coordinates.

        Args:
            values: Shape `shape`.
            axes: Coordinates on each axis, all inside the box.

        Returns:
            Shape (axes[0].size, axes[1].size, ...).
        """
        for axis, points in enumerate(axes):
            along = np.moveaxis(values, axis, 0)
            rest = along.shape[1:]
            result = self._matrix(axis, points) @ along.reshape(along.shape[0], -1)
            values = np.moveaxis(result.reshape(points.size, *rest), 0, axis)
        return np.ascontiguousarray(values)

    def mass(self) -> sp.csr_matrix:
        """The integrals of products of two basis functions: the tensor product of what they are along each axis.

        Returns:
            Shape (unknowns, unknowns), in the order of the flattened lattice.
        """
        points, weights = np.polynomial.legendre.leggauss(self.degree + 1)
        found = sp.csr_matrix(np.ones((1, 1)))
        for axis, ends in enumerate(self.ends):
            halves = np.diff(ends)[:, None] / 2
            basis = self._matrix(axis, (ends[:-1, None] + halves * (1 + points)).ravel())
            along = basis.T @ sp.diags((halves * weights).ravel()) @ basis
            found = sp.kron(found, along, format="csr")
        return sp.csr_matrix(found)

    def _matrix(self, axis: int, points: np.ndarray) -> sp.csr_matrix:
        """Values of the basis functions of one axis at points, shape (points.size, shape[axis])."""
        low, high, count = self.lower[axis], self.upper[axis], self.cells[axis]
        if self.edges is None:
            scaled = (points - low) / (high - low) * count
            cell = np.clip(np.floor(scaled).astype(int), 0, count - 1)
            local = scaled - cell
        else:
            ends = np.array(self.edges[axis])
            cell = np.clip(np.searchsorted(ends, points, side="right") - 1, 0, count - 1)
            local = (points - ends[cell]) / np.diff(ends)[cell]
        nodes = gauss_lobatto(self.degree)
        basis = np.ones((points.size, nodes.size))
        for i, own in enumerate(nodes):
            for other in np.delete(nodes, i):
                basis[:, i] *= (local - other) / (own - other)
        columns = cell[:, None] * self.degree + np.arange(nodes.size)
        starts = np.arange(0, basis.size + 1, nodes.size)
        return sp.csr_matrix((basis.ravel(), columns.ravel(), starts), shape=(points.size, self.shape[axis]))


def gauss_lobatto(degree: int) -> np.ndarray:
    """The degree + 1 Gauss-Lobatto points of [0, 1]: its ends and the extrema of the Legendre polynomial."""
    inner = np.polynomial.legendre.Legendre.basis(degree).deriv().roots()
    return (1 + np.concatenate(([-1.0], np.sort(inner.real), [1.0]))) / 2
