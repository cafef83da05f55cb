"""The cell problem against what is known in closed form, and the mean of the coefficient."""

from collections.abc import Callable

import numpy as np
import pytest

from homog import equation
from homog.config import DomainSettings, FormulaProblem
from homog.equation import Problem
from homog.references import effective_tensor
from homog.references.mean import mean_coefficient

MakeProblem = Callable[..., Problem]


def test_effective_tensor_of_the_papers_coefficient(make_problem: MakeProblem) -> None:
    tensor, change = effective_tensor(make_problem())
    assert change < 1e-9
    # isotropic, because the coefficient is invariant under a shift and an exchange of the axes; 7 published digits
    np.testing.assert_allclose(tensor, 0.8835143 * np.eye(2), rtol=0, atol=5e-8)


def test_effective_tensor_does_not_depend_on_eps(make_problem: MakeProblem) -> None:
    first, _ = effective_tensor(make_problem(eps=0.05))
    second, _ = effective_tensor(make_problem(eps=1e-4))
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dimension", "axis"), [(1, 0), (2, 0), (2, 1), (3, 1)], ids=lambda value: str(value))
def test_laminate_has_harmonic_mean_across_and_arithmetic_mean_along(
    make_problem: MakeProblem, dimension: int, axis: int
) -> None:
    problem = make_problem(f"2 + sin(2*pi*x{axis + 1}/eps)", dimension=dimension)
    expected = 2 * np.eye(dimension)
    expected[axis, axis] = np.sqrt(3)  # 1 / integral of 1/(2 + sin) over a period
    np.testing.assert_allclose(effective_tensor(problem)[0], expected, rtol=0, atol=1e-10)


def test_oblique_laminate_has_a_full_symmetric_tensor(make_problem: MakeProblem) -> None:
    tensor, _ = effective_tensor(make_problem("2 + sin(2*pi*(x1 + x2)/eps)"))
    across = np.full((2, 2), 0.5)  # the projector on (1, 1)/sqrt(2)
    np.testing.assert_allclose(tensor, np.sqrt(3) * across + 2 * (np.eye(2) - across), rtol=0, atol=1e-10)
    assert tensor[0, 1] == pytest.approx(tensor[1, 0], abs=1e-14)


def test_duality_makes_the_geometric_mean_effective(make_problem: MakeProblem) -> None:
    """In two dimensions a* = exp(mean of log a) where log a is statistically odd (Dykhne); here a ranges over e^8."""
    tensor, _ = effective_tensor(make_problem("exp(4*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))"))
    np.testing.assert_allclose(tensor, np.eye(2), rtol=0, atol=1e-9)


@pytest.mark.parametrize("across", [(1.0, 0.0), (0.5, 0.5)], ids=["along an axis", "oblique"])
def test_a_laminate_with_kinks_has_its_means(make_problem: MakeProblem, across: tuple[float, float]) -> None:
    """Of 1 + |sin(pi y)| the harmonic one is pi/2, the arithmetic one 1 + 2/pi."""
    phase = "x1" if across[1] == 0 else "(x1 + x2)"
    tensor, change = effective_tensor(make_problem(f"1 + abs(sin(pi*{phase}/eps))"))
    normal = np.outer(np.sqrt(across), np.sqrt(across))
    exact = np.pi / 2 * normal + (1 + 2 / np.pi) * (np.eye(2) - normal)
    assert change < 1e-5
    np.testing.assert_allclose(tensor, exact, rtol=0, atol=max(change, 1e-12) * 2)


def test_duality_holds_with_kinks_in_the_slopes(make_problem: MakeProblem) -> None:
    wave = "sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    tensor, change = effective_tensor(make_problem(f"exp(4*{wave}*abs({wave}))"))
    assert change < 1e-6
    np.testing.assert_allclose(tensor, np.eye(2), rtol=0, atol=2 * change)


def test_coefficient_without_period_has_no_cell_problem(make_problem: MakeProblem) -> None:
    with pytest.raises(ValueError, match="periodic"):
        effective_tensor(make_problem("1 + 0.5*sin(x1*x2/eps)"))


def test_mean_over_a_period_and_over_a_domain() -> None:
    box = DomainSettings(lower=[1.0, 0.0], upper=[3.0, 1.0])
    periodic = FormulaProblem(name="a test", coefficient="3 + 2*sin(2*pi*x1/eps)**2", forcing="10", domain=box)
    assert mean_coefficient(equation.build(periodic, 0.03))[0] == pytest.approx(4, rel=1e-13)
    general = FormulaProblem(name="a test", coefficient="1 + x1**3*x2", forcing="10", domain=box)
    assert mean_coefficient(equation.build(general, 0.05))[0] == pytest.approx(6, rel=1e-13)  # 1 + (81 - 1)/8 * 1/2
