"""What a trained network answers: u on the reference's grid, the fine scale, the effective tensor."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from homog import evaluation, outcome
from homog.config import BoundsTimeStep, Energy, RunSettings
from homog.effective import EffectiveTensor, effective_tensor_by_walkers
from homog.fine_scale import FineScale, fine_scale
from homog.plots import Curve
from homog.problems import Problem
from homog.references import Reference
from homog.timestep import TimeSteps, time_steps


@dataclass(frozen=True)
class Answer:
    """What a run has found.

    Attributes:
        values: u on the reference's grid.
        fine: The fine scale on that grid; None where it was not asked for.
        fine_seconds: What the fine scale took.
        tensor: a* by walkers; None where there is none, or no walkers are sent.
        excess: What the macro step adds to the tensor that the energy sees, as a share of a*, and its standard error.
        truth: What it is held against.
    """

    values: np.ndarray
    fine: FineScale | None
    fine_seconds: float
    tensor: EffectiveTensor | None
    excess: tuple[float, float] | None
    truth: Reference

    def metrics(self, curve: Curve) -> dict[str, float | None]:
        """Its numbers, by the names that `metrics.json` has for them."""
        return {
            **outcome.error_metrics(evaluation.errors(self.values, self.truth), self.truth, curve),
            **outcome.fine_scale_metrics(self.fine, self.fine_seconds, self.truth),
            **outcome.effective_metrics(self.tensor),
        }

    @property
    def fine_values(self) -> np.ndarray | None:
        """The fine scale's values."""
        return None if self.fine is None else self.fine.values

    def save(self, path: Path) -> None:
        """Write the values and the grid that they are on; without the fine scale where it was not asked for."""
        arrays = (
            {"network": self.values} if self.fine is None else {"network": self.values, "fine_scale": self.fine.values}
        )
        axes = {f"x{i + 1}": axis for i, axis in enumerate(self.truth.axes)}
        np.savez_compressed(path, allow_pickle=False, **arrays, **axes)


def answer(
    network: nn.Module,
    settings: RunSettings,
    problem: Problem,
    steps: TimeSteps | None,
    fine_steps: TimeSteps | None,
    truth: Reference,
    kernels: Path,
) -> Answer:
    """Evaluate a trained network.

    Args:
        network: u.
        settings: Of the run.
        problem: What was solved.
        steps: The method's time steps, if it sends walkers.
        fine_steps: From `fine_scale_steps`; None for an answer without the fine scale.
        truth: The references, and the grid.
        kernels: Folder for compiled kernels.
    """
    values = evaluation.values_on_grid(network, truth.axes)
    start = time.perf_counter()
    fine = None
    if fine_steps is not None:
        walkers = settings.evaluation.fine_scale_walkers
        fine = fine_scale(network, problem, fine_steps, truth.axes, walkers, settings.seed, kernels)
    seconds = time.perf_counter() - start if fine else 0.0
    tensor = None
    if steps is not None and problem.period is not None and not problem.nonlinear:
        tensor = effective_tensor_by_walkers(problem, seed=settings.seed, cache=kernels)
    excess = tensor.excess(steps.macro_step) if tensor and steps and isinstance(settings.method, Energy) else None
    return Answer(values, fine, seconds, tensor, excess, truth)


def fine_scale_steps(settings: RunSettings, problem: Problem) -> TimeSteps | None:
    """The time steps of the walkers that put the fine scale back: of any method, since they need the bounds alone."""
    if not settings.evaluation.fine_scale:
        return None
    bounds = BoundsTimeStep(settings.timestep.eps, settings.timestep.m0, settings.evaluation.fine_scale_macro_factor)
    return time_steps(bounds, problem.dimension, problem.scale)
