"""What a run says of itself."""

import torch

from homog import config, report
from homog.timestep import TimeSteps


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
