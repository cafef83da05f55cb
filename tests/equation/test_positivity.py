"""A coefficient is positive on the spline of its field, or the run ends: whatever the nodes or a sample say."""

import time
from pathlib import Path

import numpy as np
import pytest

from homog import equation
from homog.config import DomainSettings, FieldProblem, FileField
from homog.domains import Box
from homog.equation import FIELD, SOLUTION, Operator, Problem
from homog.equation.positivity import not_positive
from homog.errors import UserError
from homog.fields.splines import Spline, interpolate
from homog.formula import parse
from homog.formula.bounds import bounds
from homog.formula.evaluate import at_points


def problem_of(spline: Spline, coefficient: str = "field") -> Problem:
    dimension = len(spline.lower)
    box, zero = Box(spline.lower, spline.upper), parse("0", dimension)
    formula = parse(coefficient, dimension, ("eps", SOLUTION, FIELD))
    return Problem.of("p", Operator(formula, zero, {"eps": 0.1}, spline), zero, box, scale=0.1)


def of_values(values: np.ndarray, degree: int = 3) -> Spline:
    return interpolate(values, (0.0,) * values.ndim, (1.0,) * values.ndim, degree=degree)


def pixel(nodes: int) -> np.ndarray:
    """Near 1, with one node of 20."""
    axis = np.linspace(0, 1, nodes)
    values = 1 + 0.2 * np.sin(6 * axis)[:, None] * np.cos(5 * axis)
    values[nodes // 3, nodes // 2] = 20
    return values


@pytest.mark.parametrize("nodes", [33, 1025])
def test_a_single_high_node_makes_the_spline_negative_and_the_place_is_found(nodes: int):
    spline = of_values(pixel(nodes))
    start = time.process_time()
    found = not_positive(problem_of(spline))
    assert time.process_time() - start < 2
    assert found is not None
    around = (np.array([nodes // 3, nodes // 2]) + np.mgrid[-3:3:121j, -3:3:121j].reshape(2, -1).T) / (nodes - 1)
    np.testing.assert_allclose(found.value, spline(around).min(), atol=2e-2)  # the sample's spacing is 1/20 of a cell
    np.testing.assert_allclose(found.field, spline(found.place), atol=1e-12)
    assert not_positive(problem_of(of_values(pixel(nodes), degree=1))) is None
    assert not_positive(problem_of(spline, "exp(field)")) is None


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("degree", [1, 3])
def test_the_lowest_level_that_is_positive_is_told_from_one_that_is_not(dimension: int, degree: int):
    """For rough nodes, the least value of the spline known from 12 points a cell or more along each axis."""
    values = np.random.default_rng(dimension).random((9,) * dimension)
    spline = of_values(values, degree)
    points = {1: 8 * 1000, 2: 8 * 60, 3: 8 * 12}[dimension] + 1
    least = float(spline(Box(spline.lower, spline.upper).grid(points)).min())
    assert not_positive(problem_of(spline, f"field + {1e-2 - least}")) is None
    found = not_positive(problem_of(spline, f"field + {-1e-3 - least}"))
    assert found is not None
    assert found.value <= -9e-4


@pytest.mark.parametrize(
    ("coefficient", "positive"),
    [
        ("1e-3 + field**2", True),
        ("(field - 0.5)**2 - 1e-6", False),
        ("0.251 + field*(field - 1)", True),  # the least value is 0.001
        ("0.249 + field*(field - 1)", False),
        ("1 + 0.9*sin(30*field)*cos(50*x1)", True),
        ("1 + 1.01*sin(30*field)*cos(50*x1)", False),
        ("1.3 + x1*field - sqrt(1 + field**2)", None),
        ("exp(field) - 0.9", None),
        ("1/(1.3 + field)", None),
        ("(1 + u**2)*(0.3 + field)", None),
    ],
)
def test_formulas_that_are_not_monotone_in_the_field(coefficient: str, positive: bool | None):
    spline = of_values(np.random.default_rng(5).random((17, 17)))
    problem = problem_of(spline, coefficient)
    sample = problem.operator.coefficient_at(problem.domain.grid(321), 0.0)
    assert positive is None or bool((sample > 0).all()) == positive
    assert (not_positive(problem) is None) == bool((sample > 0).all())


@pytest.mark.parametrize(
    "shape", [(513, 513), (33, 33, 33), *(pytest.param(s, marks=pytest.mark.slow) for s in ((2049,) * 2, (129,) * 3))]
)
def test_a_narrow_dip_beside_millions_of_sound_cells_is_found_in_little_time(shape: tuple[int, ...]):
    values = np.full(shape, 1.0)
    values[tuple(n // 2 for n in shape)] = 9.5
    spline = of_values(values)
    start = time.process_time()
    found = not_positive(problem_of(spline))
    assert time.process_time() - start < 3
    assert found is not None
    assert found.value < 0


def test_white_noise_is_searched_in_little_time():
    values = 1 + np.random.default_rng(0).random((513, 513))
    spline = of_values(values)
    start = time.process_time()
    found = not_positive(problem_of(spline))
    assert time.process_time() - start < 3
    sampled = spline(Box((0.0, 0.0), (0.2, 0.2)).grid(801)).min()
    assert found is None or found.value <= 0 < sampled or sampled <= 0


def test_the_message_names_the_spline_and_the_ways_out(tmp_path: Path):
    np.save(tmp_path / "pixel.npy", pixel(65))

    def build(interpolation: str) -> Problem:
        field = FileField(path=str(tmp_path / "pixel.npy"), interpolation=interpolation)
        return equation.build(
            FieldProblem(name="p", coefficient="field", forcing="1", domain=DomainSettings(), field=field), 0.1
        )

    with pytest.raises(UserError, match=r"between nodes, where the cubic spline of the field is -1\.\d+: .*exp\(field\)"
                       r"' or problem.field.interpolation=linear"):  # fmt: skip
        build("cubic")
    linear = build("linear").operator.field
    assert linear is not None
    assert linear.degree == 1


NAMES = ("x1", "x2", "field")


@pytest.mark.parametrize("text", [
    "sin(3*x1)*cos(5*x2) - tan(field/3)", "x1**3 - x2**2 + field**-2", "exp(-x1*field)/(1.5 + sin(9*x2))",
    "sqrt(x1 + 2)*log(2 + x2) - atan(field)*erf(x1)", "cosh(x1 - x2) - sinh(field)*tanh(3*x2)", "1/(1 + exp(4*field))",
    "(2 + x1)**1.5 - x2**4", "1/(1.5 + cos(2*x1))", "10**field - x1**5",
    "abs(x1)*x2 - abs(x1 - field)**3", "max(x1, x2 - 0.3, field)*min(x2, 0.2)", "sqrt(x1**2)/(2 + max(x2, -1))",
])  # fmt: skip
def test_bounds_hold_and_close_in(text: str):
    """Each value on a small box of names lies within its bounds, and these narrow with the box."""
    random = np.random.default_rng(0)
    formula = parse(text, 2, ("field",))
    centre, widths = random.uniform(-1, 1, (300, 3)), []
    for width in (0.2, 0.02):
        ranges = {name: (centre[:, i] - width / 2, centre[:, i] + width / 2) for i, name in enumerate(NAMES)}
        low, high = bounds(formula.expression, ranges)
        for _ in range(20):
            places = centre + random.uniform(-width / 2, width / 2, centre.shape)
            values = at_points(formula, places[:, :2], {"field": places[:, 2]})
            inside = (values >= low - 1e-12 * abs(low)) & (values <= high + 1e-12 * abs(high))
            assert (inside | np.isnan(values)).all()
        finite = np.isfinite(high - low)
        widths.append(np.median((high - low)[finite]))
    assert widths[1] < widths[0] / 5
