"""The methods."""

from dataclasses import dataclass
from typing import ClassVar

from homog.config.checks import count, one_of, require
from homog.errors import UserError


@dataclass
class MethodSettings:
    """Base of the methods; `walks` tells whether one sends walkers, and with that whether it has time steps."""

    walks: ClassVar[bool] = True

    @property
    def walkers_an_iteration(self) -> int:
        """How many walkers an iteration sends."""
        return 0

    @property
    def drifts(self) -> bool:
        """Whether its walkers drift along V, and may choose their steps by the place."""
        return False


class WalkingSettings(MethodSettings):
    """What the methods that send walkers have in common; the fields are those of each method."""

    points: int
    walkers: int
    martingale: str

    @property
    def walkers_an_iteration(self) -> int:
        return self.points * self.walkers

    @property
    def drifts(self) -> bool:
        return self.martingale == "drift"


@dataclass
class DFLM(WalkingSettings):
    """The derivative-free loss (equations 9 to 14) and the walkers that feed it."""

    points: int = 400  # N_r
    walkers: int = 300  # N_s, per point
    boundary_points: int = 400  # N_b, with boundary=penalty
    martingale: str = "girsanov"
    step: str = "euler"
    exit: str = "bridge"
    estimator: str = "plain"
    boundary: str = "penalty"
    sampling: str = "uniform"
    targets: str = "network"
    table: int = 257  # nodes an axis of the table of u, where one is needed

    def __post_init__(self) -> None:
        count("method.points", self.points)
        count("method.walkers", self.walkers)
        count("method.boundary_points", self.boundary_points)
        check_scheme(self.martingale, self.step, self.exit)
        one_of("method.estimator", self.estimator, ("plain", "control_variate", "gradient"))
        one_of("method.boundary", self.boundary, ("penalty", "ansatz"))
        one_of("method.sampling", self.sampling, ("uniform", "coefficient", "walkers"))
        one_of("method.targets", self.targets, ("network", "table"))
        check_table(self.table)
        if self.targets == "table" and self.estimator == "plain":
            raise UserError(
                "method.targets=table needs method.estimator=control_variate or gradient: with plain, the table's error"
                " enters the answer multiplied by 1 / (lambda Dt), a hundred times and more"
            )


@dataclass
class Energy(WalkingSettings):
    """The walkers' quadratic energy: no derivative, no bootstrapping (beyond the paper)."""

    points: int = 16384
    walkers: int = 4  # from each point
    martingale: str = "drift"
    step: str = "heun"
    exit: str = "bridge"
    sampling: str = "uniform"
    table: int = 257  # nodes an axis of the table of u, with a nonlinear coefficient

    def __post_init__(self) -> None:
        count("method.points", self.points)
        count("method.walkers", self.walkers)
        check_scheme(self.martingale, self.step, self.exit)
        one_of("method.sampling", self.sampling, ("uniform", "coefficient"))
        check_table(self.table)


def check_scheme(martingale: str, step: str, exit: str) -> None:
    """Refuse a way of walking that there is not."""
    one_of("method.martingale", martingale, ("girsanov", "drift"))
    one_of("method.step", step, ("euler", "heun"))
    one_of("method.exit", exit, ("bridge", "clip"))
    if step == "heun" and martingale != "drift":
        raise UserError("method.step=heun needs method.martingale=drift: girsanov walkers have no drift to average")


def check_table(nodes: int) -> None:
    """Refuse a table of u with too few or too many nodes an axis."""
    require(5 <= nodes <= 2049, "method.table", nodes, "a number of nodes from 5 to 2049")
