"""A run's settings, composed as on the command line, and what homog makes of them."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from homog import equation, losses, networks
from homog.command import composition
from homog.config import ProblemSettings, RunSettings
from homog.equation import Problem
from homog.machine.home import home
from homog.references import Reference, reference
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps, time_steps


@dataclass(frozen=True)
class Case:
    """What `homog-run` would do with these settings, without its records.

    Attributes:
        settings: All of them.
        problem: What is solved.
        steps: The time steps.
    """

    settings: RunSettings
    problem: Problem
    steps: TimeSteps

    def training(self, seed: int = 0, iterations: int | None = None) -> Training:
        """A training from its first iteration on: from the settings' weights, with the walkers of a seed."""
        return self.training_by(self.loss(seed), iterations)

    def loss(self, seed: int = 0) -> losses.Loss:
        """The method's loss; `seed` is that of points and walkers."""
        return losses.build(self.settings.method, self.problem, self.steps, seed, kernels())

    def training_by(self, loss: losses.Loss, iterations: int | None = None) -> Training:
        """The same with a loss of one's own."""
        network = loss.network(networks.build(self.settings.network, self.problem.domain, self.settings.seed))
        optimizer = self.settings.optimizer
        return train(loss, network, optimizer if iterations is None else replace(optimizer, iterations=iterations))

    def truth(self, grid: int = 501) -> Reference:
        """What its answer is held against, from the cache of HOMOG_HOME where it is there."""
        return reference(self.problem, self.settings.reference, grid, home() / "cache")


def kernels() -> Path:
    """Where homog keeps compiled walkers."""
    return home() / "cache" / "kernels"


@cache
def case(*overrides: str) -> Case:
    """The case of a command: `case("problem=linear", "eps=0.05")`."""
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        settings = composition.settings_of(compose("run", list(overrides)))
    problem = _problem(_Key(settings.problem, settings.eps))
    return Case(settings, problem, time_steps(settings.timestep, problem.dimension, problem.scale))


class _Key:
    """Settings as a key: cases of one problem share it, since a random field takes a while to make."""

    def __init__(self, settings: ProblemSettings, eps: float) -> None:
        self.settings, self.eps = settings, eps

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{self.settings!r} {self.eps!r}"


@cache
def _problem(key: _Key) -> Problem:
    return equation.build(key.settings, key.eps)
