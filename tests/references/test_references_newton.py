"""Newton's method on equations of one unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from math import atan, inf, log

import numpy as np
import pytest

from homog.references.newton import NotConverged, Residual, newton


@dataclass
class Scalar:
    function: Callable[[float], float]
    slope: Callable[[float], float]
    least: float = -inf

    def residual(self, u: np.ndarray) -> Residual | None:
        if u[0] <= self.least:
            return None
        return Residual(np.array([self.function(float(u[0]))]), max(1.0, abs(float(u[0]))))

    def correction(self, u: np.ndarray, residual: np.ndarray) -> np.ndarray:
        return residual / self.slope(float(u[0]))

    def norm(self, residual: np.ndarray) -> float:
        return abs(float(residual[0]))


def test_steps_too_long_are_halved() -> None:
    """Undamped, the iteration for atan(u) = 0 diverges from |u| > 1.39."""
    equation = Scalar(atan, lambda u: 1 / (1 + u**2))
    assert newton(equation, np.array([10.0]))[0] == pytest.approx(0, abs=1e-8)


def test_steps_stay_where_the_equation_is_defined() -> None:
    equation = Scalar(log, lambda u: 1 / u, least=0)  # from u = 3, the full step leads to 3 - 3 log 3 < 0
    assert newton(equation, np.array([3.0]))[0] == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    ("equation", "start", "message"),
    [
        (Scalar(lambda u: u**2 + 1, lambda u: 2 * u), 1.3, "may be no solution"),
        (Scalar(lambda u: u, lambda u: 1.0, least=1), 2.0, "not positive at u beyond"),
        (Scalar(log, lambda u: 1 / u, least=0), -1.0, "not positive where Newton's method starts"),
    ],
    ids=["no root", "towards the edge", "undefined start"],
)
def test_what_cannot_be_solved_is_told(equation: Scalar, start: float, message: str) -> None:
    with pytest.raises(NotConverged, match=message):
        newton(equation, np.array([start]))
