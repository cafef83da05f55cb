"""The methods."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from homog.config.checks import count, one_of, require
from homog.config.network import MLP, Legendre, NetworkSettings
from homog.config.optimizer import AdamCosine, Galerkin, OptimizerSettings
from homog.config.timestep import BoundsTimeStep, TimeStepSettings
from homog.errors import UserError


class Companions(NamedTuple):
    """What a run takes beside its method, where nothing else is chosen."""

    network: NetworkSettings
    optimizer: OptimizerSettings
    timestep: TimeStepSettings


@dataclass(kw_only=True)
class MethodSettings:
    """Base of the methods; `walks` tells whether one sends walkers, and with that whether it has time steps."""

    walks: ClassVar[bool] = True
    macro_step_adds: ClassVar[bool] = False  # to the effective tensor that the method sees: it falls like 1 / Dt
    has_budget: ClassVar[bool] = False  # of errors, with an optimizer that has one
    knows_holes: ClassVar[bool] = False  # its points count for nothing where the coefficient is zero
    small: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # what budget=small cuts, by group; empty where nothing is

    @classmethod
    def companions(cls, *, nonlinear: bool) -> Companions:
        """Network, optimizer and time steps that suit the method; `nonlinear`: for a coefficient that depends on u."""
        return Companions(MLP(), AdamCosine(), BoundsTimeStep())

    def suited(self, *, nonlinear: bool, jumps: bool, dimension: int) -> Self:
        """The same settings, with what is left to the problem (None) chosen.

        Args:
            nonlinear: Whether the coefficient depends on u.
            jumps: Whether it may jump.
            dimension: Of the domain.
        """
        return self

    @property
    def walkers_an_iteration(self) -> int:
        """How many walkers an iteration sends."""
        return 0

    @property
    def drifts(self) -> bool:
        """Whether its walkers drift along V, and may choose their steps by the place."""
        return False

    @property
    def may_stay(self) -> bool:
        """Whether a step of its walkers may be refused, as where the coefficient jumps."""
        return False

    @property
    def needs_slopes(self) -> bool:
        """Whether it asks for slopes of the coefficient, and cannot do without."""
        return False


class WalkingSettings(MethodSettings):
    """What the methods that send walkers have in common; the fields are those of each method."""

    points: int
    martingale: str
    step: str | None

    @property
    def per_point(self) -> int:
        """Walkers from each point."""
        raise NotImplementedError

    @property
    def walkers_an_iteration(self) -> int:
        return self.points * self.per_point

    @property
    def drifts(self) -> bool:
        return self.martingale == "drift" and self.step != "metropolis"

    @property
    def may_stay(self) -> bool:
        return self.step == "metropolis"

    @property
    def needs_slopes(self) -> bool:
        return not self.may_stay


@dataclass(kw_only=True)
class DFLM(WalkingSettings):
    """The derivative-free loss (equations 9 to 14) and the walkers that feed it, at its strongest (docs/dflm.md).

    Attributes:
        points: N_r, resampled in every iteration.
        walkers: N_s, from each point; None is 8, or 2 where the coefficient depends on u: the noise between points is
            larger than that between walkers, and those that read u take ten times as long.
        boundary_points: N_b, with boundary=penalty.
        martingale: girsanov, driftless walkers with weight D (13), the paper's; or drift, dX = V dt + dB (7).
        step: euler (18, 19); heun, of weak order 2, with martingale=drift; or metropolis, accepted or not, where the
            coefficient jumps. None is metropolis there, else heun.
        exit: bridge, a step may touch the boundary between its ends; or clip, only where it ends outside.
        estimator: plain (16), control_variate or gradient: the same mean, ever less noise.
        boundary: penalty (10); or ansatz, u = g + distance * network.
        sampling: uniform, the paper's points; coefficient, where each counts for a(x, u), the walkers' own measure; or
            walkers, where the last iteration's arrived. None is uniform, or coefficient where a depends on u.
        targets: network; or table, u(X) from splines through `table` nodes an axis (not with estimator=plain).
        table: Nodes an axis of a table of u, from which a coefficient reads u on the path. None is 257, or 129 where
            the coefficient depends on u.
    """

    # fewer walkers, whose noise the control variate takes away, and a table in place of the network at their ends
    small: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "method": {"walkers": 16, "estimator": "control_variate", "targets": "table", "table": 65}
    }

    points: int = 800
    walkers: int | None = None
    boundary_points: int = 400
    martingale: str = "drift"
    step: str | None = None
    exit: str = "bridge"
    estimator: str = "gradient"
    boundary: str = "ansatz"
    sampling: str | None = None
    targets: str = "network"
    table: int | None = None

    @classmethod
    def companions(cls, *, nonlinear: bool) -> Companions:
        """Dt is 64 times its lower bound: what is wanted grows like Dt, the noise like its root.

        Where walkers read u, and take ten times as long, there are fewer iterations.
        """
        adam = AdamCosine(iterations=1200) if nonlinear else AdamCosine()
        return Companions(MLP(), adam, BoundsTimeStep(macro_factor=64.0))

    def suited(self, *, nonlinear: bool, jumps: bool, dimension: int) -> Self:
        suits = {
            "step": suited_step(self.martingale, jumps=jumps),
            "walkers": 2 if nonlinear else 8,
            "sampling": "coefficient" if nonlinear else "uniform",
            "table": 129 if nonlinear else 257,
        }
        return _completed(self, suits)

    @property
    def per_point(self) -> int:
        assert self.walkers is not None, "choose it by `suited`"
        return self.walkers

    def __post_init__(self) -> None:
        count("method.points", self.points)
        if self.walkers is not None:
            count("method.walkers", self.walkers)
        count("method.boundary_points", self.boundary_points)
        check_scheme(self.martingale, self.step, self.exit)
        one_of("method.estimator", self.estimator, ("plain", "control_variate", "gradient"))
        one_of("method.boundary", self.boundary, ("penalty", "ansatz"))
        if self.sampling is not None:
            one_of("method.sampling", self.sampling, ("uniform", "coefficient", "walkers"))
        one_of("method.targets", self.targets, ("network", "table"))
        if self.table is not None:
            check_table(self.table)
        if self.targets == "table" and self.estimator == "plain":
            raise UserError(
                "method.targets=table needs method.estimator=control_variate or gradient: with plain, the table's error"
                " enters the answer multiplied by 1 / (lambda Dt), a hundred times and more"
            )


@dataclass(kw_only=True)
class Energy(WalkingSettings):
    """The walkers' quadratic energy: no derivative, no bootstrapping (beyond the paper).

    Attributes:
        sampling: uniform; coefficient, more points where a(x, u) is large; or interior, those and more in the middle.
            None is uniform, and interior from four dimensions on.
    """

    macro_step_adds: ClassVar[bool] = True
    knows_holes: ClassVar[bool] = True
    has_budget: ClassVar[bool] = True

    points: int = 16384
    walkers: int = 4  # from each point
    martingale: str = "drift"
    step: str | None = None  # metropolis where the coefficient jumps, else heun
    exit: str = "bridge"
    sampling: str | None = None
    table: int = 257  # nodes an axis of the table of u, with a nonlinear coefficient

    @classmethod
    def companions(cls, *, nonlinear: bool) -> Companions:
        """A basis for smooth answers, and one linear solve."""
        return Companions(Legendre(), Galerkin(), BoundsTimeStep())

    def suited(self, *, nonlinear: bool, jumps: bool, dimension: int) -> Self:
        suits = {
            "step": suited_step(self.martingale, jumps=jumps),
            "sampling": "uniform" if dimension <= 3 else "interior",
        }
        return _completed(self, suits)

    @property
    def per_point(self) -> int:
        return self.walkers

    def __post_init__(self) -> None:
        count("method.points", self.points)
        count("method.walkers", self.walkers)
        check_scheme(self.martingale, self.step, self.exit)
        if self.sampling is not None:
            one_of("method.sampling", self.sampling, ("uniform", "interior", "coefficient"))
        check_table(self.table)


def _completed[S: MethodSettings](settings: S, suits: Mapping[str, Any]) -> S:
    """The same settings with what is None in them by these."""
    return replace(settings, **{name: value for name, value in suits.items() if getattr(settings, name) is None})


def check_scheme(martingale: str, step: str | None, exit: str) -> None:
    """Refuse a way of walking that there is not."""
    one_of("method.martingale", martingale, ("girsanov", "drift"))
    one_of("method.exit", exit, ("bridge", "clip"))
    if step is None:
        return
    one_of("method.step", step, ("euler", "heun", "metropolis"))
    if step == "heun" and martingale != "drift":
        raise UserError("method.step=heun needs method.martingale=drift: girsanov walkers have no drift to average")
    if step == "metropolis" and martingale != "drift":
        raise UserError("method.step=metropolis needs method.martingale=drift: it has the law of the drift without one")


def suited_step(martingale: str, *, jumps: bool) -> str:
    """The most accurate step of walkers in a medium."""
    if martingale != "drift":
        return "euler"
    return "metropolis" if jumps else "heun"


def check_table(nodes: int) -> None:
    """Refuse a table of u with too few or too many nodes an axis."""
    require(5 <= nodes <= 2049, "method.table", nodes, "a number of nodes from 5 to 2049")
