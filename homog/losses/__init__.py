"""What is minimised: one file a method, one interface."""

from functools import singledispatch
from pathlib import Path

from homog.config import DFLM, MethodSettings
from homog.losses.dflm import DFLMLoss
from homog.losses.loss import Loss, LossValue
from homog.problems import Problem
from homog.timestep import TimeSteps

__all__ = ["DFLMLoss", "Loss", "LossValue", "build"]


@singledispatch
def build(settings: MethodSettings, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> Loss:
    """The loss that the settings describe; `cache` is the folder for compiled kernels."""
    raise NotImplementedError(f"no loss for {type(settings).__name__}")


@build.register
def _(settings: DFLM, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> Loss:
    return DFLMLoss(settings, problem, steps, seed, cache)
