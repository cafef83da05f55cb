"""The equation in time, by projection onto what a few solves with one matrix span."""

from collections.abc import Iterator
from math import ceil, log
from typing import NamedTuple

import numpy as np
import scipy.linalg

from homog.equation.evolution import Evolution
from homog.references.elements import Elements
from homog.references.factorisation import NotSolved
from homog.references.pencil import Inverse, Pencil
from homog.references.space import Space

_POLE = 1 / 6  # in units of the time: 10 to 15 solves reach 1e-8 at times within a factor of ten
_APART = 30.0  # factor between times that share a pole
_TOLERANCE = 1e-7  # change of u by one solve more that ends them, relative
_WORST = 1e-4  # where the number of vectors ends them, the change that is still accepted
_SOLVES = 1e-8  # tolerance of each
_FLOOR = 1e-13  # of u against its largest size over time, below which nothing is known of it

# Of a forcing that depends on time:
_INSTANTS = 1024  # intervals from 0 to the end, on which it is linear
_PLACES = 800  # at which it is looked at
_MOST_PRODUCTS = 40
_SMALLEST = 1e-7  # product that is taken, relative


class _Forcing(NamedTuple):
    """f(x, t) = sum over j of loads[j] shares[j](t), with a right side that does not depend on time among them.

    Attributes:
        loads: Shape (q, n), at the free unknowns.
        instants: Ascending from 0 to the end, with the wanted times among them; shape (k + 1,).
        shares: At the instants, linear in between; shape (q, k + 1).
    """

    loads: np.ndarray
    instants: np.ndarray
    shares: np.ndarray


def solve_transient(elements: Elements, level: int = 0) -> np.ndarray:
    """Nodal values of u with d_t u - div(A grad u) + b.grad u + c u = f(x, t) at the times of the problem's evolution.

    With u = g + w the elements leave M w' + K w = r(t). It is solved by Galerkin's method once more, on the space that
    the solves (M + p K)^-1 M of an implicit method with the step p span from w(0) and from the right sides (a rational
    Krylov space; van den Eshof and Hochbruck, SIAM J. Sci. Comput. 27, 2006; Druskin and Knizhnerman, Numer. Linear
    Algebra Appl. 5, 1998). A diagonally implicit Runge-Kutta method with that one step has its result in it; the
    projection is about the best that is. The small system left has a diagonal matrix, and is integrated exactly
    for a right side that is linear between many instants: no step has to be small where u(x, 0) does not fit the
    conditions. M w(0) is the integral of u(x, 0) - g against the elements, the L2 projection, after which the error for
    rough data is at t > 0 what it is for smooth ones (Thomee, Galerkin Finite Element Methods for Parabolic Problems,
    theorem 3.4).

    Measured for the paper's coefficient at eps = 0.05, u = 1 at the start and five times up to 0.1, on 231,000
    unknowns: 17 solves and 5 s; the next level is 5e-9 away on the same mesh, and the mesh 3e-5 off.

    Args:
        elements: The equation, linear, of a problem with an evolution.
        level: 0; with 1 and 2 fewer instants, looser ends and longer steps p, for an estimate of the error.

    Returns:
        Shape (times, *lattice.shape).

    Raises:
        NotSolved: If a system is not solved, or the space grows too large before it has the solution.
        NotConverged: If A is not positive.
    """
    evolution = elements.problem.evolution
    assert evolution is not None
    pencil = Pencil(elements)
    times = np.array(evolution.times)
    forcing = _forcing(pencil, evolution, level)
    initial = pencil.load(elements.load(evolution.initial_at) - elements.load(None)) - pencil.mass_lifted
    space = Space(pencil)
    before, calm, changed = np.zeros((0, times.size)), 0, 0.0
    poles = 2.0**level * _POLE * _poles(times)
    wanted = np.searchsorted(forcing.instants, times)
    for _ in _grown(space, pencil, initial, forcing.loads, poles):
        now = _reduced(space, initial, forcing)[:, wanted]
        change = now.copy()
        change[: len(before)] -= before
        sizes = np.linalg.norm(now, axis=0)
        sizes = np.maximum(sizes, _FLOOR * float(sizes.max(initial=0.0)))
        changed = float(np.max(np.linalg.norm(change, axis=0) / np.where(sizes > 0, sizes, 1.0)))
        calm = calm + 1 if changed <= _TOLERANCE * 10.0**level else 0
        before = now
        if calm > poles.size:
            break
    else:
        if space.full and changed > _WORST:
            raise NotSolved(f"{space.size} vectors do not span u at all times, which changes by {changed:.0e} yet")
    return np.stack([pencil.extended(space.combined(at_time)) for at_time in before.T])


def _poles(times: np.ndarray) -> np.ndarray:
    """Times between the first and the last, a factor of `_APART` apart at most, the longest first."""
    count = max(1, ceil(log(times[-1] / times[0]) / log(_APART)))
    return times[-1] * (times[0] / times[-1]) ** (np.arange(count) / count)


