"""What the equations of a solve give besides u, through runs: their numbers, their folders, and what is resumed."""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homog
from homog.config import (
    BoundsTimeStep,
    Energy,
    EvaluationSettings,
    FieldProblem,
    FormulaProblem,
    Galerkin,
    GSToolsField,
    HomogenizedReference,
    Legendre,
    NoTracking,
    RunSettings,
)
from homog.config.problem import DomainSettings
from homog.errors import UserError
from homog.machine.interruption import Interrupted
from homog.run import runner
from homog.run.further import FURTHER
from homog.solvers.ensemble import EnsembleSolve
from homog.solvers.family import FamilySolver

LINE = DomainSettings(lower=[0.0], upper=[1.0])
WAVE = "2 + sin(2*pi*x1/eps)"
KINDS: dict[str, Any] = {
    "time": FormulaProblem(
        name="p", coefficient=WAVE, forcing="10*cos(20*t)", domain=LINE,
        time={"end": 0.1, "initial": "sin(pi*x1)", "times": [0.02, 0.1]}, eigenvalues=2,
    ),
    "family": FormulaProblem(
        name="p", coefficient="1 + c*sin(2*pi*x1/eps)", forcing="1", domain=LINE,
        parameters={"c": {"from": 0.1, "to": 0.8}},
    ),
    "ensemble": FieldProblem(
        name="p", coefficient="exp(0.5*field)", forcing="1", domain=LINE,
        field=GSToolsField(correlation=0.3, samples=5),
    ),
}  # fmt: skip


def settings_of(kind: str) -> RunSettings:
    return RunSettings.of(
        KINDS[kind], eps=0.1, method=Energy(points=256, walkers=4), optimizer=Galerkin(iterations=8),
        network=Legendre(count=8), timestep=BoundsTimeStep(macro_factor=4, m0=6), reference=HomogenizedReference(),
        evaluation=EvaluationSettings(grid=101), tracking=NoTracking(), device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory, references: Path) -> Iterator[Path]:
    references.mkdir(parents=True, exist_ok=True)
    home = tmp_path_factory.mktemp("home")
    (home / "cache").symlink_to(references)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMOG_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def finished(shared_home: Path) -> Callable[[str], tuple[Path, Mapping[str, Any]]]:
    """The folder and the metrics of a run of each kind, which runs once."""

    @cache
    def run(kind: str) -> tuple[Path, Mapping[str, Any]]:
        folder = shared_home / kind
        return folder, runner.run(settings_of(kind), folder, shared_home)

    return run


def values(solution: homog.Solution | Callable[..., Any], kind: str) -> list[np.ndarray]:
    """All that is told of it, at some points."""
    x = np.linspace(0, 1, 11)[:, None]
    if kind == "time":
        modes, evolution = solution.modes, solution.evolution
        moments = [[moment.noise, moment.lacking, moment.bias, moment.size] for moment in evolution.moments]
        found = modes.found.values, modes.found.standard_error, modes.drawn, evolution.values, np.array(moments)
        return [*found, solution(x, t=0.0), solution(x, t=0.05)]
    if kind == "family":
        family = solution.further.family
        told = [family.family.error(c=0.3), family.family.standard_error(c=0.7), family.mean_error]
        return [family.mean, family.deviation, np.array(told), solution(x, c=0.3), solution(x, c=0.8)]
    ensemble = solution.further.ensemble
    return [ensemble.mean, ensemble.standard_error, ensemble.deviation, ensemble.deviation_error]


