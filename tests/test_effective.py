"""The effective tensor by walkers against known ones."""

import numpy as np
import pytest

from homog.config import BoundsTimeStep
from homog.effective import effective_tensor_by_walkers
from homog.errors import UserError
from homog.timestep import time_steps

STEPS = time_steps(BoundsTimeStep(eps=0.05, m0=12, macro_factor=8), 2)


@pytest.mark.parametrize(
    ("coefficient", "known"),
    [
        ("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", [0.8835143, 0.8835143]),
        ("1/(1 + 0.8*sin(2*pi*x1/eps))", [1.0, 1 / 0.6]),  # a laminate: harmonic and arithmetic mean
    ],
)
def test_the_spread_of_walkers_gives_the_effective_tensor(make_problem, kernels, coefficient, known):
    """Four standard errors, and 0.4 % for the micro step: Heun at 12 steps across a period."""
    problem = make_problem(coefficient)
    found = effective_tensor_by_walkers(problem, STEPS, 16, cache=kernels)
    assert found.standard_error.max() < 1e-2
    assert (np.abs(found.value - np.diag(known)) < 4 * found.standard_error + 4e-3).all()
    low, high = found.interval()
    np.testing.assert_allclose(high - low, 3.92 * found.standard_error)


def test_what_has_no_effective_tensor_is_refused(make_problem, kernels):
    with pytest.raises(UserError, match="with a period"):
        effective_tensor_by_walkers(make_problem("1 + x1"), STEPS, cache=kernels)
    short = time_steps(BoundsTimeStep(eps=0.05), 2)
    with pytest.raises(UserError, match="macro_factor"):
        effective_tensor_by_walkers(make_problem(), short, cache=kernels)
