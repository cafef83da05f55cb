"""Eigenvalues of the discretised equation."""

from dataclasses import replace

import numpy as np

from homog.references.elements import Elements
from homog.references.factorisation import NotSolved
from homog.references.pencil import Inverse, Pencil
from homog.references.space import Space

_SHIFT = 1.0  # below zero, in units of A / L^2: less than the first eigenvalue, pi^2 on an interval
_STARTS = 2  # each with a solve a turn
_COARSE = {1: 256, 2: 16, 3: 8}  # cells an axis on which starts are random: more nodes than modes, and no rough ones
_CALM = 12  # solves in a row that change nothing
_TOLERANCE = 1e-9  # what is nothing, relative
_SOLVES = 1e-7  # tolerance of each: errors of eigenvalues are as small as its square


def solve_modes(elements: Elements, count: int) -> np.ndarray:
    """The least l with -div(A grad u) + c u = l u for some u that is not zero, with conditions without g and q.

    By Lanczos's method for (K + s M)^-1 M from random starts, with all vectors kept and orthogonal (Grimes, Lewis and
    Simon, SIAM J. Matrix Anal. Appl. 15, 1994). The shift -s lies below zero, so that nothing is singular where a
    constant solves the equation, and the matrix is positive definite: multigrid can take the place of factors. From one
    start the method sees one mode of each multiple eigenvalue, in exact arithmetic: once nothing changes, it begins
    again from a start that is orthogonal to the modes that it has, until that brings nothing either.

    Args:
        elements: The equation, linear and without a velocity.
        count: How many.

    Returns:
        Ascending, multiple ones as often as they occur; shape (count,). In exact arithmetic none is too small.

    Raises:
        NotSolved: If a system is not solved, the lattice has fewer unknowns, or the space grows too large before it has
            the modes.
        NotConverged: If A is not positive.
    """
    pencil = Pencil(elements)
    unknowns = pencil.unknowns
    if count > unknowns:
        raise NotSolved(f"a mesh of {unknowns} free unknowns has too few for {count} eigenvalues")
    random, space, shift = np.random.default_rng(0), Space(pencil), elements.rate * _SHIFT
    with Inverse(pencil, shift, 1.0, _SOLVES) as inverse:
        found = _grown(space, inverse, [_start(pencil, random) for _ in range(_STARTS)], count, shift)
        while True:
            space.reduce(count)
            before, found = found, _grown(space, inverse, [_start(pencil, random)], count, shift)
            if _change(found, before, shift) <= 10 * _TOLERANCE:
                return found


def _start(pencil: Pencil, random: np.random.Generator) -> np.ndarray:
    """A random function on a coarse mesh: what is random on a fine one has next to nothing of the first modes."""
    lattice = pencil.elements.lattice
    coarse = replace(lattice, cells=(_COARSE[lattice.dimension],) * lattice.dimension, degree=1, edges=None)
    return pencil.restricted(coarse.interpolate(random.standard_normal(coarse.shape), lattice.nodes))


def _grown(space: Space, inverse: Inverse, block: list[np.ndarray], count: int, shift: float) -> np.ndarray:
    """The first eigenvalues in the space, after it has grown from a block until they change no more."""
    found, calm, vectors = np.full(count, np.inf), 0, block
    while calm < _CALM and vectors:
        vectors = space.solved(inverse, vectors)
        if space.full:
            raise NotSolved(f"{space.size} vectors do not span {count} modes")
        before, values = found, np.linalg.eigvalsh(space.stiffness)[:count]
        found = np.append(values, np.full(count - values.size, np.inf))
        calm = calm + len(block) if _change(found, before, shift) <= _TOLERANCE else 0
    return found


def _change(found: np.ndarray, before: np.ndarray, shift: float) -> float:
    """The largest relative change; infinite where a value is missing."""
    if not np.isfinite([found, before]).all():
        return np.inf
    return float(np.max(np.abs(found - before) / (np.abs(found) + shift)))
