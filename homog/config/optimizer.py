"""Optimizers."""

from dataclasses import dataclass, field
from typing import ClassVar

from homog.config.checks import MISSING, at_least, positive, require


@dataclass(kw_only=True)
class OptimizerSettings:
    """Base of the optimizers; `has_budget` tells whether one knows the parts of its answer's error.

    `activity` is what it does, in a word.
    """

    has_budget: ClassVar[bool] = False
    activity: ClassVar[str] = "training"
    iterations: int = MISSING  # type: ignore[assignment]

    def __post_init__(self) -> None:
        at_least("optimizer.iterations", self.iterations, 1)

    @property
    def all_iterations(self) -> int:
        """Iterations in all, whatever is done in them."""
        return self.iterations


@dataclass(kw_only=True)
class AdamSettings(OptimizerSettings):
    """Adam, which a schedule of the learning rate completes, and one solve for the last layer at the end.

    The solve is over `last_layer` batches of fresh walkers; with none of them it is left out.
    """

    learning_rate: float = MISSING  # type: ignore[assignment]
    betas: list[float] = field(default_factory=lambda: [0.9, 0.99])
    average: float = 0.0
    last_layer: int = 0

    @property
    def all_iterations(self) -> int:
        """Those of Adam and the batches of the last solve."""
        return self.iterations + self.last_layer

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("optimizer.last_layer", self.last_layer, 0)
        positive("optimizer.learning_rate", self.learning_rate)
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "optimizer.betas",
            self.betas,
            "two numbers in [0, 1)",
        )
        require(0 <= self.average < 1, "optimizer.average", self.average, "a share of the iterations in [0, 1)")


@dataclass(kw_only=True)
class AdamExponential(AdamSettings):
    """Adam with the paper's schedule: learning_rate * gamma^(n / 1000) at iteration n (section 4)."""

    iterations: int = 5000
    learning_rate: float = 1e-4
    gamma: float = 0.85
    betas: list[float] = field(default_factory=lambda: [0.99, 0.99])

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gamma <= 1, "optimizer.gamma", self.gamma, "a number in (0, 1]")


@dataclass(kw_only=True)
class AdamCosine(AdamSettings):
    """Adam with a cosine schedule from learning_rate down to learning_rate * final."""

    iterations: int = 1500
    learning_rate: float = 3e-3
    average: float = 0.4
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.final <= 1, "optimizer.final", self.final, "a number in [0, 1]")


@dataclass(kw_only=True)
class Galerkin(OptimizerSettings):
    """One solve for the weights of a network's last layer, for a method whose loss is quadratic in u.

    An iteration adds a batch of walkers to the linear system; the walkers in all are iterations * method.points *
    method.walkers.
    """

    has_budget: ClassVar[bool] = True
    activity: ClassVar[str] = "solving"
    iterations: int = 16
    cutoff: float = 1e-7
    groups: int = 8
    passes: int = 8  # of a nonlinear problem
    damping: float = 0.7  # likewise

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 <= self.cutoff < 1, "optimizer.cutoff", self.cutoff, "a share of the largest singular value in [0, 1)"
        )
        require(3 <= self.groups <= 1000, "optimizer.groups", self.groups, "a whole number from 3 to 1000")
        at_least("optimizer.passes", self.passes, 1)
        require(0 < self.damping <= 1, "optimizer.damping", self.damping, "a share in (0, 1]")


@dataclass(kw_only=True)
class NaturalGradient(Galerkin):
    """Steps of the energy's natural gradient for all weights of a network, and one solve at the end.

    Each of `steps` solves the walkers' equations over the network's tangent space, over a batch that grows to that of
    the last solve, which is over `iterations` batches, as Galerkin's is.
    """

    activity: ClassVar[str] = "training"
    steps: int = 8

    @property
    def all_iterations(self) -> int:
        """The steps, and the batches of the last solve."""
        return self.steps + self.iterations

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("optimizer.steps", self.steps, 1)
