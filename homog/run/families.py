"""u(x; mu), where parameters of the problem are ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from homog.domains import tensor_grid
from homog.measures.evaluation import Errors, errors
from homog.measures.family import Family
from homog.plots.family import OverParameters, draw_family
from homog.plots.sections import coarse_axes, sections_of
from homog.references import Reference, reference
from homog.run.task import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALONG = 41  # values of a parameter along which errors are told
_LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class Member:
    """u for some values of the parameters, held against references of that problem.

    Attributes:
        values: Of the parameters.
        errors: Against u_eps and u_0.
        told: Estimate of the relative L2 error against u_0.
    """

    values: Mapping[str, float]
    errors: Errors
    told: float


@dataclass(frozen=True, eq=False)
class Families:
    """u(x; mu) by walkers, and what some members are off.

    Attributes:
        family: u for any values.
        axes: A grid.
        mean, deviation: Over mu, on the grid.
        members: Those that were held against references.
    """

    family: Family
    axes: tuple[Float64[np.ndarray, " k"], ...]
    mean: Float64[np.ndarray, "..."]
    deviation: Float64[np.ndarray, "..."]
    members: Sequence[Member] = field(default=())

    @property
    def mean_error(self) -> float:
        """Root mean square over mu of the estimated relative L2 error against u_0."""
        ranges = self.family.equations.ranges
        told = [self.family.error(**ranges.values(place)) for place in ranges.nodes]
        return float(np.sqrt(ranges.shares @ np.square(told)))

    def metrics(self) -> dict[str, float]:
        """Its numbers, by the names that `metrics.json` has for them."""
        spread = float(np.linalg.norm(self.deviation) / np.linalg.norm(self.mean))
        numbers = {"family_rel_l2_smooth_error_estimate": self.mean_error, "family_relative_deviation": spread}
        for number, member in enumerate(self.members, 1):
            numbers |= {f"member_{number}_{name}": value for name, value in member.values.items()}
            found = member.errors.fine, member.errors.homogenized, member.told
            for name, value in zip(
                ("rel_l2", "rel_l2_homogenized", "rel_l2_smooth_error_estimate"), found, strict=True
            ):
                if value is not None:
                    numbers[f"member_{number}_{name}"] = value
        return numbers

    def plot(self, title: str = "family") -> "Figure":
        """Mean and deviation over mu, quantiles along a section, and errors along the first parameter."""
        ranges = self.family.equations.ranges
        name = ranges.names[0]
        low, high = ranges.ends[name]
        middle = ranges.values(np.zeros(len(ranges.names)))
        along = np.linspace(low, high, _ALONG)
        told = [self.family.error(**{**middle, name: value}) for value in along]
        grid = tensor_grid(self.axes)
        data = OverParameters(
            title, self.axes, self.mean, self.deviation,
            self.family.quantiles(grid[sections_of(self.axes)[0].index], _LEVELS), name, along, told,
            [(member.values[name], member.errors.fine, member.errors.homogenized) for member in self.members],
        )  # fmt: skip
        return draw_family(data)


def families(family: Family, plan: Plan, truth: Reference | None) -> Families:
    """Mean and deviation on a grid; with a reference of the middle those of the ends of the ranges too.

    Args:
        family: u for any values.
        plan: The plan.
        truth: What u at the middle is held against; None for no references at all.
    """
    problem = plan.problem
    axes = coarse_axes(problem.domain)
    grid = tensor_grid(axes)
    members = [] if truth is None else _members(family, plan, truth)
    return Families(family, axes, family.mean(grid), family.standard_deviation(grid), members)


def _members(family: Family, plan: Plan, truth: Reference) -> list[Member]:
    """Lower ends, the problem's own values, upper ends."""
    ranges, settings = family.equations.ranges, plan.settings
    count, found = settings.evaluation.count(plan.problem.dimension), []
    ends = [np.full(len(ranges.names), end) for end in (-1.0, 1.0)]
    own = ranges.own_place(plan.problem.parameters)
    for place in (ends[0], own, ends[1]):
        values, held = ranges.values(place), truth
        if place is not own:
            held = reference(plan.problem.member(values), settings.reference, count, plan.cache)
        u = family(held.places.points, **values)
        found.append(Member(values, errors(u, held), family.error(**values)))
    return found
