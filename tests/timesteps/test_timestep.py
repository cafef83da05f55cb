"""Equations 20 to 24 and the numbers of sections 3 and 4."""

import math

import pytest

from homog.config import BoundsTimeStep, FixedTimeStep, RatioTimeStep
from homog.errors import UserError
from homog.timesteps.timestep import count_bound, kappa, macro_bound, micro_bound, time_steps


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [(1, math.sqrt(2 / math.pi)), (2, math.sqrt(math.pi / 2)), (3, math.sqrt(8 / math.pi))],
)
def test_kappa_is_the_mean_length_of_a_normal_vector(dimension: int, expected: float):
    assert kappa(dimension) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("eps", "published"), [(0.05, 1.105e-5), (0.01, 4.42e-7), (0.0135, 8.05e-7)]
)  # the last digit of a published number is rounded
def test_published_micro_steps(eps: float, published: float):
    assert micro_bound(eps, 12, 2) == pytest.approx(published, rel=2e-3)


def test_published_macro_step_of_the_random_field():
    assert macro_bound(2 * 0.0135, 2) == pytest.approx(2.32e-4, rel=2e-3)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("eps", [0.3, 1e-5])
def test_the_ratio_of_the_bounds_is_free_of_eps(eps: float, dimension: int):
    ratio = macro_bound(eps, dimension) / micro_bound(eps, 12, dimension)
    assert ratio == pytest.approx(count_bound(12, dimension), rel=1e-12)


def test_bounds_policy_meets_both_bounds_at_k0():
    steps = time_steps(BoundsTimeStep(eps=0.01, m0=12, macro_factor=1.0), 2)
    assert steps.count == 72
    assert steps.macro_step == pytest.approx(macro_bound(0.01, 2), rel=1e-12)
    assert steps.warnings() == []


@pytest.mark.parametrize("m0", [7, 12.5])
@pytest.mark.parametrize("factor", [0.37, 16])
def test_bounds_policy_rounds_the_micro_step_down_and_keeps_the_macro_step(m0: float, factor: float):
    steps = time_steps(BoundsTimeStep(eps=0.01, m0=m0, macro_factor=factor), 2)
    assert steps.micro_step <= steps.micro_bound * (1 + 1e-12)
    assert steps.macro_step == pytest.approx(factor * steps.macro_bound, rel=1e-12)


def test_a_given_count_replaces_the_factor():
    steps = time_steps(BoundsTimeStep(eps=0.01, m0=12, count=5), 2)
    assert (steps.count, steps.micro_step) == (5, pytest.approx(steps.micro_bound))
    assert len(steps.warnings()) == 1  # Dt is below its bound


@pytest.mark.parametrize(("micro", "macro"), [(1.10e-5, 7.92e-4), (4.42e-7, 3.18e-5)])
def test_the_published_pairs_are_72_steps_and_break_no_bound(micro: float, macro: float):
    eps = 0.05 if micro > 1e-6 else 0.01
    steps = time_steps(FixedTimeStep(eps=eps, micro_step=micro, macro_step=macro), 2)
    assert (steps.micro_step, steps.count) == (micro, 72)
    assert steps.warnings() == []


def test_ratio_policy_keeps_the_step_that_is_given():
    fixed_macro = time_steps(RatioTimeStep(eps=0.1, ratio=2**-6, macro_step=1e-3), 2)
    assert (fixed_macro.count, fixed_macro.macro_step) == (64, pytest.approx(1e-3))
    fixed_micro = time_steps(RatioTimeStep(eps=0.1, ratio=1 / 72, micro_step=1e-5), 2)
    assert (fixed_micro.count, fixed_micro.micro_step) == (72, 1e-5)


def test_a_broken_micro_bound_is_told():
    (line,) = time_steps(RatioTimeStep(eps=0.05, ratio=1, macro_step=1e-3), 2).warnings()
    assert "upper bound" in line


