"""What is minimised: one file a method, one interface."""

from functools import singledispatch
from pathlib import Path

import torch

from homog.config import DFLM, PINN, DeepRitz, Energy, MethodSettings
from homog.equation import Problem
from homog.losses.deep_ritz import DeepRitzLoss
from homog.losses.dflm import DFLMLoss
from homog.losses.energy import EnergyLoss, Excursions
from homog.losses.loss import Draw, Loss, LossValue
from homog.losses.pinn import PINNLoss
from homog.losses.system import LinearSystem, Tested, functions, smooth_functions
from homog.losses.walking import WalkingLoss
from homog.timesteps.timestep import TimeSteps

__all__ = [
    "DFLMLoss",
    "DeepRitzLoss",
    "Draw",
    "EnergyLoss",
    "Excursions",
    "LinearSystem",
    "Loss",
    "LossValue",
    "PINNLoss",
    "Tested",
    "WalkingLoss",
    "build",
    "functions",
    "smooth_functions",
]

_CPU = torch.device("cpu")


@singledispatch
def build(
    settings: MethodSettings,
    problem: Problem,
    steps: TimeSteps | None,
    seed: int,
    cache: Path,
    device: torch.device = _CPU,
) -> Loss:
    """The loss that the settings describe.

    Args:
        settings: Settings of the method.
        problem: What is solved.
        steps: The time steps; None for a method that sends no walkers.
        seed: Seed of the points and the walkers.
        cache: Folder for compiled kernels.
        device: On which the network trains, and walkers walk.

    Raises:
        UserError: If the method cannot solve the problem.
    """
    raise NotImplementedError(f"no loss for {type(settings).__name__}")


@build.register
def _(settings: DFLM, problem: Problem, steps: TimeSteps, seed: int, cache: Path, device: torch.device = _CPU) -> Loss:
    return DFLMLoss(settings, problem, steps, seed, cache, device)


@build.register
def _(
    settings: Energy, problem: Problem, steps: TimeSteps, seed: int, cache: Path, device: torch.device = _CPU
) -> Loss:
    return EnergyLoss(settings, problem, steps, seed, cache, device)


@build.register
def _(
    settings: PINN, problem: Problem, steps: TimeSteps | None, seed: int, cache: Path, device: torch.device = _CPU
) -> Loss:
    return PINNLoss(settings, problem, seed)


@build.register
def _(
    settings: DeepRitz, problem: Problem, steps: TimeSteps | None, seed: int, cache: Path, device: torch.device = _CPU
) -> Loss:
    return DeepRitzLoss(settings, problem, seed)
