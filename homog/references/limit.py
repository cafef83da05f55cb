"""The equation that is left for a period that tends to zero."""

import numpy as np

from homog.domains import REFLECTING
from homog.equation import Problem
from homog.equation.factors import axes_of_factors
from homog.equation.velocities import parts_of_velocity, with_velocity
from homog.references.cell import cell_sides, effective_tensor, tolerance
from homog.references.laws import ConstantLaw, Law
from homog.references.tensor_of_u import EffectiveLaw

_WITH_A_CELL_PROBLEM = 4  # dimensions, on grids; with voxels one less
_LOOKS, _ACROSS = 1024, 1e-6
_NO_SUM = (
    "b varies with eps, and not as a constant and a velocity with the coefficient's period and without a mean or a"
    " divergence: there is neither u_0 nor u_mean"
)
_THROUGH_A_FACE = "b stirs through a face on which u is not given: there is no u_0"
_TOO_MANY_AXES = (
    "the cell problem is solved in up to {} dimensions, unless the coefficient is a product of functions of one"
    " coordinate each: there is no u_0"
)


def effective_law(problem: Problem) -> tuple[Law | None, np.ndarray | None, float | None, tuple[str, ...]]:
    """The law of u_0, a* where it is one tensor and its relative estimate, and what has to be said about it."""
    parts = parts_of_velocity(problem)
    if parts is None:
        return None, None, None, (_NO_SUM,)
    problem, carrying = with_velocity(problem, parts.stirring), parts.carrying
    if parts.stirring is not None and _stirs_through_a_face(problem):
        return None, None, None, (_THROUGH_A_FACE,)
    if cell_sides(problem) is None:
        return None, None, None, ("the coefficient is not periodic: there is no u_0",)
    dimension, jumps = problem.dimension, problem.operator.jumps
    if dimension > _WITH_A_CELL_PROBLEM - jumps and axes_of_factors(problem) is None:
        return None, None, None, (_TOO_MANY_AXES.format(_WITH_A_CELL_PROBLEM - jumps),)
    if problem.operator.nonlinear:
        if problem.operator.field is not None:  # a cell problem as large as the domain for each of some 30 values of u
            return None, None, None, ("the coefficient depends on u and on a field: there is no u_0",)
        return EffectiveLaw(problem, carrying), None, None, ()
    tensor, gap = effective_tensor(problem)
    of_field = problem.operator.field is not None and problem.cell is None
    whole = ("u_0 has the a* of the whole field as one period",) if of_field else ()
    return ConstantLaw(tensor, carrying), tensor, gap, (*whole, *resolution_note(problem, gap))


def _stirs_through_a_face(problem: Problem) -> bool:
    """Whether the velocity crosses a face on which the flux is given.

    n.(A - H) grad u is what flows there, and n.H grad u a derivative along the face: only where n.b = 0 can H be zero
    on it, and the condition be that of a*.
    """
    random, operator = np.random.default_rng(0), problem.operator
    size = float(np.abs(operator.velocity_at(problem.domain.spread(_LOOKS, random))).max())
    for face, kind in enumerate(problem.boundary.walls.faces):
        if kind == REFLECTING:
            across = operator.velocity_at(problem.domain.spread_on(face, _LOOKS, random))[:, face // 2]
            if np.abs(across).max() > _ACROSS * size:
                return True
    return False


def resolution_note(problem: Problem, gap: float) -> tuple[str, ...]:
    """A line where a* is known less closely than it should be."""
    if gap <= tolerance(problem):
        return ()
    if problem.stirs:
        return (f"the cell problem is resolved only to {gap:.1e} (the distance of a* on two grids, relative)",)
    return (f"the cell problem is resolved only to {gap:.1e} (half the distance of the bounds of a*, relative)",)
