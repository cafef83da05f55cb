"""A target: what is chosen for which part of the error, and answers whose truth is known."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_kills import killing

import homog
from homog.config import RunSettings, stored
from homog.run.effort import Effort, Parts, improved, smooth_target, with_enough_walkers
from homog.run.target import batches_short, effort_of, settings_with, verdict
from homog.run.task import Plan

EFFORT = Effort(functions=16, macro_factor=4.0, m0=12.0, slower=8.0, walkers=1e5)
QUIET = Parts(sampling=5e-3, functions=1e-3, macro=1e-3, micro=1e-3, steps_noise=1e-3, used=25)


def better(target: float = 1e-2, *, held_back: bool = False, **parts: float) -> Effort:
    return improved(EFFORT, QUIET._replace(**parts), target, 2, held_back=held_back)


def test_what_is_below_its_share_stays():
    assert better() == EFFORT
    assert better(functions=4e-3, macro=4e-3, micro=4e-3) == EFFORT


def test_an_estimate_below_the_target_is_enough():
    """Whatever its parts are: 6e-3 is more than the share of one, and with 5e-3 of sampling 7.9e-3 in all."""
    assert better(macro=6e-3) == EFFORT
    assert better(macro=8e-3) != EFFORT


@pytest.mark.parametrize("noise", [{"sampling": 2e-2}, {"functions": 2e-2}, {"steps_noise": 2e-2}])
def test_noise_is_made_small_before_anything_else_is_looked_at(noise: dict[str, float]):
    """What keeps an answer from functions that there are is noise too."""
    found = better(macro=0.5, micro=0.5, **noise)
    assert found == replace(EFFORT, walkers=found.walkers)
    assert 2 * EFFORT.walkers < found.walkers <= 8 * EFFORT.walkers


def test_each_part_has_its_remedy():
    """With no more walkers than the noise of 5.1e-3 asks for, or of 5e-3 where functions are too few: 0.8 of 1e-2."""
    fewer, fewest = (EFFORT.walkers * (noise / 8e-3) ** 2 for noise in (math.hypot(5e-3, 1e-3), 5e-3))
    few = replace(EFFORT, walkers=pytest.approx(fewer))
    assert better(functions=2e-2, used=256) == replace(EFFORT, functions=32, walkers=pytest.approx(fewest))
    assert better(macro=2e-2) == replace(few, macro_factor=pytest.approx(4 * 2 / 0.45))
    assert better(micro=2e-2) == replace(few, m0=pytest.approx(12 * (2 / 0.45) ** (1 / 3)))
    assert better(micro=2e-2, held_back=True) == replace(few, slower=pytest.approx(8 * (2 / 0.45) ** (2 / 3)))


def test_what_is_at_its_end_stays():
    widest = replace(EFFORT, functions=40, macro_factor=4096.0, m0=200.0)
    assert (
        improved(widest, QUIET._replace(functions=0.1, macro=0.1, micro=0.1, used=1600), 1e-2, 2, held_back=False)
        == widest
    )


def test_walkers_for_the_noise_that_is_left():
    """Squares add up; and none are sent to be exact beside an error that remains."""
    found = with_enough_walkers(EFFORT, QUIET._replace(sampling=2e-2), 1e-2, 2)
    noise = math.hypot(2e-2, 1e-3) * math.sqrt(EFFORT.walkers / found.walkers)
    assert 0.8e-2 < math.hypot(noise, 1e-3, 1e-3) < 1e-2
    hopeless = with_enough_walkers(EFFORT, QUIET._replace(sampling=2e-2, macro=0.5), 1e-2, 2)
    assert math.hypot(2e-2, 1e-3) * math.sqrt(EFFORT.walkers / hopeless.walkers) > 3e-3
    assert with_enough_walkers(EFFORT, QUIET, 1e-2, 2) == EFFORT


def test_the_microscale_is_part_of_the_target_unless_it_is_larger():
    assert smooth_target(5e-3, 3e-3) == pytest.approx(4e-3)
    assert smooth_target(5e-3, 6e-3) == 5e-3


def told(**parts: float) -> dict[str, float]:
    known = {"standard_error": 0.0, "features": 0.0, "macro_step": 0.0, "micro_step": 0.0, **parts}
    smooth = math.hypot(*(known[name] for name in ("standard_error", "features", "macro_step", "micro_step")))
    micro = known.get("microscale", 0.0)
    whole = {"smooth_error_estimate": smooth, "error_estimate": math.hypot(smooth, micro)}
    return {f"rel_l2_{name}": value for name, value in {**whole, **known}.items()}


@pytest.fixture
def plan(home: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("HOMOG_HOME", str(home))
    problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.05)
    return Plan.of(RunSettings.of(problem.settings, eps=0.05), home, problem)


def test_more_batches_only_where_they_help(plan: Plan):
    assert batches_short(told(standard_error=5e-3), 16, 1e-2, plan) == 0
    assert batches_short(told(macro_step=2e-2, standard_error=5e-3), 16, 1e-2, plan) == 0
    more = batches_short(told(standard_error=1.2e-2), 16, 1e-2, plan)
    assert 1.2e-2 * math.sqrt(16 / (16 + more)) < 1e-2
    assert batches_short({}, 16, 1e-2, plan) == 0


def test_the_verdict():
    assert verdict(told(standard_error=5e-3), 1e-2).reached
    assert "most of it is macro step, 2.0e-02" in verdict(told(macro_step=2e-2, standard_error=5e-3), 1e-2).line
    beyond = verdict(told(standard_error=5e-3, microscale=2e-2), 1e-2)
    assert beyond.reached
    assert "evaluation.fine_scale=true" in beyond.line
    longer = {**told(standard_error=5e-3), "rel_l2_smooth_error_estimate": 0.5, "rel_l2_error_estimate": 0.5}
    assert "a longer walk finds 5.0e-01" in verdict(longer, 1e-2).line


def test_settings_have_the_walkers_and_the_pace_of_the_knobs(plan: Plan):
    own = effort_of(plan)
    same = settings_with(plan, own).settings
    assert (same.method.points, same.optimizer.iterations, same.network.count) == (16384, 16, 16)
    assert same.timestep.most_steps == pytest.approx(1e10, rel=1e-3)
    few, many = (settings_with(plan, replace(own, walkers=share * own.walkers)).settings for share in (0.1, 10))
    assert (few.optimizer.iterations, many.method.points) == (16, 16384)
    for settings, share in ((few, 0.1), (many, 10)):
        walkers = settings.method.walkers_an_iteration * settings.optimizer.iterations
        assert walkers == pytest.approx(share * own.walkers, rel=1e-2)
        assert effort_of(replace(plan, settings=settings)).slower == pytest.approx(own.slower, rel=1e-2)


LINE = homog.Box((0.0,), (1.0,))


def test_a_smaller_target_has_a_smaller_error_of_which_it_knows(plan: Plan):
    """a = 1 + 0.9 cos in one dimension, u_0 = x (1 - x) / (2 sqrt(0.19)); the default is 1 % off, by its steps."""
    problem = homog.Problem("1 + 0.9*cos(2*pi*x1/eps)", forcing="1", eps=0.002, domain=LINE)
    x = np.linspace(0, 1, 201)
    exact = x * (1 - x) / (2 * math.sqrt(0.19))
    found = [homog.solve(problem, target=target, quiet=True) for target in (3e-2, 1.5e-2)]
    for target, u in zip((3e-2, 1.5e-2), found, strict=True):
        assert u.error_estimate < target
        assert np.linalg.norm(u(x) - exact) < target * np.linalg.norm(exact)
    loose, tight = (u.plan.settings for u in found)
    assert tight.timestep.m0 > loose.timestep.m0
    assert tight.optimizer.iterations * tight.method.points > loose.optimizer.iterations * loose.method.points


def test_the_seconds_end_a_search_and_it_says_what_is_lacking(plan: Plan):
    problem = homog.Problem("1 + 0.9*cos(2*pi*x1/eps)", forcing="1", eps=0.02, domain=LINE)
    with pytest.warns(homog.AnswerWarning, match=r"target 1e-05 not reached: the error is estimated at .*e-0\d"):
        u = homog.solve(problem, target=1e-5, seconds=6, quiet=True)
    assert u.error_estimate > 1e-5


def run(home: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "homog", "tracking=off", "reference=homogenized", "evaluation.grid=41", *overrides],
        env={**os.environ, "HOMOG_HOME": str(home)}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip


def test_a_run_records_what_it_chose_so_that_it_can_be_repeated(home: Path):
    small = ["problem.coefficient=2+sin(2*pi*x1/eps)", "problem.forcing=1", "target=5e-2", "eps=0.05"]
    done = run(home, *small)
    assert done.returncode == 0, done.stderr
    assert "small trainings choose" in done.stdout
    assert "target 0.05 reached" in done.stdout
    (folder,) = (home / "runs").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["target"] == 0.05 > metrics["rel_l2_error_estimate"]
    settings = stored.read((folder / "config.yaml").read_text(), "it")
    assert settings.target is None
    assert settings.method.points < 16384
    assert json.loads((folder / "run.json").read_text())["settings"]["target"] == 0.05


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["target=2"], "target=2.0 is out of range"),
        (["target=1e-2", "method=dflm"], "target needs method=energy and optimizer=galerkin"),
        (["target=1e-2", "timestep.count=10"], "timestep=bounds without timestep.count"),
        (["target=1e-2", "network=mlp"], "network=legendre or cosines"),
        (["seconds=10"], "write target=1e-2 too"),
        (["target=1e-2", "seconds=-1"], "seconds"),
    ],
)
def test_what_there_is_nothing_to_choose_for_is_refused_in_a_line(home: Path, overrides: list[str], said: str):
    done = run(home, *overrides)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_search_that_is_killed_ends_as_an_undisturbed_one(home: Path):
    settings = ["target=0.1", "eps=0.05", "reference=homogenized", "evaluation.grid=21", "tracking=off"]
    figures = killing(home, "--kills", "1", "--life", "3", "--", *settings)
    assert figures["equal"] == figures["runs"]
