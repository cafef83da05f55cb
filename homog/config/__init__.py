"""The schema: every setting of a run, its type, its default and its range.

Plain dataclasses without behaviour, so that a typing error is answered before anything heavy is imported. `conf/`
holds the same settings as YAML; Hydra merges the two, and each room dispatches on the dataclass it is handed.
A new kind of problem, policy, method, network or optimizer begins with its dataclass here.
"""

from homog.config.baselines import PINN, DeepRitz
from homog.config.field import CompositeField, FieldSettings, FileField, GSToolsField, ImageField, SpectralField
from homog.config.method import DFLM, Companions, Energy, MethodSettings
from homog.config.network import MLP, Cosines, FourierMLP, Legendre, NetworkSettings, Products
from homog.config.optimizer import (
    AdamCosine,
    AdamExponential,
    AdamSettings,
    Galerkin,
    NaturalGradient,
    OptimizerSettings,
)
from homog.config.problem import (
    WITH_A_GRID,
    DomainSettings,
    DriftProblem,
    FieldProblem,
    FormulaProblem,
    ProblemSettings,
    depends_on_u,
)
from homog.config.reference import (
    EvaluationSettings,
    ExactReference,
    FEMReference,
    FeynmanKacReference,
    HomogenizedReference,
    ReferenceSettings,
)
from homog.config.run import RunSettings
from homog.config.timestep import BoundsTimeStep, FixedTimeStep, RatioTimeStep, TimeStepSettings
from homog.config.tracking import LocalTracking, NoTracking, ServerTracking, TrackingSettings

__all__ = [
    "DFLM",
    "KINDS",
    "MLP",
    "PINN",
    "WITH_A_GRID",
    "AdamCosine",
    "AdamExponential",
    "AdamSettings",
    "BoundsTimeStep",
    "Companions",
    "CompositeField",
    "Cosines",
    "DeepRitz",
    "DomainSettings",
    "DriftProblem",
    "Energy",
    "EvaluationSettings",
    "ExactReference",
    "FEMReference",
    "FeynmanKacReference",
    "FieldProblem",
    "FieldSettings",
    "FileField",
    "FixedTimeStep",
    "FormulaProblem",
    "FourierMLP",
    "GSToolsField",
    "Galerkin",
    "HomogenizedReference",
    "ImageField",
    "Legendre",
    "LocalTracking",
    "MethodSettings",
    "NaturalGradient",
    "NetworkSettings",
    "NoTracking",
    "OptimizerSettings",
    "ProblemSettings",
    "Products",
    "RatioTimeStep",
    "ReferenceSettings",
    "RunSettings",
    "ServerTracking",
    "SpectralField",
    "TimeStepSettings",
    "TrackingSettings",
    "depends_on_u",
    "kind_of",
]

KINDS: dict[str, type] = {
    "problem/formula": FormulaProblem,
    "problem/field": FieldProblem,
    "problem/drift": DriftProblem,
    "problem/field/spectral": SpectralField,
    "problem/field/file": FileField,
    "problem/field/gstools": GSToolsField,
    "problem/field/image": ImageField,
    "problem/field/composite": CompositeField,
    "timestep/bounds": BoundsTimeStep,
    "timestep/fixed": FixedTimeStep,
    "timestep/ratio": RatioTimeStep,
    "method/dflm": DFLM,
    "method/energy": Energy,
    "method/pinn": PINN,
    "method/deep_ritz": DeepRitz,
    "network/mlp": MLP,
    "network/fourier": FourierMLP,
    "network/cosines": Cosines,
    "network/legendre": Legendre,
    "optimizer/adam_exponential": AdamExponential,
    "optimizer/adam_cosine": AdamCosine,
    "optimizer/galerkin": Galerkin,
    "optimizer/natural_gradient": NaturalGradient,
    "reference/fem": FEMReference,
    "reference/homogenized": HomogenizedReference,
    "reference/feynman_kac": FeynmanKacReference,
    "reference/exact": ExactReference,
    "tracking/local": LocalTracking,
    "tracking/server": ServerTracking,
    "tracking/off": NoTracking,
}
"""The settings behind each `GROUP=KIND` that a user types, by `GROUP/KIND`."""


def kind_of(settings: object) -> str:
    """The name of the settings' kind within its group: `energy` of `method=energy`."""
    (path,) = (path for path, kind in KINDS.items() if kind is type(settings))
    return path.rpartition("/")[2]
