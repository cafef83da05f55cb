"""The time-step policies."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from homog.config.checks import MISSING, at_least, positive, require
from homog.errors import UserError


@dataclass(kw_only=True)
class TimeStepSettings:
    """Base of the time-step policies; `eps` and `m0` enter the bounds that every policy is held against.

    Without an `eps` here, the problem's own scale enters: eps, or the correlation length of a field. A policy that
    `follows_medium` takes shorter steps where the medium is steep.
    """

    follows_medium: ClassVar[bool] = False

    eps: float | None = None
    m0: float = 12.0

    @property
    def chooses_macro_step(self) -> bool:
        """Whether the macro step is a multiple of its bound."""
        return False

    @property
    def all_steps(self) -> float:
        """How many micro steps all walkers of a run may take, shorter ones where the medium is steep among them."""
        return 0.0

    def __post_init__(self) -> None:
        if self.eps is not None:
            positive("timestep.eps", self.eps)
        at_least("timestep.m0", self.m0, 1)


@dataclass(kw_only=True)
class BoundsTimeStep(TimeStepSettings):
    """dt at its upper bound (21); Dt = macro_factor times its lower bound (23), or K = `count` micro steps.

    Where the medium is steep the drift walkers of a linear problem take shorter steps, so many that those of all
    walkers of a run are about `most_steps`.
    """

    follows_medium: ClassVar[bool] = True
    macro_factor: float = 4.0
    count: int | None = None
    most_steps: float = 1e10  # of all walkers of a run

    @property
    def all_steps(self) -> float:
        return self.most_steps

    @property
    def chooses_macro_step(self) -> bool:
        return self.count is None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("timestep.macro_factor", self.macro_factor)
        if self.count is not None:
            at_least("timestep.count", self.count, 1)
        at_least("timestep.most_steps", self.most_steps, 1)


@dataclass(kw_only=True)
class FixedTimeStep(TimeStepSettings):
    """dt and Dt as given; Dt is rounded to a whole number of micro steps."""

    micro_step: float = MISSING  # type: ignore[assignment]
    macro_step: float = MISSING  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("timestep.micro_step", self.micro_step)
        require(
            isfinite(self.macro_step) and self.macro_step >= self.micro_step,
            "timestep.macro_step",
            self.macro_step,
            f"at least micro_step ({self.micro_step})",
        )


@dataclass(kw_only=True)
class RatioTimeStep(TimeStepSettings):
    """The ratio dt/Dt and one of the two steps, as in the sweeps of Fig. 2 (Dt fixed) and Fig. 3 (dt fixed)."""

    ratio: float = MISSING  # type: ignore[assignment]
    micro_step: float | None = None
    macro_step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.ratio <= 1, "timestep.ratio", self.ratio, "a number dt/Dt in (0, 1]")
        if (self.micro_step is None) == (self.macro_step is None):
            raise UserError("timestep=ratio needs exactly one of timestep.micro_step and timestep.macro_step")
        for name, step in (("micro_step", self.micro_step), ("macro_step", self.macro_step)):
            if step is not None:
                positive(f"timestep.{name}", step)
