"""The verbs of a Python user: the notebook of the README as written, and what each verb promises."""

import doctest
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import homog
from homog import equation, notebook
from homog.command import composition
from homog.config import FormulaProblem, RunSettings
from homog.errors import UserError
from homog.run import runner

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def short(home: Path, monkeypatch: pytest.MonkeyPatch) -> homog.Problem:
    """A problem in one dimension, and a HOMOG_HOME of its own."""
    monkeypatch.setenv("HOMOG_HOME", str(home))
    return homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.05, domain=homog.Box((0.0,), (1.0,)))


FEW = homog.Galerkin(iterations=8)


def test_the_notebook_of_the_readme_runs_as_written_from_another_folder(short, home: Path, tmp_path_factory):
    settings = RunSettings.of(short.settings, eps=0.05, optimizer=FEW, tracking=homog.config.NoTracking())
    plane = FormulaProblem(name="plane", coefficient="2 + sin(2*pi*x1/eps)", forcing="1")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    runner.run(replace(settings, problem=plane), elsewhere / "outputs/runs/one", home)
    block = README.partition("## From Python\n")[2].partition("\n`")[0]
    code = textwrap.dedent(block).replace("outputs/runs/...", "outputs/runs/one")
    environment = {"HOMOG_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(elsewhere)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "16/16" in done.stdout  # progress as that of homog-run
    assert "EffectiveTensor(" in done.stdout
    assert (elsewhere / "u.png").stat().st_size > 10_000


def test_the_examples_in_docstrings_are_true(home: Path, monkeypatch):
    monkeypatch.setenv("HOMOG_HOME", str(home))
    found = doctest.testmod(notebook)
    assert (found.failed, found.attempted > 9) == (0, True)


@pytest.mark.parametrize(
    ("coefficient", "method"),
    [("2 + sin(2*pi*x1/eps)", None), ("2 + u**2", None), ("2 + u**2", homog.DFLM()), ("2", homog.PINN())],
)
def test_what_is_not_chosen_is_what_the_command_takes(coefficient: str, method):
    composition.register()
    GlobalHydra.instance().clear()
    chosen = [] if method is None else [f"method={type(method).__name__.lower()}"]
    formulas = [f"problem.coefficient={coefficient}", "problem.forcing=1"]
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        composed = composition.settings_of(compose("run", composition.as_hydra_reads([*formulas, *chosen])))
    problem = FormulaProblem(name="linear", coefficient=coefficient, forcing="1")
    assert RunSettings.of(problem, method=method) == composed


def test_a_problem_in_text_is_the_one_of_its_settings():
    problem = homog.Problem("c + u**2", forcing="x1", boundary="x2", parameters={"c": 2.0}, eps=0.3)
    settings = FormulaProblem(
        name="problem", coefficient="c + u**2", forcing="x1", boundary="x2", parameters={"c": 2.0}
    )
    assert problem.key() == equation.build(settings, 0.3).key()
    assert problem.settings == settings
    with pytest.raises(UserError, match=r"problem\.coefficient"):
        homog.Problem("2 + sin(", forcing="1")


def test_points_and_coordinates_are_told_apart(short):
    u = homog.solve(short, optimizer=FEW, quiet=True)
    line = np.linspace(0, 1, 11)
    np.testing.assert_array_equal(u(line), u(line[:, None]))
    assert isinstance(u(0.5), float)
    assert u(line[:1]).shape == u(line[:1, None]).shape == (1,)
    assert u(0.0) == 0
    assert "standard error" in repr(u)
    for wrong in ((0.1, 0.2), (1.5,), (np.nan,), ([[0.1, 1.2]],)):
        with pytest.raises(UserError):
            u(*wrong)


def test_the_answer_is_that_of_the_command_to_the_bit(short, home: Path, tmp_path):
    """And a run that is read back has its bits, its settings and its problem."""
    u = homog.solve(short, optimizer=FEW, seed=3, quiet=True)
    settings = RunSettings.of(
        short.settings, eps=0.05, optimizer=FEW, seed=3, tracking=homog.config.NoTracking(), device="cpu"
    )
    metrics = runner.run(settings, tmp_path / "run", home)
    run = homog.load(tmp_path / "run")
    points = np.linspace(0, 1, 101)
    np.testing.assert_array_equal(run.answer(points), u(points))
    assert run.answer.standard_error == u.standard_error == metrics["rel_l2_standard_error"]
    assert (run.settings, run.problem.key()) == (settings, short.key())
    assert run.metrics["rel_l2"] == pytest.approx(u.error(homog.reference(short)), rel=1e-6)
    assert [iteration for iteration, _ in run.answer.curve] == list(range(1, 9))


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        (homog.DFLM(points=50, walkers=2), homog.AdamCosine(iterations=4)),
        (homog.Energy(points=64), homog.AdamCosine(iterations=3, last_layer=3)),
        (homog.PINN(points=20), homog.AdamExponential(iterations=3)),
    ],
)
def test_a_network_that_adam_trained_is_read_back(short, home: Path, tmp_path: Path, method, optimizer):
    """Averaged weights, a solved last layer, and those of the last iteration."""
    network = homog.MLP(depth=1, width=8)
    u = homog.solve(short, method=method, optimizer=optimizer, network=network, quiet=True)
    settings = RunSettings.of(
        short.settings, eps=0.05, method=method, optimizer=optimizer, network=network,
        tracking=homog.config.NoTracking(), reference=homog.HomogenizedReference(),
    )  # fmt: skip
    runner.run(settings, tmp_path / "run", home)
    points = np.linspace(0, 1, 101)
    np.testing.assert_array_equal(homog.load(tmp_path / "run").answer(points), u(points))


