"""Eigenvalues and modes of a solve, where the problem asks for them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from homog.measures.spectrum import Assembled, Spectrum, homogenized_spectrum, mode_values, spectrum
from homog.measures.spreading import effective_tensor_by_walkers
from homog.plots.modes import draw_modes
from homog.references.cell import effective_tensor
from homog.run.task import Plan
from homog.solvers.solve import Solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEWER = 2  # degrees, by which the smaller space is smaller
_MICRO = 2e-3  # what micro steps leave of an eigenvalue at m0 = 12, relative
_DRAWN = 101


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenvalues by walkers, beside those of a*.

    Attributes:
        found: By walkers.
        homogenized: Of a* by the cell problem, in the same functions; None where that is not known.
        axes: A grid.
        drawn: The modes there, shape (n, *grid).
    """

    found: Spectrum
    homogenized: Float64[np.ndarray, " n"] | None
    axes: tuple[Float64[np.ndarray, " k"], ...]
    drawn: Float64[np.ndarray, "..."]

    def plot(self, title: str = "modes") -> "Figure":
        """The modes, each under its eigenvalue."""
        return draw_modes(self.axes, self.drawn, self.found.values, self.found.half_width(), title)

    def metrics(self) -> dict[str, float]:
        """Their numbers, by the names that `metrics.json` has for them."""
        numbers: dict[str, float] = {}
        for number, (value, error, bias) in enumerate(
            zip(self.found.values, self.found.standard_error, self.found.bias, strict=True), 1
        ):
            numbers |= {f"eigenvalue_{number}": float(value), f"eigenvalue_{number}_standard_error": float(error)}
            numbers[f"eigenvalue_{number}_bias"] = float(bias)
            if self.homogenized is not None:
                numbers[f"eigenvalue_{number}_homogenized"] = float(self.homogenized[number - 1])
        return numbers


def modes_of(plan: Plan, solve: object) -> Modes | None:
    """The same by itself: with walkers and the cell problem for what the macro step adds, and for a*."""
    if not plan.problem.eigenvalues:
        return None
    assert plan.steps is not None
    excess, tensor = None, None
    if plan.problem.cell is not None:
        by_walkers = effective_tensor_by_walkers(plan.problem, seed=plan.settings.seed, cache=plan.kernels)
        excess, (tensor, _) = by_walkers.excess(plan.steps.macro_step), effective_tensor(plan.problem)
    return modes(plan, solve, excess, tensor)


def modes(plan: Plan, solve: object, excess: float | None, tensor: Float64[np.ndarray, "d d"] | None) -> Modes | None:
    """The eigenvalues and modes of a finished solve; None where the problem asks for none.

    Args:
        plan: The plan.
        solve: The optimizer that has finished.
        excess: What the macro step adds to the tensor that the energy sees, relative; None where it is not known.
        tensor: a* by the cell problem.
    """
    problem = plan.problem
    if not problem.eigenvalues:
        return None
    assert isinstance(solve, Solve)
    assert plan.steps is not None
    solver = solve.solver
    assembled = Assembled(solver.network, solver.matrices(), solver.space(), solver.space(_FEWER))
    found = spectrum(assembled, problem, plan.steps.macro_step, excess or 0.0, _MICRO)
    known = None if tensor is None else homogenized_spectrum(solver.network, problem, tensor, problem.eigenvalues)
    axes = problem.domain.axes(_DRAWN if problem.dimension < 3 else 31)
    return Modes(found, known, axes, mode_values(solver.network, found.weights, axes))
