"""The cell problem in two dimensions by spectral elements on a graded grid, for coefficients over many decades."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from homog.domains import tensor_grid
from homog.references.lattice import gauss_lobatto
from homog.references.spectral_cell import Bounds, Sampled, relative_size

_DEGREE = 4
_QUADRATURE = _DEGREE + 2  # points an axis of each cell
_CHECK = _QUADRATURE + 3


def element_bounds(sampled: Sampled, edges: Sequence[np.ndarray]) -> Bounds:
    """Bounds of a* from periodic elements of degree four and a direct solver.

    In two dimensions a field without divergence is a gradient turned by a right angle: the dual problem is the primal
    one for 1/a (Keller, J. Math. Phys. 5, 1964), and the same elements give both bounds. Of a matrix A it is that for
    A^-1 turned, which is A / det A. The energies are those of the
    fields that were found, whatever rounding did to the solver; they are sums of positive terms over Gauss points.

    Args:
        sampled: a.
        edges: Edges of the cells on each of the two axes, ascending, from one side of the periodic cell to the other.
    """
    grid = _Grid(edges)
    coefficients = [sampled(grid.gauss_points(count)) for count in (_QUADRATURE, _CHECK)]
    upper, first = grid.energies(*coefficients)
    dual, second = grid.energies(*(_turned_inverse(values) for values in coefficients))
    turned = np.array([[dual[1, 1], -dual[0, 1]], [-dual[0, 1], dual[0, 0]]])
    return Bounds(np.linalg.inv(turned), upper, max(first, second))


def _turned_inverse(values: np.ndarray) -> np.ndarray:
    return 1 / values if values.ndim == 2 else values / np.linalg.det(values)[..., None, None]


_Terms = list[tuple[int, int, np.ndarray]]
"""i, j and A_ij, shape (cells, points), of those that are not zero."""


class _Grid:
    """Tensor-product elements on a periodic rectangle."""

    def __init__(self, edges: Sequence[np.ndarray]) -> None:
        self.edges = [np.asarray(edge) for edge in edges]
        self.widths = [np.diff(edge) for edge in self.edges]
        self.area = float(np.prod([width.sum() for width in self.widths]))
        counts = [width.size for width in self.widths]
        nodes = [_DEGREE * count for count in counts]
        along = [
            (_DEGREE * np.arange(count)[:, None] + np.arange(_DEGREE + 1)) % n
            for count, n in zip(counts, nodes, strict=True)
        ]
        first, second = along[0][:, None, :, None], along[1][None, :, None, :]
        self.numbers = (first * nodes[1] + second).reshape(counts[0] * counts[1], -1)
        inner = np.arange(_DEGREE + 1)
        is_inner = (inner > 0) & (inner < _DEGREE)
        both = np.logical_and.outer(is_inner, is_inner).ravel()
        self.inside, self.skeleton = np.flatnonzero(both), np.flatnonzero(~both)
        self.unknowns = nodes[0] * nodes[1]

    def gauss_points(self, count: int) -> np.ndarray:
        """Shape (cells1 * count, cells2 * count, 2)."""
        nodes = (1 + np.polynomial.legendre.leggauss(count)[0]) / 2
        return tensor_grid(
            [
                (edge[:-1, None] + width[:, None] * nodes).ravel()
                for edge, width in zip(self.edges, self.widths, strict=True)
            ]
        )

    def energies(self, coefficient: np.ndarray, check: np.ndarray) -> tuple[np.ndarray, float]:
        """The least means of a |x + grad chi|^2, shape (2, 2), by the second rule, and its distance from the first."""
        potentials = self._potentials(coefficient)
        found = [
            self._energy(values, count, potentials) for values, count in ((coefficient, _QUADRATURE), (check, _CHECK))
        ]
        return found[1], relative_size(found[1] - found[0], found[1])

    def _terms(self, coefficient: np.ndarray, count: int) -> _Terms:
        if coefficient.ndim == 2:
            values = self._by_cell(coefficient, count)
            return [(0, 0, values), (1, 1, values)]
        return [(i, j, self._by_cell(coefficient[..., i, j], count)) for i in range(2) for j in range(2)]

    def _by_cell(self, values: np.ndarray, count: int) -> np.ndarray:
        cells = [width.size for width in self.widths]
        return values.reshape(cells[0], count, cells[1], count).transpose(0, 2, 1, 3).reshape(-1, count**2)

    def _scales(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, second = (width.ravel() for width in np.meshgrid(*self.widths, indexing="ij"))
        return first, second, first * second

    def _potentials(self, coefficient: np.ndarray) -> np.ndarray:
        """chi at the nodes for both axes, shape (unknowns, 2)."""
        slopes, weights = _slopes(_QUADRATURE)
        *widths, area = self._scales()
        cells, nodes = area.size, slopes[0].shape[1]
        matrices, loads = np.zeros((cells, nodes**2)), np.zeros((cells, nodes, 2))
        for i, j, values in self._terms(coefficient, _QUADRATURE):
            weighted, product = values * weights, slopes[i][:, :, None] * slopes[j][:, None, :]
            matrices += (area / (widths[i] * widths[j]))[:, None] * (weighted @ product.reshape(len(product), -1))
            loads[:, :, j] -= (area / widths[i])[:, None] * (weighted @ slopes[i])
        return self._solved(matrices.reshape(cells, nodes, nodes), loads)

    def _solved(self, local: np.ndarray, loads: np.ndarray) -> np.ndarray:
        """Inner nodes are eliminated cell by cell, the others by a sparse factorisation."""
        inside, skeleton = self.inside, self.skeleton
        coupling = local[:, inside][:, :, skeleton]
        eliminated = np.linalg.solve(
            local[:, inside][:, :, inside], np.concatenate([coupling, loads[:, inside]], axis=2)
        )
        onto, own = eliminated[:, :, : skeleton.size], eliminated[:, :, skeleton.size :]
        reduced = local[:, skeleton][:, :, skeleton] - coupling.transpose(0, 2, 1) @ onto
        right = loads[:, skeleton] - coupling.transpose(0, 2, 1) @ own
        numbers = self.numbers[:, skeleton]
        used, places = np.unique(numbers, return_inverse=True)
        places = places.reshape(numbers.shape)
        rows = np.broadcast_to(places[:, :, None], reduced.shape).ravel()
        columns = np.broadcast_to(places[:, None, :], reduced.shape).ravel()
        matrix = sp.csc_matrix((reduced.ravel(), (rows, columns)), shape=(used.size, used.size))
        load = np.zeros((used.size, 2))
        np.add.at(load, places.ravel(), right.reshape(-1, 2))
        scale = 1 / np.sqrt(matrix.diagonal())
        scaled = (sp.diags(scale) @ matrix @ sp.diags(scale)).tocsc()[1:, 1:]  # chi is zero at the first node
        factors = splu(scaled, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        found = np.zeros((used.size, 2))
        found[1:] = scale[1:, None] * factors.solve(scale[1:, None] * load[1:])
        chi = np.zeros((self.unknowns, 2))
        chi[used] = found
        chi[self.numbers[:, inside]] = own - onto @ found[places]
        return chi

    def _energy(self, coefficient: np.ndarray, count: int, potentials: np.ndarray) -> np.ndarray:
        slopes, weights = _slopes(count)
        first, second, area = self._scales()
        fields = []
        for axis in range(2):
            local = potentials[self.numbers, axis]
            gradient = [local @ slope.T / scale[:, None] for slope, scale in zip(slopes, (first, second), strict=True)]
            gradient[axis] += 1
            fields.append(gradient)
        share = weights * area[:, None] / self.area
        terms = [(i, j, values * share) for i, j, values in self._terms(coefficient, count)]
        return np.array(
            [[sum((density * p[i] * q[j]).sum() for i, j, density in terms) for q in fields] for p in fields]
        )


def _slopes(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Both partial derivatives of the basis on the unit square at count^2 Gauss points, and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    points = (1 + nodes) / 2
    powers = np.vander(gauss_lobatto(_DEGREE), increasing=True)
    coefficients = np.linalg.inv(powers)
    values = np.vander(points, _DEGREE + 1, increasing=True) @ coefficients
    order = np.arange(1, _DEGREE + 1)
    derived = np.vander(points, _DEGREE, increasing=True) @ (order[:, None] * coefficients[1:])
    return [np.kron(derived, values), np.kron(values, derived)], np.outer(weights, weights).ravel() / 4
