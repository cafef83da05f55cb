"""The equation that is left for a period that tends to zero."""

import numpy as np

from homog.equation import Problem
from homog.equation.factors import axes_of_factors
from homog.references.cell import cell_sides, effective_tensor, tolerance
from homog.references.laws import ConstantLaw, Law
from homog.references.tensor_of_u import EffectiveLaw

_WITH_A_CELL_PROBLEM = 4  # dimensions, on grids; with voxels one less
_TOO_MANY_AXES = (
    "the cell problem is solved in up to {} dimensions, unless the coefficient is a product of functions of one"
    " coordinate each: there is no u_0"
)


def effective_law(problem: Problem) -> tuple[Law | None, np.ndarray | None, float | None, tuple[str, ...]]:
    """The law of u_0, a* where it is one tensor and its relative estimate, and what has to be said about it."""
    if cell_sides(problem) is None:
        return None, None, None, ("the coefficient is not periodic: there is no u_0",)
    dimension, jumps = problem.dimension, problem.operator.jumps
    if dimension > _WITH_A_CELL_PROBLEM - jumps and axes_of_factors(problem) is None:
        return None, None, None, (_TOO_MANY_AXES.format(_WITH_A_CELL_PROBLEM - jumps),)
    if problem.operator.nonlinear:
        if problem.operator.field is not None:  # a cell problem as large as the domain for each of some 30 values of u
            return None, None, None, ("the coefficient depends on u and on a field: there is no u_0",)
        return EffectiveLaw(problem), None, None, ()
    tensor, gap = effective_tensor(problem)
    of_field = problem.operator.field is not None and problem.cell is None
    whole = ("u_0 has the a* of the whole field as one period",) if of_field else ()
    return ConstantLaw(tensor), tensor, gap, (*whole, *resolution_note(problem, gap))


def resolution_note(problem: Problem, gap: float) -> tuple[str, ...]:
    """A line where a* is known less closely than it should be."""
    if gap <= tolerance(problem):
        return ()
    return (f"the cell problem is resolved only to {gap:.1e} (half the distance of the bounds of a*, relative)",)
