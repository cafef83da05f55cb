"""Neural-network homogenisation of multiscale PDEs by Brownian walkers.

The public API; names are loaded when they are first used, so that `homog-run --help` imports none of them:

    problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.01)   # unit square, u = 0 on its boundary
    u = homog.solve(problem)
    truth = homog.reference(problem)
    u(0.3, 0.7), u.standard_error, u.error(truth)
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
        Cosines,
        DeepRitz,
        Energy,
        ExactReference,
        FEMReference,
        FeynmanKacReference,
        FileField,
        FixedTimeStep,
        FourierMLP,
        Galerkin,
        GSToolsField,
        HomogenizedReference,
        Legendre,
        NaturalGradient,
        RatioTimeStep,
        SpectralField,
    )
    from homog.equation import Box, Problem
    from homog.errors import UserError
    from homog.measures.evaluation import relative_l2
    from homog.measures.fine_scale import FineScale
    from homog.measures.spreading import EffectiveTensor
    from homog.notebook import AnswerWarning, Run, Solution, effective_tensor, field, load, reference, solve, walk
    from homog.references import Reference
    from homog.walkers import Walk

_HOME = {
    "homog.config": (
        *("DFLM", "Energy", "PINN", "DeepRitz"),
        *("MLP", "FourierMLP", "Cosines", "Legendre"),
        *("AdamCosine", "AdamExponential", "Galerkin", "NaturalGradient"),
        *("BoundsTimeStep", "FixedTimeStep", "RatioTimeStep"),
        *("FEMReference", "HomogenizedReference", "FeynmanKacReference", "ExactReference"),
        *("SpectralField", "FileField", "GSToolsField"),
    ),
    "homog.equation": ("Box", "Problem"),
    "homog.errors": ("UserError",),
    "homog.measures.spreading": ("EffectiveTensor",),
    "homog.measures.evaluation": ("relative_l2",),
    "homog.measures.fine_scale": ("FineScale",),
    "homog.notebook": (
        "AnswerWarning",
        "Run",
        "Solution",
        "effective_tensor",
        "field",
        "load",
        "reference",
        "solve",
        "walk",
    ),
    "homog.references": ("Reference",),
    "homog.walkers": ("Walk",),
}

__all__ = [
    "DFLM",
    "MLP",
    "PINN",
    "AdamCosine",
    "AdamExponential",
    "AnswerWarning",
    "BoundsTimeStep",
    "Box",
    "Cosines",
    "DeepRitz",
    "EffectiveTensor",
    "Energy",
    "ExactReference",
    "FEMReference",
    "FeynmanKacReference",
    "FileField",
    "FineScale",
    "FixedTimeStep",
    "FourierMLP",
    "GSToolsField",
    "Galerkin",
    "HomogenizedReference",
    "Legendre",
    "NaturalGradient",
    "Problem",
    "RatioTimeStep",
    "Reference",
    "Run",
    "Solution",
    "SpectralField",
    "UserError",
    "Walk",
    "effective_tensor",
    "field",
    "load",
    "reference",
    "relative_l2",
    "solve",
    "walk",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'homog' has no attribute {name!r}")
