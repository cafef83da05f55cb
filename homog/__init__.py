"""Neural-network homogenisation of multiscale PDEs by Brownian walkers.

The public API; names are loaded when they are first used, so that `homog-run --help` imports none of them:

    formulas = homog.FormulaProblem(name="mine", coefficient="2 + sin(2*pi*x1/eps)", forcing="1")
    problem = homog.build_problem(formulas, eps=0.01)
    steps = homog.time_steps(homog.BoundsTimeStep(eps=0.01), problem.dimension)
    walkers = homog.Walkers(problem, homog.Scheme("drift", "heun", "bridge"), cache_folder)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homog.config import (
        DFLM,
        MLP,
        PINN,
        AdamCosine,
        AdamExponential,
        BoundsTimeStep,
        DeepRitz,
        Energy,
        FEMReference,
        FormulaProblem,
        FourierMLP,
        Galerkin,
    )
    from homog.equation import Problem
    from homog.equation import build as build_problem
    from homog.errors import UserError
    from homog.losses import DeepRitzLoss, DFLMLoss, EnergyLoss, PINNLoss
    from homog.measures.effective import EffectiveTensor, effective_tensor_by_walkers
    from homog.references import Reference, effective_tensor, reference
    from homog.solvers.training import train
    from homog.timesteps.timestep import TimeSteps, time_steps
    from homog.walkers import Scheme, Walk, Walkers, stream_key

_HOME = {
    "homog.config": (
        "DFLM",
        "MLP",
        "PINN",
        "AdamCosine",
        "AdamExponential",
        "BoundsTimeStep",
        "DeepRitz",
        "Energy",
        "FEMReference",
        "FormulaProblem",
        "FourierMLP",
        "Galerkin",
    ),
    "homog.measures.effective": ("EffectiveTensor", "effective_tensor_by_walkers"),
    "homog.errors": ("UserError",),
    "homog.losses": ("DFLMLoss", "DeepRitzLoss", "EnergyLoss", "PINNLoss"),
    "homog.equation": ("Problem", "build_problem"),
    "homog.references": ("Reference", "effective_tensor", "reference"),
    "homog.timesteps.timestep": ("TimeSteps", "time_steps"),
    "homog.solvers.training": ("train",),
    "homog.walkers": ("Scheme", "Walk", "Walkers", "stream_key"),
}

__all__ = [
    "DFLM",
    "MLP",
    "PINN",
    "AdamCosine",
    "AdamExponential",
    "BoundsTimeStep",
    "DFLMLoss",
    "DeepRitz",
    "DeepRitzLoss",
    "EffectiveTensor",
    "Energy",
    "EnergyLoss",
    "FEMReference",
    "FormulaProblem",
    "FourierMLP",
    "Galerkin",
    "PINNLoss",
    "Problem",
    "Reference",
    "Scheme",
    "TimeSteps",
    "UserError",
    "Walk",
    "Walkers",
    "build_problem",
    "effective_tensor",
    "effective_tensor_by_walkers",
    "reference",
    "stream_key",
    "time_steps",
    "train",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), "build" if name == "build_problem" else name)
    raise AttributeError(f"module 'homog' has no attribute {name!r}")
