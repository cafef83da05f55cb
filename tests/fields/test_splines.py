"""Splines: exact for cubics, of order 4 and 3, periodic where asked."""

import numpy as np
import pytest

from homog.domains import Box
from homog.fields.splines import interpolate

BOX = Box((0.0, -1.0), (2.0, 1.5))
POINTS = BOX.sample(500, np.random.default_rng(0))


def test_a_cubic_is_reproduced_up_to_the_ends():
    """The not-a-knot condition is what makes it so."""

    def cubic(x):
        return 1 + x[..., 0] ** 3 * x[..., 1] ** 2 - x[..., 1] ** 3

    spline = interpolate(cubic(BOX.grid(7)), BOX.lower, BOX.upper)
    np.testing.assert_allclose(spline(POINTS), cubic(POINTS), atol=1e-11)
    slope = np.stack([3 * POINTS[:, 0] ** 2 * POINTS[:, 1] ** 2, 2 * POINTS[:, 0] ** 3 * POINTS[:, 1]], -1)
    slope[:, 1] -= 3 * POINTS[:, 1] ** 2
    np.testing.assert_allclose(spline.gradient(POINTS), slope, atol=1e-10)
    x, y = POINTS.T
    bends = np.stack([6 * x * y**2, 6 * x**2 * y, 6 * x**2 * y, 2 * x**3 - 6 * y], -1).reshape(-1, 2, 2)
    np.testing.assert_allclose(spline.hessian(POINTS), bends, atol=1e-9)


def test_the_orders_are_four_for_values_and_three_for_slopes():
    def smooth(x):
        return np.sin(3 * x[..., 0]) * np.exp(x[..., 1])

    slope = 3 * np.cos(3 * POINTS[:, 0]) * np.exp(POINTS[:, 1])
    errors = []
    for count in (65, 129, 257):
        spline = interpolate(smooth(BOX.grid(count)), BOX.lower, BOX.upper)
        assert spline.intervals == (count - 1, count - 1)
        errors.append([np.std(spline(POINTS) - smooth(POINTS)), np.std(spline.gradient(POINTS)[:, 0] - slope)])
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, [[4, 3]] * 2, atol=0.4)  # what comes next still shows


def test_a_periodic_function_needs_no_ends():
    def wave(x):
        return np.sin(np.pi * x[..., 0]) * np.cos(4 * np.pi * x[..., 1] / 5)

    nodes = BOX.grid(33)[:-1, :-1]
    spline = interpolate(wave(nodes), BOX.lower, BOX.upper, periodic=True)
    assert spline.intervals == (32, 32)
    np.testing.assert_allclose(spline(nodes.reshape(-1, 2)), wave(nodes).ravel(), atol=1e-12)
    np.testing.assert_allclose(spline(POINTS), wave(POINTS), atol=5e-5)
    seam = np.array([[0.0, 0.3], [2.0, 0.3]])
    np.testing.assert_allclose(*spline.gradient(seam), atol=1e-10)
    assert spline.periodic
    assert not interpolate(wave(BOX.grid(33)), BOX.lower, BOX.upper).periodic


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_values_on_the_nodes_are_kept(dimension: int):
    values = np.random.default_rng(0).random((6,) * dimension)
    box = Box((0.0,) * dimension, (1.0,) * dimension)
    np.testing.assert_allclose(interpolate(values, box.lower, box.upper)(box.grid(6)), values, atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("periodic", [False, True])
def test_degree_one_is_exact_for_multilinear_functions_and_stays_between_the_nodes(dimension: int, periodic: bool):
    random = np.random.default_rng(dimension)
    box = Box((-1.0, 0.0, 2.0)[:dimension], (1.0, 0.5, 3.0)[:dimension])
    points = box.sample(400, random)

    def multilinear(x):
        return np.prod(2 + x * np.arange(1, dimension + 1), axis=-1)

    spline = interpolate(multilinear(box.grid(7)), box.lower, box.upper, degree=1)
    assert (spline.degree, spline.intervals) == (1, (6,) * dimension)
    np.testing.assert_allclose(spline(points), multilinear(points), rtol=1e-13)
    ahead, behind = (np.stack([multilinear(points + s * 1e-5 * e) for e in np.eye(dimension)], -1) for s in (1, -1))
    np.testing.assert_allclose(spline.gradient(points), (ahead - behind) / 2e-5, rtol=1e-8)
    rough = np.exp(random.normal(size=(8,) * dimension) * 3)
    spline = interpolate(rough, box.lower, box.upper, degree=1, periodic=periodic)
    assert spline.periodic == periodic
    assert spline.intervals == (8 if periodic else 7,) * dimension
    assert rough.min() <= spline(points).min() <= spline(points).max() <= rough.max()
    nodes = box.grid(9)[(slice(-1),) * dimension] if periodic else box.grid(8)
    np.testing.assert_allclose(spline(nodes), rough, rtol=1e-12)


@pytest.mark.parametrize("degree", [1, 3])
def test_the_nodes_are_the_values_that_were_interpolated(degree: int):
    values = np.random.default_rng(0).standard_normal((7, 9))
    spline = interpolate(values, (0, 0), (1, 2), degree=degree)
    np.testing.assert_allclose(spline.nodes, values, atol=1e-12)
    assert tuple(count - 1 for count in spline.nodes.shape) == spline.intervals
