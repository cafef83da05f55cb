"""What a run says of itself."""

import math

import pytest
import torch

from homog import config
from homog.run import budget, outcome, report
from homog.timesteps.timestep import TimeSteps


def test_time_steps_are_reported_where_there_are_walkers_and_only_there(make_problem, capsys):
    problem = make_problem(eps=0.1)
    assert config.DFLM.walks
    report.print_plan(problem, TimeSteps(1e-3, 2, 1e-4, 1e-2), torch.device("cpu"))
    said = capsys.readouterr().out
    assert "dt = 0.001" in said
    assert said.count("warning: ") == 2  # both bounds are broken
    assert not config.PINN.walks
    assert not config.DeepRitz.walks
    report.print_plan(problem, None, torch.device("cpu"))
    said = capsys.readouterr().out
    assert "eps = 0.1" in said
    assert "dt" not in said


def test_a_reference_that_may_be_to_blame_is_warned_of():
    assert not outcome.warnings({"rel_l2": 1e-2, "reference_error_estimate": 1e-3})
    assert not outcome.warnings({"rel_l2": None, "reference_error_estimate": 1e-3})
    (line,) = outcome.warnings({"rel_l2": 1e-3, "reference_error_estimate": 2e-3})
    assert "u_eps (FEM) itself is estimated at 2.0e-03" in line
    assert "says nothing of the network" in line
    (line,) = outcome.warnings({"rel_l2": 1e-2, "reference_error_estimate": 2e-3})
    assert "may be a part" in line
    (line,) = outcome.warnings({"rel_l2_homogenized": 1.0, "homogenized_error_estimate": 2.0})
    assert "u_0 itself" in line


PARTS = {"rel_l2_standard_error": 3e-2, "rel_l2_features": 4e-2, "rel_l2_macro_step": 12e-2, "rel_l2_microscale": 0.5}


def test_the_estimate_is_made_of_the_parts():
    found = budget.estimates(PARTS)
    assert found["rel_l2_smooth_error_estimate"] == pytest.approx(0.13)
    assert found["rel_l2_error_estimate"] == pytest.approx(math.hypot(0.13, 0.5))
    assert budget.estimates({"rel_l2_microscale": 0.5}) == {}


def test_a_longer_walk_counts_where_it_finds_more_beyond_doubt_and_where_nothing_else_is_known():
    walk = {"longer_walk_error": 0.4, "longer_walk_standard_error": 0.1}
    assert budget.estimates({**PARTS, **walk})["rel_l2_smooth_error_estimate"] == 0.4
    kinks = {"longer_walk_error": 0.25, "longer_walk_standard_error": 0.01}  # up to twice as much is no contradiction
    assert budget.estimates({**PARTS, **kinks})["rel_l2_smooth_error_estimate"] == pytest.approx(0.13)
    doubtful = {**walk, "longer_walk_standard_error": 0.2}
    assert budget.estimates({**PARTS, **doubtful})["rel_l2_smooth_error_estimate"] == pytest.approx(0.13)
    assert budget.estimates(walk)["rel_l2_error_estimate"] == pytest.approx(math.hypot(0.4, 0.1))
    assert budget.estimates(doubtful) == {}


def test_no_answer_is_said_first_and_by_what():
    parts = {**PARTS, "rel_l2_features": 0.3}
    (line, *_) = outcome.warnings({**parts, **budget.estimates(parts)})
    assert line.startswith("this is no answer: by the run's own estimate it is 32 % off (sampling 3 %, functions 30 %")
    walk = {"longer_walk_error": 0.4, "longer_walk_standard_error": 0.1}
    (line, *_) = outcome.warnings({**walk, **budget.estimates(walk)})
    assert "it is 41 % off (a longer walk 40 %)" in line


def test_what_helps_is_offered_where_it_does():
    def advice(**parts: float) -> list[str]:
        known = {f"rel_l2_{name}": value for name, value in parts.items()}
        return budget.advice({**known, **budget.estimates(known)})

    assert advice(standard_error=3e-3, features=1e-3, microscale=1e-2) == []
    assert "evaluation.fine_scale=true" in advice(standard_error=3e-3, features=1e-3, microscale=3e-2)[0]
    assert advice(standard_error=3e-3, features=1e-3, microscale=3e-2, fine_scale=1e-2) == []
    (line,) = advice(standard_error=3e-2, features=0.1, microscale=1e-2)
    assert "a larger network.count" in line
    (line,) = advice(standard_error=0.1, features=1e-2, microscale=1e-2)
    assert line.startswith("target=... looks for")


def test_a_nonlinear_iteration_that_has_not_settled_is_told():
    """Measured: 0.7 % in the last pass of the paper's problem, 18 % with a hundred times its f, 5 % off then."""
    assert not outcome.warnings({"last_pass_change": 0.007})
    (line,) = outcome.warnings({"last_pass_change": 0.176})
    assert "17.6 %" in line
    assert "optimizer.passes" in line
    assert outcome.warnings({"last_pass_change": float("nan")})
