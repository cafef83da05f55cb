"""problem.time and ranges of problem.parameters on the command line: what is read, and what is refused in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import Command
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import homog
from homog.command import composition
from homog.config import RunSettings
from homog.errors import UserError
from homog.run.task import Plan


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with pytest.MonkeyPatch.context() as patch:
        yield Command(patch, tmp_path_factory.mktemp("times") / "home")


def settings(*overrides: str) -> RunSettings:
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        return composition.settings_of(compose("run", composition.as_hydra_reads(overrides)))


def time(initial: str, rest: str = "") -> str:
    return f"problem.time={{end: 0.1, initial: {initial}{rest}}}"


def test_what_is_written_without_quotes_is_read():
    found = settings(time("sin(pi*x1)*sin(pi*x2)")).problem.time
    assert found == {"end": 0.1, "initial": "sin(pi*x1)*sin(pi*x2)"}
    found = settings(time("max(x1, x2)", ", times: [0.05, 1e-1]")).problem.time
    assert found == {"end": 0.1, "initial": "max(x1, x2)", "times": [0.05, 0.1]}
    assert settings("problem.parameters={c: {from: 0.1, to: 0.9}}").problem.parameters == {
        "c": {"from": 0.1, "to": 0.9}
    }
    found = settings("problem.parameters={c: {from: 0.1, to: 0.9}, k: 2}").problem.parameters
    assert found == {"c": {"from": 0.1, "to": 0.9}, "k": 2}


ACCEPTED = [
    (time("sin(pi*x1)*sin(pi*x2)"),),
    (time("0", ", times: [0.01, 0.1]"),),
    (time("1"), "problem.forcing=cos(20*t)*x1"),
    (time("1"), "problem.forcing=0"),
    (time("c*x1"), "problem.parameters={c: 2}"),
    ("problem.parameters={c: {from: 0.1, to: 0.9}}", "problem.coefficient=1 + c*sin(2*pi*x1/eps)"),
    ("problem.parameters={c: {from: 0.1, to: 0.9}, k: {from: -1, to: 1}}", "problem.forcing=c + k"),
    ("problem.parameters={eps: {from: 0.01, to: 0.1}}", "eps=0.05"),
]


@pytest.mark.parametrize("arguments", ACCEPTED, ids=" ".join)
def test_what_is_accepted(command: Command, arguments: tuple[str, ...]):
    answer = command(*arguments)
    assert answer.accepted, answer


SHAPE = "write {end: 0.1, initial: 'sin(pi*x1)*sin(pi*x2)'}"
ENDS = "write a positive number"
ASCENDING = "ascending numbers above 0 and up to problem.time.end=0.1"
RANGE = "write a number, or {from: 0.1, to: 0.9} with the smaller one first"

LINES = [
    (("problem.time=0.1",), SHAPE),
    (("problem.time.end=1",), "all of it in one mapping"),
    (("problem.time=[0.1, 1]",), SHAPE),
    (("problem.time={end: 0.1}",), "problem.time.initial="),
    (("problem.time={initial: x1}",), ENDS),
    (("problem.time={end: 0, initial: x1}",), ENDS),
    (("problem.time={end: -1, initial: x1}",), ENDS),
    (("problem.time={end: nan, initial: x1}",), ENDS),
    (("problem.time={end: inf, initial: x1}",), ENDS),
    (("problem.time={end: true, initial: x1}",), ENDS),
    (("problem.time={end: soon, initial: x1}",), ENDS),
    (("problem.time={end: 0.1, initial: [x1]}",), "write u at t = 0, one formula in x1, x2, ..."),
    ((time("x1", ", steps: 5"),), "problem.time.steps is unknown"),
    ((time("x1", ", time: [0.1]"),), "problem.time.time is unknown"),
    ((time("x1", ", times: [0.05, 0.02]"),), ASCENDING),
    ((time("x1", ", times: [0.05, 0.05]"),), ASCENDING),
    ((time("x1", ", times: [0.05, 0.2]"),), ASCENDING),
    ((time("x1", ", times: [0, 0.05]"),), ASCENDING),
    ((time("x1", ", times: []"),), ASCENDING),
    ((time("x1", ", times: 0.05"),), ASCENDING),
    ((time("x1", ", times: [soon]"),), ASCENDING),
    ((time("sin("),), "problem.time.initial"),
    ((time("x3"),), "problem.time.initial"),
    ((time("t*x1"),), "problem.time.initial"),
    ((time("u"),), "problem.time.initial"),
    ((time("1/x1"),), "problem.time.initial=1/x1"),
    ((time("x1"), "problem.forcing=1/(t - 0.04)"), "at t = 0.04"),
    ((time("x1"), "problem.coefficient=2 + t"), "problem.forcing alone may depend on time"),
    ((time("x1"), "problem.boundary=t*x1"), "problem.boundary names t"),
    ((time("x1"), "problem.reaction=t"), "problem.reaction names t"),
    ((time("x1"), "problem.velocity=[t, 0]"), "problem.velocity names t"),
    ((time("x1"), "problem.parameters={t: 2}"), "problem.parameters.t: t is the time"),
    ((time("0"), "problem.forcing=0"), "u is zero at all times"),
    (("problem.forcing=t",), "problem.forcing"),
    (("problem.parameters={c: {from: 0.9, to: 0.1}}",), RANGE),
    (("problem.parameters={c: {from: 0.1, to: 0.1}}",), RANGE),
    (("problem.parameters={c: {from: 0.1}}",), RANGE),
    (("problem.parameters={c: {from: 0.1, to: 0.9, by: 0.1}}",), RANGE),
    (("problem.parameters={c: {from: low, to: 0.9}}",), RANGE),
    (("problem.parameters={c: {from: 0.1, to: inf}}",), RANGE),
    (("problem.parameters={c: [0.1, 0.9]}",), "write a finite number, or {from: 0.1, to: 0.9}"),
    (("problem.parameters={c: high}",), "write a finite number, or {from: 0.1, to: 0.9}"),
    (("problem.parameters={c: nan}",), "write a finite number, or {from: 0.1, to: 0.9}"),
    (
        (f"problem.parameters={{{', '.join(f'{name}: {{from: 1, to: 2}}' for name in 'abcd')}}}",),
        "problem.parameters has 4 ranges: write at most 3",
    ),
    (
        ("problem.parameters={eps: {from: 0.01, to: 0.1}}", "eps=0.2"),
        "problem.parameters.eps is from 0.01 to 0.1, and eps=0.2 is not between the two",
    ),
    (("problem.parameters={eps: {from: -0.1, to: 0.1}}", "eps=0.05"), "write a range of positive numbers"),
    (("problem.parameters={eps: 0.1}",), "problem.parameters.'eps': choose another name"),
    (("problem.parameters={x1: {from: 0, to: 1}}",), "choose another name for this parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "way_out"), LINES)
def test_what_cannot_be_is_answered_with_what_to_write(command: Command, arguments: tuple[str, ...], way_out: str):
    answer = command(*arguments)
    assert answer.refused, answer
    assert way_out in answer.err


@pytest.mark.parametrize("divisor", [10_000, 3000])
def test_too_many_times_are_answered_with_what_to_write(command: Command, divisor: int):
    answer = command(time("x1", f", times: [{', '.join(str(n / divisor) for n in range(1, 202))}]"))
    assert answer.refused, answer
    assert "has 201 entries: write at most 200" in answer.err


TIME = {"end": 0.1, "initial": "x1*(1 - x1)"}
RANGES = {"c": {"from": 0.1, "to": 0.9}}
PLANS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"time": TIME, "coefficient": "1 + u**2"}, {}, "problem.time goes with a linear problem"),
    ({"time": TIME, "reaction": "u**2"}, {}, "problem.time goes with a linear problem"),
    ({"time": TIME}, {"method": homog.DFLM()}, "problem.time goes with the energy's matrix: write method=energy"),
    ({"time": TIME}, {"optimizer": homog.AdamCosine()}, "write method=energy optimizer=galerkin"),
    ({"parameters": RANGES}, {"method": homog.DFLM()}, "problem.parameters with a range goes with the energy's matrix"),
    (
        {"parameters": RANGES, "time": TIME}, {},
        "problem.time and problem.parameters with a range do not go together",
    ),
    (
        {"parameters": RANGES, "eigenvalues": 3}, {},
        "problem.eigenvalues and problem.parameters with a range do not go together",
    ),
    ({"parameters": RANGES}, {"target": 0.01}, "target goes with one problem"),
    (
        {"parameters": {"c": {"from": 0.2, "to": 1.4}}, "coefficient": "1 + c*sin(2*pi*x1/eps)"}, {},
        "with c=1.4: problem.coefficient=1 + c*sin(2*pi*x1/eps)",
    ),
    (
        {"parameters": {"c": {"from": -1, "to": 1}, "k": {"from": 0, "to": 2}}, "reaction": "c + k"}, {},
        "with c=-1, k=0: problem.reaction=c + k is -1",
    ),
    ({"parameters": {"c": {"from": 0, "to": 2}}, "forcing": "1/c"}, {}, "with c=0: problem.forcing=1/c"),
]  # fmt: skip


@pytest.mark.parametrize(("of_problem", "of_run", "line"), PLANS)
def test_what_no_plan_can_be_made_of(tmp_path: Path, of_problem: dict[str, Any], of_run: dict[str, Any], line: str):
    problem = homog.config.FormulaProblem(**{"name": "p", "coefficient": "1", "forcing": "1", **of_problem})
    with pytest.raises(UserError) as refused:
        Plan.of(RunSettings.of(problem, **{"eps": 0.1, "method": homog.Energy(), **of_run}), tmp_path)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("with ") == line.startswith("with ")


MEDIUM = homog.config.GSToolsField(samples=3)


@pytest.mark.parametrize(
    ("of_problem", "of_run", "line"),
    [
        ({"eigenvalues": 3}, {}, "problem.eigenvalues and problem.field.samples do not go together"),
        ({"time": TIME}, {}, "problem.time and problem.field.samples do not go together"),
        ({}, {"target": 0.01}, "target goes with one problem"),
        ({}, {"method": homog.DFLM()}, "problem.field.samples goes with the energy's matrix"),
        ({"coefficient": "exp(field) + u**2"}, {}, "problem.field.samples goes with a linear problem"),
    ],
)
def test_samples_go_with_a_linear_problem_and_the_energys_matrix_alone(
    tmp_path: Path, of_problem: dict[str, Any], of_run: dict[str, Any], line: str
):
    formulas = {"name": "p", "coefficient": "exp(field)", "forcing": "1", **of_problem}
    problem = homog.config.FieldProblem(**formulas, field=MEDIUM)
    with pytest.raises(UserError, match=line):
        Plan.of(RunSettings.of(problem, **{"eps": 0.1, "method": homog.Energy(), **of_run}), tmp_path)