def test_what_cannot_be_read_back_is_refused_in_one_line(short, home: Path, tmp_path):
    settings = RunSettings.of(short.settings, eps=0.05, optimizer=FEW, tracking=homog.config.NoTracking())
    folder = tmp_path / "run"
    runner.run(settings, folder, home)
    config, weights = folder / "config.yaml", folder / "weights.pt"
    known, sound = config.read_text(), weights.read_bytes()
    for text in (known.partition("problem:\n")[2], "", "[", known.replace("legendre", "perceptron")):
        config.write_text(text)
        with pytest.raises(UserError, match="does not name the kinds"):
            homog.load(folder)
    config.write_text(known)
    for content in (b"", sound[: len(sound) // 2], sound[:-100]):
        weights.write_bytes(content)
        with pytest.raises(UserError, match="weights"):
            _ = homog.load(folder).answer
    weights.unlink()
    with pytest.raises(UserError, match="weights"):
        _ = homog.load(folder).answer
    with pytest.raises(UserError, match="holds no finished run"):
        homog.load(tmp_path)


def test_what_puts_an_answer_in_doubt_is_a_warning(short):
    """Sixteen times the upper bound of dt: the walkers step over the fine scale."""
    coarse = homog.FixedTimeStep(micro_step=16 * 1e-5, macro_step=64e-5)
    with pytest.warns(homog.AnswerWarning, match="step over the fine scale"):
        u = homog.solve(short, timestep=coarse, optimizer=FEW, quiet=True)
    assert any("step over" in line for line in u.warnings)


def test_walkers_of_a_nonlinear_problem_read_a_solution(home: Path, monkeypatch):
    """d(X^2) = (1 + 2 V X) dt: with a = (1 + u)^2 and a u known, V = grad log(1 + u)."""
    monkeypatch.setenv("HOMOG_HOME", str(home))
    line = homog.Box((0.0,), (1.0,))
    problem = homog.Problem("(1 + u)**2", forcing="2", eps=0.5, domain=line)
    with pytest.raises(UserError, match=r"u=homog\.solve"):
        homog.walk(problem, [[0.5]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", homog.AnswerWarning)
        u = homog.solve(problem, quiet=True)
    steps = homog.FixedTimeStep(micro_step=1e-4, macro_step=1e-2)
    walk = homog.walk(problem, np.full((400, 1), 0.25), 256, u=u, timestep=steps)
    slope = (np.log1p(u(0.251)) - np.log1p(u(0.249))) / 0.002
    moved = walk.displacement.astype(float)
    noise = moved.std() / np.sqrt(moved.size)
    assert slope > 0.1
    assert abs(moved.mean() - slope * 1e-2) < 5 * noise + 0.1 * slope * 1e-2  # V varies along the path
    again = homog.walk(problem, np.full((400, 1), 0.25), 256, u=u, timestep=steps, batch=1)
    assert not np.array_equal(again.displacement, walk.displacement)
    for points in ([0.5], [[0.0]], [[0.2, 0.3]]):
        with pytest.raises(UserError, match="point"):
            homog.walk(problem, points, u=u)
