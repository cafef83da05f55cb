"""Problems: what is accepted, what is refused and where."""

import numpy as np
import pytest

from homog import equation
from homog.config import DomainSettings, FormulaProblem
from homog.domains import Box
from homog.errors import UserError


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_sampled_points_lie_where_they_should(dimension: int):
    box = Box((-1.0,) * dimension, tuple(1.0 + i for i in range(dimension)))
    random = np.random.default_rng(0)
    inside = box.sample(20_000, random)
    assert (inside > box.lower).all()
    assert (inside < box.upper).all()
    edge = box.sample_boundary(20_000, random)
    on_face = (edge == box.lower) | (edge == box.upper)
    assert (on_face.sum(1) == 1).all()
    # each face gets its share of the area, within 4 sigma of a count
    for axis in range(dimension):
        area = np.prod(np.delete(box.sides, axis))
        share = area / sum(2 * np.prod(np.delete(box.sides, i)) for i in range(dimension))
        for end in (box.lower, box.upper):
            assert abs((edge[:, axis] == end[axis]).mean() - share) < 4 * np.sqrt(share / 20_000)


@pytest.mark.parametrize(
    ("coefficient", "value"),
    [
        ("1 + 1.01*sin(2*pi*x1/eps)", "-0.01"),
        ("x1 - 0.25", "-0.25"),  # in the corner, outside the sample's open square
        ("1 - 1.2*exp(-((x1-0.3)**2 + (x2-0.4)**2)/0.0004)", "-0.2"),  # a dip of 0.1 % of the square
        ("sqrt(x1 - 0.5)", "nan"),
        ("0", "0"),
        ("1 + sqrt(x1)", "inf"),  # its slope, on the edge
    ],
)
def test_a_coefficient_that_is_not_positive_is_refused_with_place_and_value(make_problem, coefficient, value):
    with pytest.raises(UserError, match=rf"problem.coefficient=.* is {value} at \(x1=.*, x2=.*\)"):
        make_problem(coefficient, eps=0.01)


def test_a_coefficient_that_stays_just_above_zero_is_accepted(make_problem):
    assert make_problem("1 + 0.9999*sin(2*pi*x1/eps)", eps=0.01).cell == Box((0.0, 0.0), (0.01, 0.01))


def test_a_boundary_value_must_be_finite_in_the_corners_too(make_problem):
    with pytest.raises(UserError, match=r"problem\.boundary=.*must be finite"):
        make_problem(boundary="1/(x1 + x2)")
    # integrable: the walkers never stand there
    assert make_problem(forcing="log(x1)").operator.forcing.text == "log(x1)"


@pytest.mark.parametrize(
    ("coefficient", "eps", "periodic"),
    [
        ("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", 0.05, True),
        ("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", 1e-5, True),
        ("2 + sin(pi*x1/eps)", 0.05, False),
        ("2 + sin(2*pi*x1/eps) + 0.001*x2", 0.05, False),
        ("3", 0.05, True),
    ],
)
def test_periodicity_is_measured(make_problem, coefficient: str, eps: float, periodic: bool):
    assert (make_problem(coefficient, eps).cell is not None) == periodic


def test_the_key_names_all_that_the_solution_depends_on_and_nothing_else(make_problem):
    one = make_problem()
    assert one.key() == make_problem("1+0.9*sin( 2*pi*x1/eps )*cos(2*pi*x2/eps)").key()
    others = [
        make_problem(eps=0.04),
        make_problem(forcing="11"),
        make_problem(boundary="x1"),
        make_problem("1 + 0.8*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"),
    ]
    assert len({one.key(), *(other.key() for other in others)}) == 5


@pytest.mark.parametrize("name", ["x1", "pi", "sin", "eps", "lambda", "1b", "a b", "__class__", "u"])
def test_a_parameter_may_not_take_a_name_that_means_something(name: str):
    settings = FormulaProblem(name="p", coefficient="1", forcing="1", parameters={name: 1.0})
    with pytest.raises(UserError, match="choose another name"):
        equation.build(settings, 0.1)


@pytest.mark.parametrize("corners", [([0.0], [0.0]), ([0.0, 0.0], [1.0]), ([0.0] * 11, [1.0] * 11), ([], [])])
def test_a_box_that_is_none_is_refused(corners):
    with pytest.raises(UserError, match=r"problem\.domain"):
        DomainSettings(lower=corners[0], upper=corners[1])
