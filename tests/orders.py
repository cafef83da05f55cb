"""Orders of convergence of the finite elements for problems whose solution is known."""

from math import log2
from pathlib import Path

import numpy as np
import pytest

from homog.domains import tensor_grid
from homog.equation import Problem
from homog.formula import Formula, parse
from homog.formula.evaluate import at_points
from homog.references import process
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

ORDERS = [
    # degree, theoretical order in L2 (degree + 1), cells an axis on the coarser of two meshes
    (1, 2, 16),
    (2, 3, 8),
    (4, 5, 4),
]


def relative_l2(values: np.ndarray | None, truth: np.ndarray | None) -> float:
    assert values is not None
    assert truth is not None
    return float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


def error(problem: Problem, lattice: Lattice, nodal: np.ndarray, solution: Formula | None = None) -> float:
    """Relative L2 error on points that are not nodes, against a formula or g."""
    axes = [
        low + side * (np.arange(53) + 0.5) / 53 for low, side in zip(lattice.lower, problem.domain.sides, strict=True)
    ]
    exact = at_points(solution or problem.boundary.value, tensor_grid(axes), problem.parameters)
    return relative_l2(lattice.interpolate(nodal, axes), exact)


def assert_orders(problem: Problem, folder: Path, solution: str | None = None, finer: int = 1) -> None:
    """Each degree has its theoretical order, on meshes so many times as fine; the solution is g unless it is given."""
    known = None if solution is None else parse(solution, problem.dimension, tuple(problem.parameters))
    corners = problem.domain.lower, problem.domain.upper
    lattices = [Lattice(*corners, (n, n), degree) for degree, _, cells in ORDERS
                for n in (finer * cells, 2 * finer * cells)]  # fmt: skip
    nodal = process.solve(problem, [System(lattice, FineLaw(problem)) for lattice in lattices], folder)
    errors = [error(problem, *pair, known) for pair in zip(lattices, nodal, strict=True)]
    for (degree, order, _), coarse, fine in zip(ORDERS, errors[::2], errors[1::2], strict=True):
        # higher-order terms are below a twentieth of the leading one on these meshes
        assert log2(coarse / fine) == pytest.approx(order, abs=0.1), degree
