"""u(x, t), where the problem asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from homog.domains import tensor_grid
from homog.measures.evaluation import relative_l2
from homog.measures.evolution import Evolved, Moment
from homog.plots.evolution import OverTime, animate_evolution, draw_evolution
from homog.references import Reference

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Evolving:
    """u(x, t) by walkers, beside the references.

    Attributes:
        evolved: u at any time.
        moments: u at the times that the problem names.
        axes: A grid: the reference's where there is one.
        values: u there, shape (times, *grid).
        fine, homogenized: u_eps and u_0 there; None where they are not known.
        fine_error_estimate: Relative L2 error of u_eps at each time; None where it is not known.
    """

    evolved: Evolved
    moments: tuple[Moment, ...]
    axes: tuple[Float64[np.ndarray, " k"], ...]
    values: Float64[np.ndarray, "..."]
    fine: Float64[np.ndarray, "..."] | None = None
    homogenized: Float64[np.ndarray, "..."] | None = None
    fine_error_estimate: Float64[np.ndarray, " n"] | None = None

    @property
    def times(self) -> tuple[float, ...]:
        """The times that the problem names."""
        return tuple(moment.time for moment in self.moments)

    def errors(self, truth: Float64[np.ndarray, "..."] | None) -> list[float] | None:
        """The relative L2 error at each time against a reference on the grid; None without one."""
        if truth is None:
            return None
        return [relative_l2(u, exact) for u, exact in zip(self.values, truth, strict=True)]

    def plot(self, title: str = "u(x, t)") -> "Figure":
        """u at the times, its sections beside the references, and the errors over time."""
        told = [moment.error / moment.size for moment in self.moments]
        data = OverTime(
            title, self.axes, self.times, self.values, self.fine, self.homogenized, told,
            self.errors(self.fine), self.errors(self.homogenized),
        )  # fmt: skip
        return draw_evolution(data)

    def animate(self, path: str | Path, frames: int = 40, title: str = "u") -> None:
        """Write u from t = 0 to the end as an animated GIF.

        Args:
            path: The file.
            frames: How many, evenly spaced in time.
            title: Above each frame, before its time.
        """
        moments = [self.evolved.at(float(time)) for time in np.linspace(0, self.times[-1], frames)]
        values = self.evolved.values(moments, tensor_grid(self.axes))
        animate_evolution(self.axes, [moment.time for moment in moments], values, title, Path(path))

    def metrics(self) -> dict[str, float]:
        """Its numbers, by the names that `metrics.json` has for them."""
        numbers: dict[str, float] = {}
        fine, homogenized = self.errors(self.fine), self.errors(self.homogenized)
        for number, moment in enumerate(self.moments):
            name = f"time_{number + 1}"
            numbers[name] = moment.time
            if fine is not None:
                numbers[f"{name}_rel_l2"] = fine[number]
            if homogenized is not None:
                numbers[f"{name}_rel_l2_homogenized"] = homogenized[number]
            numbers[f"{name}_rel_l2_standard_error"] = moment.noise / moment.size
            numbers[f"{name}_rel_l2_smooth_error_estimate"] = moment.error / moment.size
            if self.fine_error_estimate is not None:
                numbers[f"{name}_reference_error_estimate"] = float(self.fine_error_estimate[number])
        return numbers


def evolving(
    evolved: Evolved, times: Sequence[float], axes: tuple[np.ndarray, ...], truth: Reference | None
) -> Evolving:
    """u at the times on a grid.

    Args:
        evolved: u at any time.
        times: At which it is wanted.
        axes: The grid; that of the reference, where there is one.
        truth: What it is held against.
    """
    moments = tuple(evolved.at(time) for time in times)
    values = evolved.values(moments, tensor_grid(axes))
    if truth is None:
        return Evolving(evolved, moments, axes, values)
    known = truth.fine_over_time, truth.homogenized_over_time, truth.fine_over_time_error_estimate
    return Evolving(evolved, moments, axes, values, *known)
