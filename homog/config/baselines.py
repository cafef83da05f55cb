"""The baselines: methods that take the network's derivatives instead of sending walkers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from homog.config.checks import at_least, count, one_of, positive
from homog.config.method import MethodSettings
from homog.errors import UserError


@dataclass(kw_only=True)
class PINN(MethodSettings):
    """The strong residual (equation 3).

    With `weights=ntk` the two loss terms are balanced anew every `update_every` iterations by the tangent kernel's
    traces on `kernel_points` points each; with `fixed` they are `interior_weight` and `boundary_weight`.
    """

    walks: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Mapping[str, Any]]] = {"method": {"points": 1000}, "optimizer": {"iterations": 3000}}

    points: int = 2000
    boundary_points: int = 400  # N_b, with boundary=penalty, and where a flux is given
    boundary: str = "ansatz"
    weights: str = "fixed"
    interior_weight: float = 1.0  # lambda_Omega
    boundary_weight: float = 1.0  # lambda_dOmega
    kernel_points: int = 64
    update_every: int = 100

    @property
    def needs_slopes(self) -> bool:
        return True

    def __post_init__(self) -> None:
        count("method.points", self.points)
        count("method.boundary_points", self.boundary_points)
        one_of("method.boundary", self.boundary, ("penalty", "ansatz"))
        one_of("method.weights", self.weights, ("fixed", "ntk"))
        positive("method.interior_weight", self.interior_weight)
        positive("method.boundary_weight", self.boundary_weight)
        count("method.kernel_points", self.kernel_points)
        at_least("method.update_every", self.update_every, 1)
        if self.weights == "ntk" and self.boundary == "ansatz":
            raise UserError(
                "method.weights=ntk balances the boundary penalty, and method.boundary=ansatz has none:"
                " write method.weights=fixed or method.boundary=penalty"
            )


@dataclass(kw_only=True)
class DeepRitz(MethodSettings):
    """The energy of a linear problem (equation 5)."""

    walks: ClassVar[bool] = False
    small: ClassVar[Mapping[str, Mapping[str, Any]]] = {"optimizer": {"iterations": 1000}}

    points: int = 2000
    boundary_points: int = 400  # N_b, with boundary=penalty, and where a flux is given
    boundary: str = "ansatz"
    boundary_weight: float = 500.0  # beta

    def __post_init__(self) -> None:
        count("method.points", self.points)
        count("method.boundary_points", self.boundary_points)
        one_of("method.boundary", self.boundary, ("penalty", "ansatz"))
        positive("method.boundary_weight", self.boundary_weight)
