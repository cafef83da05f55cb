"""Rows of a matrix of products: functions that are products of functions along the axes, at walkers' starts and ends.

Compiled from this file's text (`homog.losses.assembly`), so that threads run it side by side.
"""

import numpy as np
from numba import njit


@njit(fastmath=True, nogil=True, cache=True)
def multiplied(factors, lengths, row):
    """Put the products of factors of shape (d, count) into row, the last axis' number running fastest.

    Each product over the axes before is taken times the first `lengths[axis, i]` factors along an axis.
    """
    size = lengths[0, 0]
    for i in range(size):
        row[i] = factors[0, i]
    for axis in range(1, factors.shape[0]):
        last = 0
        for i in range(size):
            last += lengths[axis, i]
        before, size = size, last
        for i in range(before - 1, -1, -1):  # from behind: what is still to be read is not yet written
            value = row[i]
            last -= lengths[axis, i]
            for j in range(lengths[axis, i]):
                row[last + j] = value * factors[axis, j]


@njit(fastmath=True, nogil=True, cache=True)
def gained(first, last, starts, ends, lengths, lift_here, lift_there, scale, lost, load, rows, loads):
    """Rows of what functions gain from a walker's start to its end, times its scale; and the sum of load times them.

    With something lost a row of the functions at each point, times it, is behind those of its walkers.

    Args:
        first, last: Points.
        starts: Factors at all points, shape (n, d, count).
        ends: Factors at the walkers' ends, shape (n, s, d, count).
        lengths: Of `multiplied`.
        lift_here: The function behind the products at the points, shape (n,).
        lift_there: The same at the ends, shape (n, s).
        scale: Shape (n, s).
        lost: Shape (n,), or (0,) for nothing.
        load: Shape (n,).
        rows: Receives them, shape ((last - first) s, m + 1), or with one row more for each point.
        loads: Receives the sum over the points of load times the functions there, float64.
    """
    products = rows.shape[1] - 1
    here = np.empty(products + 1, dtype=np.float32)
    loads[:] = 0.0
    k = 0
    for point in range(first, last):
        multiplied(starts[point], lengths, here)
        here[products] = lift_here[point]
        for j in range(products + 1):
            loads[j] += load[point] * here[j]
        for walker in range(ends.shape[1]):
            row = rows[k]
            multiplied(ends[point, walker], lengths, row)
            row[products] = lift_there[point, walker]
            for j in range(products + 1):
                row[j] = (row[j] - here[j]) * scale[point, walker]
            k += 1
        if lost.size:
            for j in range(products + 1):
                rows[k, j] = here[j] * lost[point]
            k += 1


@njit(fastmath=True, nogil=True, cache=True)
def arrived(first, last, ends, lengths, lift_there, weights, rows):
    """Add to rows what weights times the functions at walkers' ends sum up to, a row for each point.

    Args:
        first, last: Points.
        ends, lengths, lift_there: Of `gained`.
        weights: Shape (n, s).
        rows: Shape (last - first, m + 1).
    """
    products = rows.shape[1] - 1
    there = np.empty(products, dtype=np.float32)
    for point in range(first, last):
        row = rows[point - first]
        for walker in range(ends.shape[1]):
            weight = weights[point, walker]
            multiplied(ends[point, walker], lengths, there)
            for j in range(products):
                row[j] += weight * there[j]
            row[products] += weight * lift_there[point, walker]


@njit(fastmath=True, nogil=True, cache=True)
def sloped(first, last, starts, quotients, lengths, lift_slopes, roots, positive, rows):
    """Rows of slopes of the functions along d directions at each point; positive ones first, the others from the end.

    Args:
        first, last: Points.
        starts: Factors at all points, shape (n, d, count).
        quotients: Slope of each factor along its own axis, shape (n, d, count).
        lengths: Of `multiplied`.
        lift_slopes: Slopes of the function behind the products, shape (n, d).
        roots: The directions, shape (n, d, d), a row each.
        positive: Whether a direction is, shape (n, d).
        rows: Receives them, shape ((last - first) d, m + 1).

    Returns:
        How many are positive.
    """
    axes, products = starts.shape[1], rows.shape[1] - 1
    slopes = np.empty((axes, products + 1), dtype=np.float32)
    factors = np.empty(starts.shape[1:], dtype=np.float32)
    up, down = 0, len(rows)
    for point in range(first, last):
        for axis in range(axes):
            factors[:] = starts[point]
            factors[axis] = quotients[point, axis]
            multiplied(factors, lengths, slopes[axis])
            slopes[axis, products] = lift_slopes[point, axis]
        for direction in range(axes):
            if positive[point, direction]:
                row = rows[up]
                up += 1
            else:
                down -= 1
                row = rows[down]
            for j in range(products + 1):
                row[j] = roots[point, direction, 0] * slopes[0, j]
            for axis in range(1, axes):
                for j in range(products + 1):
                    row[j] += roots[point, direction, axis] * slopes[axis, j]
    return up
