"""u(x, t) of d_t u - div(a grad u) + c u = f(x, t), from the matrix that the walkers' energy assembles for a solve.

The matrix S of the energy and M, M_ij = int <a> phi_i phi_j dx, have S v = sigma M v with sigma = (1 - exp(-l Dt)) / Dt
and 2<a> l an eigenvalue of -div(a* grad) + c (see `homog.measures.spectrum`). So what decays like exp(-2<a> l t) is

    h(sigma) = (1 - sigma Dt)^(2<a> t / Dt):

a power of what walkers do in one macro step. With the steady state w of the last f,

    u(t) = w + h_t (u(0) - w) + int_0^t h_(t-s) (f(s) - f(end)) ds,

exactly in the functions of the answer, with the integral by Gauss's rule on panels that shrink towards s = t. To first
order in the noise of the matrix h moves by its divided differences (Daleckii and Krein), which gives the noise of u(t);
and as for the steady state, of the growing spaces the one is taken whose answer has the least estimated error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from jaxtyping import Float64, Int64

from homog.equation import Problem
from homog.measures.assembled import (
    Assembled,
    combined_at,
    features_at,
    gauss,
    gram,
    independent,
    lift_at,
    mean_coefficient,
)
from homog.solvers.nested import InSpace, choose

_LEAST = 1e-3  # of 1 - sigma Dt: what is gone after one macro step
_NEAR = 1e-7  # relative distance of two numbers, below which their divided difference is a derivative
_HALVINGS, _PANELS, _NODES = 24, 24, 6  # of the integral over s


@dataclass(frozen=True, eq=False)
class Moment:
    """u at one time.

    Attributes:
        time: t.
        weights: Of all features, shape (m,).
        noise: Standard deviation by sampling, in the L2 norm.
        lacking: What the functions cannot hold, in the L2 norm, about.
        bias: What the time steps of the walkers leave, in the L2 norm, about.
        size: L2 norm of u.
        features: How many functions it is made of.
    """

    time: float
    weights: Float64[np.ndarray, " m"]
    noise: float
    lacking: float
    bias: float
    size: float
    features: int

    @property
    def error(self) -> float:
        """Estimate of the L2 error against u_0: the root of the squares of its parts."""
        return math.hypot(self.noise, self.lacking, self.bias)


class Evolved:
    """u at any time.

    Args:
        assembled: The equations of the steady state.
        problem: Linear, in at most three dimensions; it says what depends on time.
        excess: What the macro step adds to the tensor that the energy sees, relative.
        micro: What the steps of the walkers leave of a rate, relative.
    """

    def __init__(self, assembled: Assembled, problem: Problem, excess: float, micro: float) -> None:
        assert problem.evolution is not None
        self._of, self._problem, self._evolution, self._micro = assembled, problem, problem.evolution, micro
        self._mean = mean_coefficient(problem)
        self._exponent = 2 * self._mean / assembled.macro_step / (1 + excess)
        self._points, self._shares = gauss(problem.domain)
        self._features = features_at(assembled.network, self._points)
        self._lift = lift_at(assembled.network, self._points)
        self._mass = gram(self._features, self._features, self._shares)
        initial = self._evolution.initial_at(self._points) - self._lift
        self._initial = self._features.T @ (self._shares * initial)

    def at(self, time: float) -> Moment:
        """u at a time, with its error: a function of the time alone."""
        return Moment(time, *self._chosen(time))

    def values(
        self, moments: Sequence[Moment], points: Float64[np.ndarray, "*batch d"]
    ) -> Float64[np.ndarray, "times *batch"]:
        """u at moments and points of shape (..., d)."""
        flat, network = points.reshape(-1, points.shape[-1]), self._of.network
        found = combined_at(network, flat, np.stack([moment.weights for moment in moments], 1))
        found += lift_at(network, flat)[:, None]
        return found.T.reshape(len(moments), *points.shape[:-1])

    def _chosen(self, time: float) -> tuple[np.ndarray, float, float, float, float, int]:
        driving = self._driving(time)
        found = [space.at(time, driving) for space in self._spaces]
        choice = choose([answer for answer, _ in found], self._mass, self._of.freedom)
        answer, slope = found[choice.index]
        bias = self._micro * math.sqrt(max(0.0, slope @ self._mass @ slope))
        values = self._features @ answer.weights + self._lift
        size = math.sqrt(self._shares @ values**2)
        noise, lacking = (math.sqrt(part[choice.index]) for part in (choice.noise, choice.lacking))
        return answer.weights, noise, lacking, bias, size, len(answer.chosen)

    @cached_property
    def _spaces(self) -> "list[_Space]":
        rests = self._problem.operator.forcing is self._evolution.initial  # all data are zero, and the steady state is
        return [
            _Space(answer, self._of.matrices, self._mass, self._mean, self._of.macro_step, self._exponent,
                   self._initial, rests=rests, symmetric=self._problem.operator.velocity is None)
            for answer in self._of.answers
        ]  # fmt: skip

    def _driving(self, time: float) -> "_Driving | None":
        """What f has besides what it has in the end, at the nodes of a rule for the integral up to a time."""
        if not self._evolution.driven or time == 0:
            return None
        shrinking = time * 0.5 ** np.arange(_HALVINGS + 1)
        edges = np.unique(np.concatenate([[0.0], shrinking, np.linspace(0, time, _PANELS + 1)]))
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        widths = np.diff(edges)[:, None] / 2
        before = (edges[:-1, None] + widths * (nodes + 1)).ravel()
        last = self._evolution.forcing_at(self._points, self._evolution.end)
        loads = [
            self._features.T @ (self._shares * (self._evolution.forcing_at(self._points, time - past) - last))
            for past in before
        ]
        return _Driving(before, (widths * weights).ravel(), np.array(loads).T)


@dataclass(frozen=True, eq=False)
class _Driving:
    """An integral over the past.

    Attributes:
        before: How long ago, shape (n,).
        weights: Of the rule, shape (n,).
        loads: Of what f has besides what it has in the end, tested with the features, shape (m, n).
    """

    before: Float64[np.ndarray, " n"]
    weights: Float64[np.ndarray, " n"]
    loads: Float64[np.ndarray, "m n"]


class _Space:
    """The equations in one space, diagonal."""

    def __init__(
        self, steady: InSpace, matrices: np.ndarray, mass: np.ndarray, mean: float, macro_step: float,
        exponent: float, initial: np.ndarray, *, rests: bool, symmetric: bool,
    ) -> None:  # fmt: skip
        self._chosen: Int64[np.ndarray, " k"] = steady.chosen
        some = np.ix_(self._chosen, self._chosen)
        kept = independent(mass[some])
        each = matrices[:, some[0], some[1]]
        if symmetric:
            each = (each + each.transpose(0, 2, 1)) / 2
        whole = each.mean(0)
        sizes, axes, onto = _diagonal(kept.T @ whole @ kept * (macro_step / mean), symmetric=symmetric)
        self._modes, onto = kept @ axes, onto @ kept.T
        gone = np.real(sizes) > 1 - _LEAST  # that noise moves nothing of
        self._left = np.where(gone, _LEAST, 1 - sizes)
        moved = onto @ ((each - whole) / len(each)) @ self._modes * (macro_step / mean)
        self._moved = np.where(gone[:, None] & gone, 0.0, moved)
        self._exponent = exponent
        self._onto, back = onto, onto @ mass[some]
        self._steady = np.zeros(len(self._chosen)) if rests else steady.weights[self._chosen]
        self._spread = np.zeros((len(self._chosen), len(each))) if rests else steady.spread[self._chosen]
        self._resting = back @ self._steady
        self._above = onto @ initial[self._chosen] - self._resting
        self._spread_above = back @ self._spread
        self._count = len(mass)

    def at(self, time: float, driving: _Driving | None) -> tuple[InSpace, np.ndarray]:
        """The answer at a time, and how it moves with all rates, relative."""
        left, power = self._left, self._exponent * time
        decay = left**power
        moving = self._above * decay
        response = self._divided(decay, power) * self._above  # of modes to what moves the matrix
        slope = np.log(left) * power * moving - (1 - decay) * self._resting
        if driving is not None:
            powers = self._exponent * driving.before
            feeding = driving.weights * (self._onto @ driving.loads[self._chosen])
            decays = left[:, None] ** powers
            moving = moving + (decays * feeding).sum(1)
            slope = slope + (np.log(left)[:, None] * powers * decays * feeding).sum(1)
            for number, past in enumerate(powers):
                response = response + self._divided(decays[:, number], past) * feeding[:, number]
        noise = (self._moved * response).sum(2).T  # of the matrix
        noise = noise - decay[:, None] * self._spread_above
        spread = np.real(self._modes @ noise) + self._spread
        weights, spreads, slopes = (
            np.zeros(self._count),
            np.zeros((self._count, spread.shape[1])),
            np.zeros(self._count),
        )
        weights[self._chosen] = self._steady + np.real(self._modes @ moving)
        spreads[self._chosen] = spread - spread.mean(1, keepdims=True)
        slopes[self._chosen] = np.real(self._modes @ slope)
        return InSpace(self._chosen, weights, spreads), slopes

    def _divided(self, decay: np.ndarray, power: float) -> np.ndarray:
        """(h_i - h_j) / (sigma_i Dt - sigma_j Dt), the derivative where the two are one."""
        left = self._left
        apart = left[None, :] - left[:, None]
        near = np.abs(apart) < _NEAR * (left[:, None] + left)
        between = (left[:, None] + left) / 2
        return np.where(near, -power * between ** (power - 1), (decay[:, None] - decay) / np.where(near, 1.0, apart))


def _diagonal(matrix: np.ndarray, *, symmetric: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues, eigenvectors, and the inverse of these; complex where the matrix is not symmetric."""
    if symmetric:
        sizes, axes = scipy.linalg.eigh(matrix)
        return sizes, axes, axes.T
    sizes, axes = scipy.linalg.eig(matrix)
    return sizes, axes, np.linalg.inv(axes)
