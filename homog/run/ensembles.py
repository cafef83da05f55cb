"""Mean and standard deviation of u over the law of a random medium, where the problem asks for samples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from homog.domains import Box, tensor_grid
from homog.measures.ensemble import Ensemble
from homog.plots.ensemble import OverSamples, draw_ensemble
from homog.plots.sections import coarse_axes, sections_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Ensembles:
    """u over the law of a random medium, by walkers.

    Attributes:
        ensemble: u of each sample.
        axes: A grid.
        mean, standard_error: The mean over the law, and its standard error, there.
        deviation, deviation_error: The standard deviation over the law, and its standard error, there.
    """

    ensemble: Ensemble
    axes: tuple[Float64[np.ndarray, " k"], ...]
    mean: Float64[np.ndarray, "..."]
    standard_error: Float64[np.ndarray, "..."]
    deviation: Float64[np.ndarray, "..."]
    deviation_error: Float64[np.ndarray, "..."]

    @classmethod
    def of(cls, ensemble: Ensemble, domain: Box) -> "Ensembles":
        """On a grid of the domain."""
        axes = coarse_axes(domain)
        grid = tensor_grid(axes)
        parts = ensemble.mean, ensemble.standard_error, ensemble.standard_deviation, ensemble.deviation_error
        return cls(ensemble, axes, *(part(grid) for part in parts))

    def metrics(self) -> dict[str, float]:
        """Its numbers, by the names that `metrics.json` has for them: L2 norms, relative to that of the mean."""
        size = float(np.linalg.norm(self.mean))
        parts = {
            "ensemble_standard_error": self.standard_error,
            "ensemble_deviation": self.deviation,
            "ensemble_deviation_standard_error": self.deviation_error,
        }
        return {"samples": float(len(self.ensemble.weights))} | {
            name: float(np.linalg.norm(part) / size) for name, part in parts.items()
        }

    def plot(self, title: str = "ensemble") -> "Figure":
        """Mean and deviation, and a section through all samples."""
        along = tensor_grid(self.axes)[sections_of(self.axes)[0].index]
        return draw_ensemble(
            OverSamples(title, self.axes, self.mean, self.standard_error, self.deviation, self.ensemble.samples(along))
        )
