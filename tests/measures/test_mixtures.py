"""What the shares of phases say of an effective tensor."""

from pathlib import Path

import numpy as np
import pytest

from homog.config import CompositeField, DomainSettings, FieldProblem, ImageField
from homog.equation import Problem, build
from homog.measures.mixtures import mixture
from homog.references.cell import effective_tensor


def of(field, coefficient: str = "field", dimension: int = 2) -> Problem:
    box = DomainSettings(lower=[0.0] * dimension, upper=[1.0] * dimension)
    return build(FieldProblem(name="p", coefficient=coefficient, forcing="1", domain=box, field=field), 0.1)


def test_the_means_are_the_tensor_of_layers():
    layers = CompositeField(shape="laminate", fraction=0.25, inclusion=9.0, normal=[1, 0])
    mixed = mixture(of(layers))
    assert mixed.phases == ((1.0, 0.75), (9.0, 0.25))
    assert (mixed.reuss, mixed.voigt) == (pytest.approx(1 / (0.25 / 9 + 0.75)), pytest.approx(3.0))
    assert mixed.porosity is None
    assert mixed.tortuosity(np.eye(2)) is None


@pytest.mark.parametrize("dimension", [2, 3])
def test_hashin_and_shtrikman_by_their_formula(dimension: int):
    """a_1 + f_2 / (1/(a_2 - a_1) + f_1/(d a_1)) from below, phases exchanged from above; discs are between them."""
    problem = of(CompositeField(fraction=0.3, inclusion=20.0), dimension=dimension)
    mixed = mixture(problem)
    (a, f), (b, g) = mixed.phases
    assert mixed.lower == pytest.approx(a + g / (1 / (b - a) + f / (dimension * a)))
    assert mixed.upper == pytest.approx(b + f / (1 / (a - b) + g / (dimension * b)))
    if dimension == 2:
        assert mixed.lower < effective_tensor(problem)[0][0, 0] < mixed.upper


def test_the_tortuosity_of_a_plate_with_holes(tmp_path: Path):
    """0.441495 by Perrins, McKenzie and McPhedran (1979): (1 - pi 0.35^2) / 0.441495 = 1.3934; two phases only."""
    problem = of(CompositeField(radius=0.35, inclusion=0.0, matrix=2.0))
    tortuosity = mixture(problem).tortuosity(2 * 0.441495 * np.eye(2))
    np.testing.assert_allclose(tortuosity, 1.3934, rtol=1e-3)
    assert mixture(problem).lower == 0
    np.save(tmp_path / "a.npy", np.array([[0, 1], [1, 2]], dtype=np.uint8))
    three = mixture(of(ImageField(path=str(tmp_path / "a.npy"), values={0: 0.0, 1: 1.0, 2: 5.0}, period="eps")))
    assert three.porosity == 0.75
    assert three.tortuosity(np.eye(2)) is None


def test_of_a_matrix_there_are_the_bounds_of_all_directions():
    """diag(2 + s, 1): between the least mean of the inverse, 1, and the largest mean, 2; root(3) is in between."""
    mixed = mixture(Problem(["2 + sin(2*pi*x1/eps)", "1"], forcing="1"))
    assert (mixed.reuss, mixed.voigt) == (pytest.approx(1), pytest.approx(2, rel=1e-3))
    turned = mixture(Problem([["2", "1"], ["1", "2"]], forcing="1"))
    assert (turned.reuss, turned.voigt) == (pytest.approx(1), pytest.approx(3))
    assert (turned.lower, turned.upper, turned.phases) == (None, None, ())


def test_of_a_coefficient_that_varies_there_are_no_phases_and_the_means_are_of_a_sample():
    layers = CompositeField(shape="laminate", fraction=0.5, inclusion=3.0, normal=[1, 0])
    mixed = mixture(of(layers, "field*(2 + sin(2*pi*x2/eps))"))
    assert mixed.phases == ()
    assert mixed.voigt == pytest.approx(4.0, rel=2e-3)
