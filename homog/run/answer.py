"""What a trained network answers, and what walkers say of it: u on the reference's grid, the fine scale, a*, errors."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from homog.config import WITH_A_GRID
from homog.errors import UserError
from homog.measures import evaluation
from homog.measures.fine_scale import FineScale, Microscale, fine_scale, microscale
from homog.measures.longer_walk import LongerWalk, longer_walk
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers
from homog.plots import Curve, drawn_axes
from homog.references import Reference
from homog.run import outcome
from homog.run.task import Plan

_log = logging.getLogger("homog")


@dataclass(frozen=True)
class Answer:
    """What a run has found.

    Attributes:
        values: u at the reference's places.
        fine: The fine scale there; None where it was not asked for.
        fine_seconds: What the fine scale took.
        truth: What it is held against.
        drawn: Axes of a grid for figures, and u on it: the reference's own where that has one.
    """

    values: np.ndarray
    fine: FineScale | None
    fine_seconds: float
    truth: Reference
    drawn: tuple[tuple[np.ndarray, ...], np.ndarray]

    def metrics(self, curve: Curve) -> dict[str, float | None]:
        """Its numbers, by the names that `metrics.json` has for them."""
        return {
            **outcome.error_metrics(evaluation.errors(self.values, self.truth), self.truth, curve),
            **outcome.fine_scale_metrics(self.fine, self.fine_seconds, self.truth),
        }

    @property
    def fine_values(self) -> np.ndarray | None:
        """The fine scale's values."""
        return None if self.fine is None else self.fine.values

    def save(self, path: Path) -> None:
        """Write the values and where they are; without the fine scale where it was not asked for."""
        arrays = (
            {"network": self.values} if self.fine is None else {"network": self.values, "fine_scale": self.fine.values}
        )
        np.savez_compressed(path, allow_pickle=False, **arrays, **self.truth.places.arrays())


def answer(network: nn.Module, plan: Plan, truth: Reference) -> Answer:
    """Evaluate a trained network.

    Args:
        network: u.
        plan: The plan that it was trained for.
        truth: The references, and the grid.
    """
    settings = plan.settings
    values, axes = evaluation.values_at(network, truth.places.points), truth.axes
    if axes:
        drawn = axes, values
    else:
        axes = drawn_axes(plan.problem.domain, settings.evaluation.count(min(plan.problem.dimension, WITH_A_GRID)))
        drawn = axes, evaluation.values_on_grid(network, axes)
    start = time.perf_counter()
    fine = None
    if settings.evaluation.fine_scale:
        walkers, points = settings.evaluation.fine_scale_walkers, truth.places.points
        fine = fine_scale(network, plan.problem, plan.fine_scale_steps(), points, walkers, settings.seed, plan.kernels)
    return Answer(values, fine, time.perf_counter() - start if fine else 0.0, truth, drawn)


@dataclass(frozen=True)
class Findings:
    """What walkers say of the medium and of the answer, after the training.

    Attributes:
        tensor: a* by walkers; None where there is none, or no walkers are sent.
        excess: What the macro step adds to the tensor that the energy sees, as a share of a*.
        checked: What a longer walk says of the answer's error; None where it could not be walked.
        microscale: What a smooth answer cannot show; None where no walkers are sent.
    """

    tensor: EffectiveTensor | None
    excess: float | None
    checked: LongerWalk | None
    microscale: Microscale | None

    def metrics(self) -> dict[str, float]:
        """Their numbers, by the names that `metrics.json` has for them."""
        return {
            **outcome.effective_metrics(self.tensor),
            **outcome.longer_walk_metrics(self.checked),
            **outcome.microscale_metrics(self.microscale),
        }

    def warnings(self, truth: Reference) -> list[str]:
        """A line where a* by walkers contradicts that of the cell problem."""
        if self.tensor is None or truth.effective_tensor is None:
            return []
        return self.tensor.contradiction(truth.effective_tensor, truth.cell_problem_error_estimate or 0.0)


def findings(network: nn.Module, plan: Plan, walker_steps: int) -> Findings:
    """Send walkers for a*, and for the error of a trained network, whether or not u_eps is known.

    Args:
        network: u.
        plan: The plan that it was trained for.
        walker_steps: Micro steps of the training: the check takes no more, unless these are too few to check by.
    """
    settings, problem, steps = plan.settings, plan.problem, plan.steps
    tensor = None
    if steps is not None and problem.cell is not None and not problem.operator.nonlinear:
        tensor = effective_tensor_by_walkers(problem, seed=settings.seed, cache=plan.kernels)
    excess = tensor.excess(steps.macro_step) if tensor and steps and settings.method.macro_step_adds else None
    return Findings(tensor, excess, checked(network, plan, walker_steps), microscale_of(network, plan))


def microscale_of(network: nn.Module, plan: Plan) -> Microscale | None:
    """What a smooth answer cannot show; None for a method without walkers, and where it could not be looked at."""
    if plan.steps is None:
        return None
    try:
        return microscale(network, plan.problem, plan.fine_scale_steps(), plan.settings.seed, plan.kernels)
    except UserError as error:
        _log.warning("the size of the microscale is not known: %s", error)
        return None


def checked(network: nn.Module, plan: Plan, walker_steps: int) -> LongerWalk | None:
    """What a longer walk says of an answer's error; None, and a line in the log, where it could not be taken.

    Args:
        network: u.
        plan: The plan that it was trained for.
        walker_steps: Micro steps of the training, as for `findings`.
    """
    steps, m0 = plan.longer_walk_steps()
    affordable = walker_steps if plan.settings.method.walks else math.inf
    try:
        return longer_walk(network, plan.problem, steps, m0, plan.settings.seed, plan.kernels, affordable)
    except UserError as error:
        _log.warning("the answer could not be checked by a longer walk: %s", error)
        return None
