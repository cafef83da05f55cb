"""The effective tensor as a function of u, and the means of nonlinear coefficients, against closed forms."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from homog.domains import tensor_grid
from homog.equation import Problem
from homog.references import tensor_of_u
from homog.references.mean import mean_on_limit, mean_on_solution
from homog.references.tensor_of_u import EffectiveLaw, tensors_between

MakeProblem = Callable[..., Problem]

LAMINATE = "2 + u**2 + (1 + u/4)*sin(2*pi*x1/eps)"


def laminate(u: np.ndarray) -> np.ndarray:
    """At each u the harmonic mean across, sqrt((2 + u^2)^2 - (1 + u/4)^2), and the arithmetic mean along."""
    tensors = np.zeros((*u.shape, 2, 2))
    tensors[..., 0, 0] = np.sqrt((2 + u**2) ** 2 - (1 + u / 4) ** 2)
    tensors[..., 1, 1] = 2 + u**2
    return tensors


def test_laminate_has_its_means_at_each_value(make_problem: MakeProblem) -> None:
    values, tensors, change = tensors_between(make_problem(LAMINATE), -1, 2)
    assert change < 1e-9
    assert (values[0], values[-1]) == (-1, 2)
    np.testing.assert_allclose(tensors, laminate(values), rtol=0, atol=1e-8)


def test_law_follows_the_solution(make_problem: MakeProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table grows with the range of u, and rarely: every time takes cell problems."""
    tables = []
    tabulate = tensor_of_u.tabulate
    monkeypatch.setattr(tensor_of_u, "tabulate", lambda *of: tables.append(of[1:]) or tabulate(*of))
    at = EffectiveLaw(make_problem(LAMINATE)).at(np.zeros((9, 2)))
    for end in (0.0, 1.0, 1.05, 0.3, -0.5):
        u = np.linspace(0, end, 9)
        np.testing.assert_allclose(at(u, 0), laminate(u), rtol=0, atol=1e-8)
        # the derivative of a series of some 20 terms is about 20^2 times as far off
        np.testing.assert_allclose(at(u, 1), (laminate(u + 1e-5) - laminate(u - 1e-5)) / 2e-5, rtol=0, atol=1e-6)
    assert len(tables) == 3


def test_law_forgets_a_step_that_led_far_off(make_problem: MakeProblem) -> None:
    """Over a range of 10^4, a*(u) is not resolved; the solution's own range is."""
    at = EffectiveLaw(make_problem(LAMINATE)).at(np.zeros((9, 2)))
    at(np.linspace(0, 1e4, 9), 0)
    u = np.linspace(0, 1, 9)
    np.testing.assert_allclose(at(u, 0), laminate(u), rtol=0, atol=1e-8)


def test_law_has_no_value_where_the_coefficient_is_not_positive(make_problem: MakeProblem) -> None:
    at = EffectiveLaw(make_problem("2 - u + sin(2*pi*x1/eps)/2")).at(np.zeros((2, 2)))
    assert np.isnan(at(np.array([0.0, 3.0]), 0)).all()
    u = np.array([0.0, 1.4])  # the margin beyond is not positive
    np.testing.assert_allclose(at(u, 0)[:, 0, 0], np.sqrt((2 - u) ** 2 - 0.25), rtol=0, atol=1e-6)


def test_means_on_a_solution(make_problem: MakeProblem) -> None:
    """a = 2 + (1 + sin(2 pi x1/eps)) u^2 with u = x1 x2: the mean is 2 + 1/9, up to O(eps)."""

    def u(axes: Sequence[np.ndarray]) -> np.ndarray:
        return np.prod(tensor_grid(axes), axis=-1)

    coefficient = "2 + (1 + sin(2*pi*x1/eps))*u**2"
    # the integral of sin(2 pi x/eps) x^2 over (0, 1) is -eps/(2 pi), for an integer 1/eps
    exact = 2 + 1 / 9 - 0.05 / (2 * np.pi) / 3
    assert mean_on_solution(make_problem(coefficient, eps=0.05), u) == pytest.approx(exact, rel=1e-10)
    assert mean_on_limit(make_problem(coefficient, eps=1e-5), u) == pytest.approx(2 + 1 / 9, rel=1e-10)
