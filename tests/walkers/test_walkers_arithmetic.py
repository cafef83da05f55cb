"""The float32 arithmetic of the kernels against NumPy in double precision."""

import numpy as np
import pytest
import scipy.special
from numba import njit
from scipy.interpolate import BSpline

from homog.walkers import arithmetic
from homog.walkers.streams import Streams, stream_key

F = np.float32
ULP = 2.0**-24  # half a unit in the last place of 1


def over(function):
    """The scalar function over an array, compiled as the kernels compile it."""

    @njit(fastmath=True, error_model="numpy")
    def loop(x):
        y = np.empty_like(x)
        for i in range(x.size):
            y[i] = function(x[i])
        return y

    return loop


@pytest.mark.parametrize("turns", [0.5, 100.0])
def test_sine_in_turns(turns: float):
    x = np.linspace(-turns, turns, 200_001).astype(F)
    error = np.abs(over(arithmetic.sin_turns)(x) - np.sin(2 * np.pi * x.astype(float)))
    assert error.max() < 4 * ULP


def test_log2_of_every_scale():
    x = np.exp2(np.linspace(-24, 20, 200_001)).astype(F)
    exact = np.log2(x.astype(float))
    error = np.abs(over(arithmetic.log2)(x) - exact)
    assert (error / np.maximum(1, np.abs(exact))).max() < 4 * ULP


@pytest.mark.parametrize(
    ("ours", "exact", "lower", "upper"),
    [
        (arithmetic.exp2, np.exp2, -100, 100),
        (arithmetic.exp, np.exp, -10, 10),
        (arithmetic.exp, lambda x: np.maximum(np.exp(x), 2.0**-126), -1e4, 10),
        (arithmetic.cosh, np.cosh, -10, 10),
    ],
)
def test_relative_error_of_the_exponentials(ours, exact, lower: float, upper: float):
    x = np.linspace(lower, upper, 100_001).astype(F)
    truth = exact(x.astype(float))
    scale = 1 + np.abs(x)  # e^x passes the rounding of x log2(e) on
    assert np.abs((over(ours)(x) / truth - 1) / scale).max() < 4 * ULP


@pytest.mark.parametrize(
    ("ours", "exact", "lower", "upper"),
    [
        (arithmetic.log, np.log, 0.01, 100),
        (arithmetic.tanh, np.tanh, -50, 50),
        (arithmetic.sinh, np.sinh, -1, 1),
        (arithmetic.atan, np.arctan, -50, 50),
        (arithmetic.erf, scipy.special.erf, -6, 6),
        (arithmetic.logistic, scipy.special.expit, -200, 200),
    ],
)
def test_absolute_error_of_the_others(ours, exact, lower: float, upper: float):
    x = np.linspace(lower, upper, 100_001).astype(F)
    assert np.abs(over(ours)(x) - exact(x.astype(float))).max() < 8 * ULP * max(1, abs(exact(upper)))


@pytest.mark.parametrize(("ours", "exact"), [(arithmetic.atan, np.arctan), (arithmetic.erf, scipy.special.erf)])
def test_odd_functions_keep_their_digits_near_zero(ours, exact):
    x = np.concatenate([np.geomspace(1e-30, 1, 10_001), -np.geomspace(1e-30, 1, 10_001)]).astype(F)
    assert np.abs(over(ours)(x) / exact(x.astype(float)) - 1).max() < 8 * ULP
    assert over(ours)(np.array([0, np.float32(1e30), -1e30], dtype=F)).tolist() == [0, F(exact(1e30)), -F(exact(1e30))]


def test_split_gives_mantissa_and_exponent_of_every_normal_number():
    @njit(fastmath=True, error_model="numpy")
    def loop(x):
        m, e = np.empty_like(x), np.empty_like(x)
        for i in range(x.size):
            m[i], e[i] = arithmetic.split(x[i])
        return m, e

    x = np.concatenate([[0.0, 1.0, -1.0, 2.0**-126, 2.0**126], np.random.default_rng(0).normal(size=1000)])
    x = np.concatenate([x, np.exp2(np.random.default_rng(1).uniform(-125, 126, 1000))]).astype(F)
    m, e = (part.astype(float) for part in loop(x))
    np.testing.assert_array_equal(m * 2.0**e, x.astype(float))
    assert ((np.abs(m[1:]) >= 1) & (np.abs(m[1:]) < 2)).all()


def test_linear_weights_are_hat_functions_and_their_slopes():
    s = np.linspace(0, 1, 101).astype(F)
    found = [weight + 0 * s for weight in arithmetic.linear_weights(s)]
    np.testing.assert_array_equal(found, [1 - s, s, -np.ones_like(s), np.ones_like(s)])


def test_cubic_weights_are_the_cubic_basis_and_its_slopes():
    """Against scipy's B-splines on integer knots; the slopes are the difference of two numbers of the size of one."""
    s = np.linspace(0, 1, 1001).astype(F)[:-1]
    found = np.array(arithmetic.cubic_weights(s), dtype=float)
    for k in range(4):
        basis = BSpline.basis_element(np.arange(5.0) - 3 + k)  # the k-th that is not zero on (0, 1)
        np.testing.assert_allclose(found[k], basis(s.astype(float)), atol=4 * ULP)
        np.testing.assert_allclose(found[4 + k], basis.derivative()(s.astype(float)), atol=8 * ULP)


def test_compiled_generator_and_numpy_generator_give_the_same_bits():
    streams = Streams(stream_key(7, 3), 100)
    state = [s.copy() for s in streams._state]

    @njit
    def advance(s0, s1, s2, s3):
        bits = np.empty_like(s0)
        for i in range(s0.size):
            bits[i], s0[i], s1[i], s2[i], s3[i] = arithmetic.next_bits(s0[i], s1[i], s2[i], s3[i])
        return bits

    for _ in range(5):
        np.testing.assert_array_equal(advance(*state), streams.bits())


def test_bits_are_uniform_and_streams_are_unrelated():
    streams = Streams(stream_key(0, 0), 100_000)
    draws = np.stack([streams.bits() for _ in range(4)]).astype(float) / 2**32
    sigma = np.sqrt(1 / 12 / draws.size)
    assert abs(draws.mean() - 0.5) < 4 * sigma
    centred = (draws - 0.5) * np.sqrt(12)
    limit = 4.5 / np.sqrt(centred.shape[1])
    for lag in range(1, 4):  # along a stream
        assert abs((centred[0] * centred[lag]).mean()) < limit
    assert abs((centred[0, 1:] * centred[0, :-1]).mean()) < limit  # between neighbouring walkers
    other = Streams(stream_key(0, 1), 100_000).bits() / 2**32  # the next iteration
    assert abs((centred[0] * (other - 0.5) * np.sqrt(12)).mean()) < limit
