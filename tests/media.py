"""Arrays like those that users bring, and finite volumes on a graded grid to hold references against."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage as nd
import scipy.sparse as sp
import scipy.sparse.linalg as sl

from homog.domains import tensor_grid


def blobs(shape: tuple[int, ...], width: float, share: float, seed: int = 1) -> np.ndarray:
    """Two phases, 0 and 1: smoothed noise above its quantile."""
    field = nd.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), width, mode="wrap")
    return (field > np.quantile(field, 1 - share)).astype(np.float64)


def channel() -> np.ndarray:
    """log of a smooth coefficient, but for a channel of 1e4 three nodes wide."""
    x = np.linspace(0, 1, 1025)
    field = 0.3 * np.log(1 + 0.5 * np.sin(4 * np.pi * x)[:, None] * np.sin(4 * np.pi * x)[None, :])
    field[511:514, 103:922] = np.log(1e4)
    return field


def finite_volumes(
    coefficient: Callable[[np.ndarray], np.ndarray], forcing: float, axes: Sequence[np.ndarray]
) -> np.ndarray:
    """u on a tensor grid of nodes, zero on its boundary: second order.

    Args:
        coefficient: Of points of shape (..., d).
        forcing: A constant.
        axes: Coordinates of the nodes.
    """
    shape, dimension = tuple(x.size for x in axes), len(axes)
    number = np.arange(int(np.prod(shape))).reshape(shape)
    widths = [np.gradient(x) * np.where(np.isin(np.arange(x.size), (0, x.size - 1)), 0.5, 1.0) for x in axes]
    spots, weights = np.polynomial.legendre.leggauss(4)
    rows, columns, values = [], [], []
    for axis in range(dimension):
        resistance: np.ndarray | float = 0.0
        for spot, weight in zip((1 + spots) / 2, weights / 2, strict=True):  # in series, along the way between nodes
            faces = [x[:-1] + np.diff(x) * spot if i == axis else x for i, x in enumerate(axes)]
            resistance = resistance + weight / coefficient(tensor_grid(faces))
        flow = 1 / resistance
        for i, width in enumerate(widths):
            factor = 1 / np.diff(axes[i]) if i == axis else width
            flow = flow * factor.reshape([-1 if j == i else 1 for j in range(dimension)])
        before, after = (
            np.take(number, range(*part), axis=axis).ravel() for part in ((0, shape[axis] - 1), (1, shape[axis]))
        )
        rows += [before, after]
        columns += [after, before]
        values += [-flow.ravel(), -flow.ravel()]
    whole = sp.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))))
    whole = (whole - sp.diags(np.asarray(whole.sum(1)).ravel())).tocsr()
    inner = number[(slice(1, -1),) * dimension].ravel()
    volumes = np.asarray(np.prod(np.meshgrid(*widths, indexing="ij"), axis=0)).ravel()
    u = np.zeros(number.size)
    matrix = whole[inner][:, inner].tocsc()
    right = forcing * volumes[inner]
    if dimension < 3:
        u[inner] = sl.spsolve(matrix, right, permc_spec="MMD_AT_PLUS_A")
    else:  # a factorisation would fill up
        u[inner], _ = sl.cg(matrix, right, rtol=1e-9, M=sp.diags(1 / matrix.diagonal()))
    return u.reshape(shape)
