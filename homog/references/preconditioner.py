"""A cheap matrix that is close to the stiffness matrix of high-order elements."""

import functools
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from homog.domains import ABSORBING, Walls, tensor_grid
from homog.references.lattice import Lattice


def finite_volumes(
    lattice: Lattice,
    coefficient: Callable[[int, np.ndarray], np.ndarray],
    walls: Walls | None = None,
    lost: Callable[[int, int, np.ndarray], np.ndarray | None] | None = None,
    reaction: Callable[[np.ndarray], np.ndarray] | None = None,
    velocity: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> sp.csr_matrix:
    """-div(a grad u) + b.grad u + c u by finite volumes around the nodes, rows of the unit matrix where u is given.

    On Gauss-Lobatto nodes a low-order discretisation is spectrally equivalent to the elements of high degree, whatever
    the degree (Canuto, Hussaini, Quarteroni and Zang, Spectral Methods: Fundamentals, section 4.4), and its
    matrix has 2d + 1 entries a row: a preconditioner.

    Args:
        lattice: The nodes, N of them in d dimensions.
        coefficient: Gives a across faces normal to an axis, shape (...), from the axis and points of shape (..., d).
        walls: The kinds of the faces; None: u is given on all of them.
        lost: Gives k on a face of the domain, from the axis, its side and points; None where there is none.
        reaction: Gives c at points; None for zero.
        velocity: Gives the component of b across such faces, likewise; None for zero. With the weights of Scharfetter
            and Gummel (1969), exact for constant a and b along a line, no sign in the matrix depends on it.

    Returns:
        Shape (N, N), symmetric without a velocity, and positive definite if something fixes u.
    """
    nodes, shape, dimension = lattice.nodes, lattice.shape, lattice.dimension
    widths = [np.gradient(x) * np.where(np.isin(np.arange(x.size), (0, x.size - 1)), 0.5, 1.0) for x in nodes]
    number = np.arange(lattice.unknowns, dtype=np.int32).reshape(shape)
    inner = np.zeros(shape, dtype=bool)
    walls = walls or Walls.absorbing(dimension)
    inner[tuple(
        slice(1 if below == ABSORBING else 0, -1 if above == ABSORBING else None)
        for below, above in zip(walls.below, walls.above, strict=True)
    )] = True  # fmt: skip
    diagonal = np.where(inner, 0.0, 1.0)
    if reaction is not None:
        volumes = functools.reduce(np.multiply.outer, widths)
        diagonal += np.where(inner, volumes * reaction(tensor_grid(nodes)), 0)
    rows, columns, values = [], [], []
    for axis in range(dimension):
        before = tuple(slice(None, -1) if i == axis else slice(None) for i in range(dimension))
        after = tuple(slice(1, None) if i == axis else slice(None) for i in range(dimension))
        faces = [(x[1:] + x[:-1]) / 2 if i == axis else x for i, x in enumerate(nodes)]
        across = coefficient(axis, tensor_grid(faces))
        flow = across.copy()
        for i, width in enumerate(widths):
            factor = 1 / np.diff(nodes[i]) if i == axis else width
            flow *= factor.reshape([-1 if j == i else 1 for j in range(dimension)])
        upwards = downwards = flow  # what a node above and one below have to do with the other
        if velocity is not None:
            lengths = np.diff(nodes[axis]).reshape([-1 if j == axis else 1 for j in range(dimension)])
            carried = velocity(axis, tensor_grid(faces)) * lengths / across
            upwards, downwards = flow * _bernoulli(-carried), flow * _bernoulli(carried)
        diagonal[before] += np.where(inner[before], downwards, 0)
        diagonal[after] += np.where(inner[after], upwards, 0)
        for side, end in ((0, 0), (1, -1)):
            on_face = tuple(slice(end, end + 1 or None) if i == axis else slice(None) for i in range(dimension))
            given = None if lost is None else lost(axis, side, tensor_grid(nodes)[on_face])
            if given is not None:
                area = functools.reduce(
                    np.multiply.outer, [np.ones(1) if i == axis else width for i, width in enumerate(widths)]
                )
                diagonal[on_face] += np.where(inner[on_face], given * area, 0)
        both = inner[before] & inner[after]
        rows += [number[before][both], number[after][both]]
        columns += [number[after][both], number[before][both]]
        values += [-downwards[both], -upwards[both]]
    rows.append(number.ravel())
    columns.append(number.ravel())
    values.append(diagonal.ravel())
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_matrix(entries, shape=(lattice.unknowns, lattice.unknowns))


def _bernoulli(x: np.ndarray) -> np.ndarray:
    """x / (e^x - 1), which is one at zero."""
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, np.clip(x, -500, 500))
    return np.where(small, 1 - x / 2, safe / np.expm1(safe))
