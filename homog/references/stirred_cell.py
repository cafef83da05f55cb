"""The cell problem of a medium that a velocity without mean and divergence stirs, by trigonometric polynomials.

Such a b is the divergence of an antisymmetric H, b_i = sum_j d_j H_ji with H_ij = d_i psi_j - d_j psi_i and
Lap psi = b, so that b.grad u = div(H grad u): the operator is -div((A - H) grad), and the correctors solve
-div((A - H)(e_i + grad chi_i)) = 0. The effective matrix is not symmetric either, but a constant antisymmetric part
adds nothing to div(. grad u); a* is the symmetric part, the mean of (e_i + grad chi_i).A(e_j + grad chi_j) (Fannjiang
and Papanicolaou, SIAM J. Appl. Math. 54, 1994).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from homog.domains import tensor_grid
from homog.references.spectral_cell import Sampled, Waves, flux

_TOLERANCE = 1e-10  # of the residual, relative: an error of chi enters a* as it is, and not squared
_RESTART, _KEPT = 200, 2**24  # iterations whose directions are kept, and numbers in them


class Stirred(NamedTuple):
    """The solution of the cell problem on one grid.

    Attributes:
        tensor: a*, shape (d, d), symmetric.
        correctors: chi_i at the points of the grid, from the corner on, shape (d, size, ..., size).
        backwards: The same of the velocity -b.
        iterations: Iterations of GMRES, in all.
    """

    tensor: np.ndarray
    correctors: np.ndarray
    backwards: np.ndarray
    iterations: int


def stirred(
    sampled: Sampled, velocity: Sampled, lower: np.ndarray, sides: np.ndarray, size: int, most_iterations: int
) -> Stirred:
    """a* and the correctors of both directions on size^d points.

    With the correctors chi' of -b, a*_ij is also the mean of (e_i + grad chi'_i).(A - H)(e_j + grad chi_j), in which
    the errors of both only occur as their product: that is what is taken, of which the symmetric part is left.

    Args:
        sampled: a, or A.
        velocity: b at points of shape (..., d), with the same shape.
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        size: Points an axis, an odd number.
        most_iterations: Iterations of GMRES for each axis and direction, about.
    """
    dimension, longest = len(sides), float(sides.max())
    points = tensor_grid([low + side * np.arange(size) / size for low, side in zip(lower, sides, strict=True)])
    space = Waves((size,) * dimension, sides / longest)
    values = sampled(points)
    matrices = values if values.ndim > dimension else values[..., None, None] * np.eye(dimension)
    turning = _antisymmetric(space, longest * velocity(points))
    correctors, iterations = [], 0
    for sign in (1, -1):
        found = [_corrector(space, matrices - sign * turning, axis, most_iterations) for axis in range(dimension)]
        correctors.append(np.stack([chi for chi, _ in found]))
        iterations += sum(count for _, count in found)
    forth, back = ([_flow(space, chi, axis) for axis, chi in enumerate(both)] for both in correctors)
    fluxes = [flux(matrices - turning, flow) for flow in forth]
    tensor = np.array([[np.mean(np.sum(flow * one, axis=0)) for one in fluxes] for flow in back])
    return Stirred((tensor + tensor.T) / 2, longest * correctors[0], longest * correctors[1], iterations)


def delay_of_both(correctors: np.ndarray, backwards: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """c in <a E[dX dX^T]> = a* t + c, that of `homog.references.voxel_cell.Correctors` for a walk with a velocity.

    With phi = x + chi, a martingale, dX = dphi - dchi. <a dphi dphi^T> is a* t, and <a dchi dchi^T> tends to
    2 <a chi chi^T>. <a dphi_i chi_j(X_0)> = 0; for <a dphi_i chi_j(X_t)> the walk is run backwards, which is that of
    -b: with its martingale x + chi' it is <a (chi_i - chi'_i) chi_j>. So c = <a (chi chi'^T + chi' chi^T)>, the means
    of both taken out. It may be negative: of a shear flow chi' = -chi.

    Args:
        correctors: chi at points, shape (d, *points).
        backwards: chi' there.
        weight: a there over their number, flat.
    """
    chi, other = (part.reshape(len(part), -1) for part in (correctors, backwards))
    centred = chi - (chi @ weight / weight.sum())[:, None]
    found = (centred * weight) @ other.T
    return found + found.T


def _antisymmetric(space: Waves, velocity: np.ndarray) -> np.ndarray:
    """H at the points, shape (*points, d, d), of a velocity of shape (*points, d)."""
    potentials = [-space.inverse * space.forth(part) for part in np.moveaxis(velocity, -1, 0)]
    turning = np.zeros((*velocity.shape, len(potentials)))
    for i in range(len(potentials)):
        for j in range(i):
            turning[..., i, j] = space.back(space.symbols[i] * potentials[j] - space.symbols[j] * potentials[i])
            turning[..., j, i] = -turning[..., i, j]
    return turning


def _flow(space: Waves, chi: np.ndarray, axis: int) -> np.ndarray:
    """e_axis + grad chi."""
    found = space.gradient(chi)
    found[axis] += 1
    return found


def _corrector(space: Waves, matrices: np.ndarray, axis: int, most_iterations: int) -> tuple[np.ndarray, int]:
    """chi at the points, and the number of iterations.

    Solved is K v = l for chi = S v with S the root of the inverse of -div(mean grad), which stands on both sides of the
    operator: what is then not symmetric in it is antisymmetric, and the residual has the energy norm of the error.
    """
    iterations, dimension = 0, len(space.shape)
    mean = matrices.reshape(-1, dimension, dimension).mean(0)
    root = np.sqrt(space.inverse_of((mean + mean.T) / 2))

    def applied(flat: np.ndarray) -> np.ndarray:
        nonlocal iterations
        iterations += 1
        chi = space.back(root * space.forth(flat.reshape(space.shape)))
        return scaled(flux(matrices, space.gradient(chi)))

    def scaled(field: np.ndarray) -> np.ndarray:
        return space.back(root * space.forth(space.minus_divergence(field))).ravel()

    unit = np.zeros((dimension, *space.shape))
    unit[axis] = 1
    load, size = -scaled(flux(matrices, unit)), math.prod(space.shape)
    kind: Any = LinearOperator  # its __new__ takes what pyright looks for in its __init__
    operator = kind((size, size), matvec=applied, dtype=np.float64)
    noise = 1e-13 * float(np.abs(matrices).max()) * math.sqrt(size)
    restart = min(_RESTART, most_iterations, max(20, _KEPT // size))
    cycles = math.ceil(most_iterations / restart)
    found, _ = gmres(operator, load, rtol=_TOLERANCE, atol=noise, restart=restart, maxiter=cycles)
    return space.back(root * space.forth(found.reshape(space.shape))), iterations