EXPECTED = {
    "time": ["time_1", "time_1_rel_l2_homogenized", "time_1_rel_l2_standard_error", "time_2_rel_l2_homogenized",
             "time_2_rel_l2_smooth_error_estimate", "eigenvalue_2", "eigenvalue_2_homogenized"],
    "family": ["member_1_rel_l2_homogenized", "member_2_rel_l2_homogenized", "member_3_rel_l2_homogenized",
               "member_1_rel_l2_smooth_error_estimate", "member_3_c", "family_rel_l2_smooth_error_estimate",
               "family_relative_deviation"],
    "ensemble": ["samples", "ensemble_standard_error", "ensemble_deviation", "ensemble_deviation_standard_error"],
}  # fmt: skip
FIGURES = {"time": ["modes", "evolution"], "family": ["family"], "ensemble": ["ensemble"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_tells_draws_and_keeps_what_a_solve_gives(finished, kind: str):
    folder, metrics = finished(kind)
    assert [name for name in EXPECTED[kind] if not isinstance(metrics.get(name), float)] == []
    for name in FIGURES[kind]:
        assert (folder / f"{name}.png").stat().st_size > 10_000
    held = {"time": ["time_1", "time_2"], "family": ["member_1", "member_2", "member_3"], "ensemble": []}
    for name in held[kind]:  # against the references of these members, and at these times
        error, told = metrics[f"{name}_rel_l2_homogenized"], metrics[f"{name}_rel_l2_smooth_error_estimate"]
        assert error < 3 * told < 0.5
    if kind == "family":
        assert [metrics[f"member_{number}_c"] for number in (1, 2, 3)] == pytest.approx([0.1, 0.45, 0.8])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_is_what_python_finds_to_the_bit(finished, kind: str):
    folder, metrics = finished(kind)
    run, settings = homog.load(folder), settings_of(kind)
    fresh = homog.solve(
        run.problem, method=settings.method, optimizer=settings.optimizer, network=settings.network,
        timestep=settings.timestep, quiet=True,
    )  # fmt: skip
    for read, known in zip(values(run.answer, kind), values(fresh, kind), strict=True):
        np.testing.assert_array_equal(read, known)
    numbers = run.answer.further.metrics()
    assert len(numbers) > 1
    assert {name: metrics[name] for name in numbers} == numbers


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_in_one_line(finished, tmp_path: Path, kind: str):
    folder = shutil.copytree(finished(kind)[0], tmp_path / "copy")
    path = folder / FURTHER
    sound = path.read_bytes()
    for content in (b"", sound[: len(sound) // 2], b"x" * 100, None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UserError, match="is missing or damaged") as refused:
            _ = homog.load(folder).answer
        assert "\n" not in str(refused.value)


SOLVERS = {"family": (FamilySolver, 14), "ensemble": (EnsembleSolve, 13)}


@pytest.mark.parametrize("kind", SOLVERS)
def test_a_run_that_was_interrupted_ends_with_the_same_bits(
    finished, shared_home: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    settings, (solver, last) = replace(settings_of(kind), checkpoint=0), SOLVERS[kind]
    before, whole = finished(kind)
    step, folder = solver.step, tmp_path / "interrupted"

    def interrupted(self: Any, iteration: int) -> int:
        if iteration == last:
            raise Interrupted(signal.SIGTERM)
        return step(self, iteration)

    with monkeypatch.context() as patched:
        patched.setattr(solver, "step", interrupted)
        with pytest.raises(Interrupted):
            runner.run(settings, folder, shared_home)
    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(solver, "step", lambda self, iteration: seen.append(iteration) or step(self, iteration))
        resumed = runner.run(replace(settings, resume=True), folder, shared_home)
    assert 0 < seen[0] <= last
    assert {k: v for k, v in resumed.items() if "seconds" not in k} == {
        k: v for k, v in whole.items() if "seconds" not in k
    }
    with np.load(folder / FURTHER) as read, np.load(before / FURTHER) as known:
        assert set(read) == set(known)
        for name in known:
            np.testing.assert_array_equal(read[name], known[name])


@pytest.mark.usefixtures("shared_home")
def test_values_are_of_what_the_problem_has():
    few = {"optimizer": Galerkin(iterations=8), "method": Energy(points=64), "network": Legendre(count=6)}
    line = homog.Box((0.0,), (1.0,))
    steady = homog.solve(homog.Problem("2", forcing="1", domain=line, eps=0.1), quiet=True, **few)
    moving = homog.solve(
        homog.Problem("2", forcing="1", domain=line, eps=0.1, time={"end": 0.1, "initial": "0"}), quiet=True, **few
    )
    family = homog.solve(
        homog.Problem("c", forcing="1", domain=line, eps=0.1, parameters={"c": {"from": 1, "to": 2}}),
        quiet=True, **few,
    )  # fmt: skip
    for refused, given, line_ in (
        (steady, {"d": 1}, "u depends on no d: such values are of problem.time or of ranges"),
        (steady, {"t": 0.1}, "u depends on no t"),
        (moving, {"d": 1}, "u depends on no d"),
        (moving, {"t": 0.1, "d": 1}, "u depends on no"),
        (moving, {"t": -1}, "t=-1: write a time from 0 on"),
        (moving, {"t": float("nan")}, "t=nan: write a time from 0 on"),
        (family, {"d": 1}, "write a value for each of the parameters that are ranges, and for no other: c=..."),
        (family, {"c": 1.5, "t": 1}, "and for no other: c=..."),
        (family, {"c": 2.5}, "c=2.5 lies outside of its range, 1 to 2"),
    ):
        with pytest.raises(UserError) as error:
            refused(0.5, **given)
        assert line_ in str(error.value)
    assert isinstance(moving(0.5, t=0.05), float)
    assert moving(np.array([0.2, 0.5]), t=0.0) == pytest.approx(0, abs=1e-6)
    assert isinstance(family(0.5, c=1.5), float)
    assert family(0.5, c=1.5) == pytest.approx(float(family(0.5)), rel=1e-5)
