"""The schema: every setting of a run, its type, its default and its range.

Plain dataclasses without behaviour, so that a typing error is answered before anything heavy is imported. `conf/`
holds the same settings as YAML; Hydra merges the two, and each room dispatches on the dataclass it is handed.
A new kind of problem, policy, method, network or optimizer begins with its dataclass here.
"""

from homog.config.baselines import PINN, DeepRitz
from homog.config.field import FieldSettings, FileField, GSToolsField, SpectralField
from homog.config.method import DFLM, Energy, MethodSettings
from homog.config.network import MLP, Cosines, FourierMLP, Legendre, NetworkSettings, TensorProduct
from homog.config.optimizer import AdamCosine, AdamExponential, AdamSettings, Galerkin, OptimizerSettings
from homog.config.problem import DomainSettings, FieldProblem, FormulaProblem, ProblemSettings
from homog.config.reference import EvaluationSettings, FEMReference, HomogenizedReference, ReferenceSettings
from homog.config.run import RunSettings
from homog.config.timestep import BoundsTimeStep, FixedTimeStep, RatioTimeStep, TimeStepSettings
from homog.config.tracking import LocalTracking, NoTracking, ServerTracking, TrackingSettings

__all__ = [
    "DFLM",
    "MLP",
    "PINN",
    "AdamCosine",
    "AdamExponential",
    "AdamSettings",
    "BoundsTimeStep",
    "Cosines",
    "DeepRitz",
    "DomainSettings",
    "Energy",
    "EvaluationSettings",
    "FEMReference",
    "FieldProblem",
    "FieldSettings",
    "FileField",
    "FixedTimeStep",
    "FormulaProblem",
    "FourierMLP",
    "GSToolsField",
    "Galerkin",
    "HomogenizedReference",
    "Legendre",
    "LocalTracking",
    "MethodSettings",
    "NetworkSettings",
    "NoTracking",
    "OptimizerSettings",
    "ProblemSettings",
    "RatioTimeStep",
    "ReferenceSettings",
    "RunSettings",
    "ServerTracking",
    "SpectralField",
    "TensorProduct",
    "TimeStepSettings",
    "TrackingSettings",
]
