"""The two time steps, their bounds (equations 20 to 24) and the policies that choose them."""

import math
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from jaxtyping import Float32

from homog.config import BoundsTimeStep, FixedTimeStep, RatioTimeStep, TimeStepSettings
from homog.errors import UserError


def kappa(dimension: int) -> float:
    """E|Z| for Z ~ N(0, I_d): the mean distance of a Brownian step of unit time (equation 20)."""
    return math.sqrt(2) * math.exp(math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2))


def micro_bound(eps: float, m0: float, dimension: int) -> float:
    """Upper bound of the micro step: a mean step of eps/m0 (equation 21)."""
    return (eps / m0 / kappa(dimension)) ** 2


def macro_bound(eps: float, dimension: int) -> float:
    """Lower bound of the macro step: the mean distance reaches the corner of a period cell (equation 23)."""
    return dimension * eps**2 / (4 * kappa(dimension) ** 2)


def count_bound(m0: float, dimension: int) -> float:
    """K0, the ratio of the two bounds, free of eps (equation 24)."""
    return dimension * m0**2 / 4


@dataclass(frozen=True, eq=False)
class Pace:
    """The longest micro step that the medium allows at each place: a walker looks it up before each of its steps.

    A step whose length is fixed at its start keeps every martingale of the walkers (optional stopping), whatever the
    table holds: the table decides how accurate a step is, and never what is estimated.

    Attributes:
        lower: Lower corner of the table's box, d numbers.
        upper: Upper corner.
        longest: The micro step in each cell of the box, cut into equal cells, x1 along the first index.
        periodic: Whether the table repeats itself beyond the box; otherwise the outermost cells go on.
        worst: The largest |V| sqrt(dt) that is left.
        wanted: The largest |V| sqrt(dt) that would be accurate.
        slowdown: Mean number of steps for each of length `micro_step`, the walkers being spread with density a.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    longest: Float32[np.ndarray, "..."]
    periodic: bool
    worst: float
    wanted: float
    slowdown: float


@dataclass(frozen=True)
class TimeSteps:
    """A macro step Dt = count * micro_step, and the bounds it is held against.

    Attributes:
        micro_step: dt, in units of squared length.
        count: K, micro steps in a macro step.
        micro_bound: Upper bound of dt (21).
        macro_bound: Lower bound of Dt (23).
        pace: Shorter micro steps where the medium is steep; None where dt is short enough everywhere.
        steepness: The largest |V| sqrt(dt) of a step that is left, where it was looked at.
    """

    micro_step: float
    count: int
    micro_bound: float
    macro_bound: float
    pace: Pace | None = None
    steepness: float = 0.0

    @property
    def macro_step(self) -> float:
        """Dt."""
        return self.count * self.micro_step

    def shortened(self, parts: int) -> "TimeSteps":
        """Steps that are so many times as short, and as many times as many."""
        pace = None if self.pace is None else replace(self.pace, longest=self.pace.longest / parts)
        return replace(self, micro_step=self.micro_step / parts, count=parts * self.count, pace=pace)

    def lengthened(self, parts: int) -> "TimeSteps":
        """Steps that are so many times as long; their number must be a multiple of it. There is no pace."""
        assert self.pace is None and self.count % parts == 0
        return replace(self, micro_step=parts * self.micro_step, count=self.count // parts)

    def warnings(self) -> list[str]:
        """A line for each bound that is broken; a part in a hundred is taken as rounding of published numbers."""
        lines = []
        if self.steepness > _TOO_STEEP:
            remedy = "a larger timestep.most_steps" if self.pace else "a smaller dt"
            lines.append(
                f"the medium is steep for steps of this length: |V| sqrt(dt) is up to {self.steepness:.2g}, and the"
                f" walkers step over what is there; take {remedy}"
            )
        if self.micro_step > 1.01 * self.micro_bound:
            lines.append(
                f"dt = {self.micro_step:.3g} is {self.micro_step / self.micro_bound:.3g} times its upper bound"
                f" {self.micro_bound:.3g}: the walkers step over the fine scale"
            )
        if self.macro_step < 0.99 * self.macro_bound:
            lines.append(
                f"Dt = {self.macro_step:.3g} is {self.macro_step / self.macro_bound:.3g} times its lower bound"
                f" {self.macro_bound:.3g}: the walkers do not see a whole period"
            )
        return lines


_AT_JUMPS, _PARTS = math.sqrt(8), 4
_OF_MATRICES = 2.0
_CARRIED = 1 / 40  # of the scale, by which a flow may carry a walker in a step
_TOO_STEEP = 1.0  # the Heun step's bias is then about 1 %, from there on it grows fast
_MOST_STEPS = 10_000_000  # in a macro step: some seconds for each block of walkers
_LEAST_STEP = 1e-30  # the walkers count in single precision


def time_steps(
    policy: TimeStepSettings,
    dimension: int,
    scale: float | None = None,
    *,
    may_stay: bool = False,
    of_matrix: bool = False,
    flow: float = 0.0,
) -> TimeSteps:
    """The time steps that a policy chooses.

    Args:
        policy: The settings.
        dimension: Dimension of the problem.
        scale: The problem's length, which enters the bounds where the policy does not name its own.
        may_stay: Whether a step may be refused, where the coefficient jumps. Their error falls with sqrt(dt) and is
            extrapolated from steps four times as long: dt is an eighth of what it is elsewhere, K a multiple of four.
        of_matrix: Whether the coefficient is a matrix. The error of a step is then of order dt and not dt^2: m0 is
            twice what it is elsewhere.
        flow: The largest speed |b| / (2a) with which walkers are carried. They have to see where it turns: by a step
            it carries them a fortieth of the scale at most (*measured*: of cells that turn with a Peclet number of 200
            the effective diffusivity is then 1 % off, and 50 % with steps ten times as long).

    Raises:
        UserError: If the policy's numbers do not give a whole number of micro steps, or one beyond reach.
    """
    if policy.eps is None:
        if scale is None:
            raise UserError("timestep.eps must be given where no problem gives a scale")
        policy = replace(policy, eps=scale)
    if may_stay:
        policy = replace(policy, m0=_AT_JUMPS * policy.m0)
    if of_matrix:
        policy = replace(policy, m0=_OF_MATRICES * policy.m0)
    assert policy.eps is not None
    if flow > 0:  # dt is (eps / m0)^2 up to a constant
        shortest = _CARRIED * policy.eps / flow
        policy = replace(
            policy, m0=policy.m0 * max(1.0, math.sqrt(micro_bound(policy.eps, policy.m0, dimension) / shortest))
        )
    steps = _chosen(policy, dimension)
    if may_stay and steps.count % _PARTS:
        steps = _in_parts(policy, steps)
    if steps.count > _MOST_STEPS:
        raise UserError(f"timestep asks for K = {steps.count:.3g} micro steps: at most {_MOST_STEPS:.0e} are possible")
    if steps.micro_step < _LEAST_STEP:
        raise UserError(f"timestep asks for dt = {steps.micro_step:.3g}: at least {_LEAST_STEP} is possible")
    return steps


@singledispatch
def _in_parts(policy: TimeStepSettings, steps: TimeSteps) -> TimeSteps:
    """The same with a number of steps that is a multiple of four."""
    raise UserError(
        f"timestep asks for K = {steps.count} micro steps: where the coefficient jumps they are held against steps four"
        " times as long; choose dt and Dt so that K is a multiple of 4"
    )


@_in_parts.register
def _(policy: BoundsTimeStep, steps: TimeSteps) -> TimeSteps:
    count = -(-steps.count // _PARTS) * _PARTS
    return replace(steps, micro_step=steps.macro_step / count, count=count)


@singledispatch
def _chosen(policy: TimeStepSettings, dimension: int) -> TimeSteps:
    raise NotImplementedError(f"no time steps for {type(policy).__name__}")


@_chosen.register
def _(policy: BoundsTimeStep, dimension: int) -> TimeSteps:
    micro, macro = _bounds(policy, dimension)
    if policy.count is not None:
        return TimeSteps(micro, policy.count, micro, macro)
    target = policy.macro_factor * macro
    count = max(1, math.ceil(target / micro - 1e-9))
    return TimeSteps(target / count, count, micro, macro)


@_chosen.register
def _(policy: FixedTimeStep, dimension: int) -> TimeSteps:
    return TimeSteps(policy.micro_step, round(policy.macro_step / policy.micro_step), *_bounds(policy, dimension))


@_chosen.register
def _(policy: RatioTimeStep, dimension: int) -> TimeSteps:
    count = round(1 / policy.ratio)
    if abs(count * policy.ratio - 1) > 1e-3:
        raise UserError(
            f"timestep.ratio={policy.ratio}: Dt must be a whole number of micro steps; write {1 / count:.6g}"
            f" (K = {count})"
        )
    micro = policy.micro_step if policy.macro_step is None else policy.macro_step / count
    assert micro is not None  # the schema has seen that one of the two is given
    return TimeSteps(micro, count, *_bounds(policy, dimension))


def _bounds(policy: TimeStepSettings, dimension: int) -> tuple[float, float]:
    assert policy.eps is not None  # time_steps has seen to it
    return micro_bound(policy.eps, policy.m0, dimension), macro_bound(policy.eps, dimension)
