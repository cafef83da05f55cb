"""What is solved."""

from functools import singledispatch

from homog.config import FieldProblem, FormulaProblem, ProblemSettings
from homog.domains.box import Box, tensor_grid
from homog.equation.formula import field_problem, formula_problem
from homog.equation.problem import FIELD, SOLUTION, Problem

__all__ = ["FIELD", "SOLUTION", "Box", "Problem", "build", "tensor_grid"]


@singledispatch
def build(settings: ProblemSettings, eps: float) -> Problem:
    """The problem that the settings describe at one eps, checked.

    Raises:
        UserError: If the problem is not well posed, in one line that names the setting.
    """
    raise NotImplementedError(f"no problem for {type(settings).__name__}")


@build.register
def _(settings: FormulaProblem, eps: float) -> Problem:
    return formula_problem(settings, eps)


@build.register
def _(settings: FieldProblem, eps: float) -> Problem:
    return field_problem(settings, eps)