def _grown(space: Space, pencil: Pencil, initial: np.ndarray, loads: np.ndarray, poles: np.ndarray) -> Iterator[None]:
    """Let the space grow until nothing is new: each turn takes one solve for each vector of the last."""
    inverses = [Inverse(pencil, 1.0, float(poles[0]), _SOLVES)]
    try:
        starts = [inverses[0](load) for load in loads]
        if initial.any():
            starts.insert(0, pencil.projected(initial))
        block = [found for start in starts if (found := space.add(start)) is not None]
        turn = 0
        while True:
            yield
            if not block or space.full:
                return
            if turn % poles.size == len(inverses):  # made one by one: each looks at how much memory is free
                inverses.append(Inverse(pencil, 1.0, float(poles[len(inverses)]), _SOLVES))
            block = space.solved(inverses[turn % poles.size], block)
            turn += 1
    finally:
        for inverse in inverses:
            inverse.close()


def _reduced(space: Space, initial: np.ndarray, forcing: _Forcing) -> np.ndarray:
    """Coefficients of w at the instants, shape (size, k + 1).

    y' + l y = c along an eigenvector of V K V^T, complex with a velocity: over a step h with z = l h and c linear,
    y(h) = e^-z y + h (phi_1 c + phi_2 (change of c)), phi_1 = (1 - e^-z)/z, phi_2 = (1 - phi_1)/z.
    """
    if space.symmetric:
        rates, modes = np.linalg.eigh(space.stiffness)
        onto = modes.T
    else:
        rates, modes = np.linalg.eig(space.stiffness)
        onto = np.linalg.inv(modes)
    right = onto @ (space.vectors @ forcing.loads.T) @ forcing.shares
    steps = np.diff(forcing.instants)
    exponents = rates[:, None] * steps
    decay, first, second = np.exp(-exponents), *_phi(exponents)
    gained = steps * (first * right[:, :-1] + second * np.diff(right, axis=1))
    found = np.empty((space.size, steps.size + 1), dtype=rates.dtype)
    found[:, 0] = onto @ (space.vectors @ initial)
    for i in range(steps.size):
        found[:, i + 1] = decay[:, i] * found[:, i] + gained[:, i]
    return np.real(modes @ found)


def _phi(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 - e^-z)/z and (1 - (1 - e^-z)/z)/z."""
    small = np.abs(z) < 1e-3
    safe = np.where(small, 1.0, z)
    first = np.where(small, 1 - z / 2 + z**2 / 6 - z**3 / 24, -np.expm1(-safe) / safe)
    return first, np.where(small, 0.5 - z / 6 + z**2 / 24 - z**3 / 120, (1 - first) / safe)


def _forcing(pencil: Pencil, evolution: Evolution, level: int) -> _Forcing:
    """The right side as few products.

    What f(x, t) is at all instants is a combination of what it is at a few of them, which a pivoted QR decomposition of
    its values at some places finds: one for each product that the formula is a sum of, as far as that is short. Of
    a forcing that is no such sum, such as a front that moves, the most important ones are taken.
    """
    elements, times = pencil.elements, np.array(evolution.times)
    steady = pencil.load(elements.load(None)) - pencil.lifted  # the fluxes of faces, and what the boundary values do
    if not evolution.driven:
        steady = pencil.load(elements.load(lambda points: evolution.forcing_at(points, 0.0))) - pencil.lifted
        instants = np.append(0.0, times)
        return _without_zeros(steady[None], instants, np.ones((1, instants.size)))
    instants = np.unique(np.concatenate([np.linspace(0, evolution.end, (_INSTANTS >> level) + 1), times]))
    places = elements.problem.domain.spread(_PLACES, np.random.default_rng(0))
    values = np.stack([evolution.forcing_at(places, float(time)) for time in instants], axis=1)
    triangle, order = map(np.asarray, scipy.linalg.qr(values, mode="r", pivoting=True))
    sizes = np.abs(np.diag(triangle))
    count = min(int(np.sum(sizes > _SMALLEST * sizes[0])), _MOST_PRODUCTS >> level)
    shares = np.empty((count, instants.size))
    shares[:, order] = scipy.linalg.solve_triangular(triangle[:count, :count], triangle[:count])
    fluxes = elements.load(None)
    loads = [
        pencil.load(elements.load(lambda points, at=at: evolution.forcing_at(points, at)) - fluxes)
        for at in instants[order[:count]].tolist()
    ]
    return _without_zeros(np.stack([steady, *loads]), instants, np.concatenate([np.ones((1, instants.size)), shares]))


def _without_zeros(loads: np.ndarray, instants: np.ndarray, shares: np.ndarray) -> _Forcing:
    some = loads.any(axis=1)
    return _Forcing(loads[some], instants, shares[some])
