"""Statistics of the walkers of a run, over all its iterations."""

from dataclasses import dataclass
from typing import Self

import torch

from homog.machine import ranks
from homog.walkers.walk import Walk

_MOSTLY = 0.5  # of the walkers that leave within one macro step
_LEAST_SHARE = 0.01  # of the walkers whose weight counts


@dataclass
class Tally:
    """Counts over walks.

    Attributes:
        walkers: That were sent.
        left: That left the domain within their macro step.
        least_effective_share: Least effective share of the weights of one iteration's walkers on one rank.
    """

    walkers: int = 0
    left: int = 0
    least_effective_share: float = 1.0

    @classmethod
    def of(cls, walk: Walk) -> Self:
        """That of one walk.

        Raises:
            NotFinite: If a displacement, a reward or a weight is NaN or infinite.
        """
        walk = walk.on_host()
        walk.require_finite()
        return cls(walk.left.size, int(walk.left.sum()), walk.effective_share)

    def add(self, other: "Tally") -> None:
        """Count another's walkers too."""
        self.walkers += other.walkers
        self.left += other.left
        self.least_effective_share = min(self.least_effective_share, other.least_effective_share)

    def of_all_ranks(self) -> "Tally":
        """The counts of all ranks together; to be asked for on all of them."""
        counts = torch.tensor([self.walkers, self.left])
        ranks.add([counts])
        walkers, left = counts.tolist()
        return Tally(walkers, left, -ranks.largest(-self.least_effective_share))

    @property
    def left_share(self) -> float:
        """Share of the walkers that left the domain."""
        return self.left / max(1, self.walkers)

    def metrics(self) -> dict[str, float]:
        """The numbers for the record of a run."""
        return {"left_share": self.left_share, "effective_sample_share": self.least_effective_share}

    def warnings(self) -> list[str]:
        """A line for each number that puts the answer in doubt."""
        lines = []
        if self.left_share > _MOSTLY:
            lines.append(
                f"{100 * self.left_share:.0f} % of the walkers left the domain within one macro step: they tell of the"
                " boundary and little of the inside; take a smaller Dt (timestep.macro_factor, timestep.macro_step)"
            )
        if self.least_effective_share < _LEAST_SHARE:
            lines.append(
                f"only {100 * self.least_effective_share:.2g} % of the walkers carry the weight of an iteration"
                " (effective sample share): take a smaller Dt, or method.martingale=drift, whose walkers weigh the same"
            )
        return lines