@pytest.mark.parametrize(("excess", "lines"), [(1.005, 0), (1.02, 1)])
def test_a_bound_is_broken_by_more_than_a_hundredth(excess: float, lines: int):
    """Published numbers have three digits: what rounding did to them is no fault."""
    micro, macro = micro_bound(0.05, 12, 2), macro_bound(0.05, 2)
    over = FixedTimeStep(eps=0.05, micro_step=micro * excess, macro_step=72 * micro * excess)
    assert len(time_steps(over, 2).warnings()) == lines
    under = FixedTimeStep(eps=0.05, micro_step=macro / excess / 72, macro_step=macro / excess)
    assert len(time_steps(under, 2).warnings()) == lines


def test_a_macro_step_shorter_than_the_micro_bound_is_one_step():
    steps = time_steps(BoundsTimeStep(eps=0.01, m0=12, macro_factor=1e-3), 2)
    assert steps.count == 1
    assert steps.micro_step == steps.macro_step == pytest.approx(1e-3 * macro_bound(0.01, 2), rel=1e-12)


def test_the_problems_scale_enters_where_the_policy_names_none():
    assert time_steps(BoundsTimeStep(macro_factor=1.0), 2, 0.01) == time_steps(
        BoundsTimeStep(eps=0.01, macro_factor=1.0), 2
    )
    assert time_steps(BoundsTimeStep(eps=0.02, macro_factor=1.0), 2, 0.01) == time_steps(
        BoundsTimeStep(eps=0.02, macro_factor=1.0), 2
    )
    with pytest.raises(UserError, match=r"timestep\.eps"):
        time_steps(BoundsTimeStep(macro_factor=1.0), 2)


def test_what_is_within_reach_is_the_whole_range():
    assert time_steps(BoundsTimeStep(eps=0.1, count=10**7), 2).count == 10**7
    with pytest.raises(UserError, match="at most 1e"):
        time_steps(BoundsTimeStep(eps=0.1, count=10**7 + 1), 2)
    assert time_steps(FixedTimeStep(eps=0.1, micro_step=1e-30, macro_step=1e-30), 2).micro_step == 1e-30


def test_a_ratio_is_taken_as_one_over_a_whole_number_within_a_thousandth():
    """Three digits, such as 0.0139 for 1/72, are enough."""
    assert time_steps(RatioTimeStep(eps=0.1, ratio=0.10009, micro_step=1e-5), 2).count == 10
    with pytest.raises(UserError, match=r"write 0\.1 "):
        time_steps(RatioTimeStep(eps=0.1, ratio=0.10011, micro_step=1e-5), 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: BoundsTimeStep(eps=0, macro_factor=1.0),
        lambda: BoundsTimeStep(eps=0.1, m0=0.5, macro_factor=1.0),
        lambda: BoundsTimeStep(eps=float("nan"), macro_factor=1.0),
        lambda: FixedTimeStep(eps=0.1, micro_step=1e-3, macro_step=1e-4),
        lambda: RatioTimeStep(eps=0.1, ratio=0.5),
        lambda: RatioTimeStep(eps=0.1, ratio=0.5, micro_step=1e-3, macro_step=1e-3),
        lambda: RatioTimeStep(eps=0.1, ratio=1.5, micro_step=1e-3),
        lambda: time_steps(RatioTimeStep(eps=0.1, ratio=0.3, micro_step=1e-3), 2),
        lambda: RatioTimeStep(eps=0.1, ratio=0.5, micro_step=-1.0),
        lambda: time_steps(BoundsTimeStep(eps=0.1, m0=1e7, macro_factor=1.0), 2),
        lambda: time_steps(BoundsTimeStep(eps=1e-20, macro_factor=1.0), 2),
    ],
)
def test_numbers_out_of_range_are_refused_in_one_line(make):
    with pytest.raises(UserError) as refused:
        make()
    assert "\n" not in str(refused.value)
