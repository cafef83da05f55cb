"""What people write at first, on the command line: one line with a way out, and status 2."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile import Command


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with pytest.MonkeyPatch.context() as patch:
        yield Command(patch, tmp_path_factory.mktemp("messages") / "home")


LINES = [
    ("problem.coefficient=where(x1,1,2)", "a comparison first, such as x1 < 0.5"),
    ("problem.coefficient=where(u<0.5,1,2)", "must go on continuously with u"),
    ("problem.boundary=where(x1<0.5,0,1)", "boundary values that go on continuously"),
    ("problem.coefficient=where(x1<0.5,-1,2)", "must be positive"),
    ("problem.coefficient=max(x1)", "max takes two arguments or more"),
    ("problem.coefficient=abs(x1)", "is 0 at (x1=0"),
    ("problem.coefficient=2+sign(x1-0.5)", "where(z > 0, 1, -1)"),
    ("problem.coefficient=[[1,0],[1,2]]", "problem.coefficient=[[1, 0], [1, 2]] is not symmetric"),
    ("problem.coefficient=[[1,2],[2,1]]", "has the eigenvalue -1 at (x1="),
    ("problem.coefficient=[1,2,3]", "2 for a diagonal matrix, or 2 rows of 2"),
    ("problem.forcing=[1,2]", "write one text"),
    ("problem.velocity=[sin(x1)]", "problem.velocity=[sin(x1)]: write 2 formulas, b1 to b2"),
    ("problem.coefficient=1,2", "homog-run -m problem.coefficient="),
    ("problem.boundary={left: 0, right: 1}", "write x1- for the lower one of x1"),
    ("problem.boundary={x1-: 0, x1+: 1, x2: {flux: 0}}", "problem.boundary.x1-=0: write {value: g}"),
    ("problem.coefficient=1+x1**20", "(x1**10)**2"),
    ("problem.coefficient=(x1-0.5)**x2", "x1 - 0.5 is -0."),
    ("problem.coefficient=2+(x1-0.5)**0.3", "x1 - 0.5 is -0."),
    ("problem.coefficient=1+x1/0", "division by zero"),
    ("problem.coefficient=sqrt(x1)", "slope along x1"),
    ("problem.coefficient=1+z", "the axes x1, x2"),
    ("time=3", "write one of "),
    ("problem.domain=[0,1]", "problem.domain.lower=[0.0,0.0] problem.domain.upper=[1.0,1.0]"),
    ("problem.domain=unit", "problem.domain.lower=[0.0,0.0]"),
    ("evaluation=101", "evaluation.points=4096"),
]


@pytest.mark.parametrize(("argument", "way_out"), LINES)
def test_a_first_attempt_is_answered_with_what_to_write(command: Command, argument: str, way_out: str):
    answer = command(argument)
    assert answer.refused, answer
    assert way_out in answer.err
    assert "did you mean" not in answer.err


ACCEPTED = [
    "1+10**(x1-x2)",
    "2+atan(9*x)+erf(y)",
    "(1+x)**y",
    "1+99/(1+exp(-500*(x1-0.4321)))",
    "exp(80*x1)",
    "1e-30*(2+x)",
    "where(x<0.5,1,2)",
    "1+(x<0.5)",
    "1+floor(4*x)",
    "2 if mod(x,eps)<eps/2 and not y>=0.5 else 1",
]


@pytest.mark.parametrize("coefficient", ACCEPTED)
def test_what_was_refused_or_overflowed_is_accepted(command: Command, coefficient: str):
    answer = command(f"problem.coefficient={coefficient}")
    assert answer.accepted, answer


def test_a_parameter_called_x_wins(command: Command):
    assert command("+problem.parameters.x=2", "problem.coefficient=x", "problem.boundary=y").accepted
    answer = command("+problem.parameters.x=-2", "problem.coefficient=x")
    assert "problem.coefficient=x is -2" in answer.err


def test_a_field_between_whose_positive_nodes_the_spline_is_negative(command: Command, tmp_path: Path):
    values = np.ones((65, 65))
    values[20, 30] = 20
    np.save(tmp_path / "a.npy", values)
    field = ["problem=random_field", "problem/field=file", f"problem.field.path={tmp_path / 'a.npy'}"]
    answer = command(*field)
    assert answer.refused, answer
    assert "the cubic spline of the field is -" in answer.err
    assert "write problem.coefficient='exp(field)' or problem.field.interpolation=linear" in answer.err
    for further in ("problem.field.interpolation=linear", "problem.coefficient=10**field"):
        assert command(*field, further).accepted, further
