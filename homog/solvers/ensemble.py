"""Solves for the samples of a random medium, one after the other: the first as always, the others with fewer walkers.

Each sample has its own equations: the mean of their answers is wanted, not the answer of their mean. From every other
batch come two answers a sample with noise that has nothing in common, so that products of their deviations have the
variance of u over the law of the medium without that of the walkers.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from homog.config import Galerkin
from homog.losses import Loss
from homog.networks import LinearInFeatures
from homog.solvers.galerkin import GalerkinSolver
from homog.solvers.nested import solve
from homog.solvers.solve import Solve

_SHARE, _LEAST = 4, 4  # one in so many of the batches of the first sample, and at least so many, for each other one

type Made = Callable[[int], tuple[Loss, nn.Module]]
"""Makes the loss and the network of a sample, by its number."""


class EnsembleSolve:
    """An optimizer of a training: its solution, and what it tells of itself, are those of the first sample.

    Args:
        settings: For one problem.
        samples: How many.
        first: The loss and the network of the first.
        made: Makes those of the others, when their turn comes.
    """

    def __init__(self, settings: Galerkin, samples: int, first: tuple[Loss, nn.Module], made: Made) -> None:
        self._settings, self._each, self._made = settings, batches_of_a_sample(settings), made
        self._first = Solve(settings, *first)
        self._current: GalerkinSolver | None = None
        count = len(self._first.solver.network.weights())
        self._weights = np.zeros((samples, count))
        self._halves = np.zeros((samples, 2, count))
        self._done = 0  # samples

    def step(self, iteration: int) -> int:
        if iteration < self._settings.iterations:
            taken = self._first.step(iteration)
            if iteration + 1 == self._settings.iterations:
                self._keep(self._first.solver)
            return taken
        sample, batch = divmod(iteration - self._settings.iterations, self._each)
        if batch == 0 or self._current is None:
            self._current = self._begun(sample + 1)
        taken = self._current.add(iteration)
        if batch + 1 == self._each:
            self._keep(self._current)
            self._current = None
        return taken

    def draw_ahead(self, iteration: int, until: int) -> None:
        self._first.draw_ahead(iteration, min(until, self._settings.iterations))

    def loss(self) -> torch.Tensor:
        return self._first.loss()

    def solution(self) -> nn.Module:
        return self._first.solution()

    def metrics(self) -> Mapping[str, float | None]:
        return self._first.metrics()

    @property
    def network(self) -> LinearInFeatures:
        """Gives the features, and the lift of all samples."""
        return self._first.solver.network

    @property
    def answers(self) -> tuple[Float64[np.ndarray, "n m"], Float64[np.ndarray, "n 2 m"]]:
        """The weights of the samples that are done, and those by disjoint halves of the walkers of each."""
        return self._weights[: self._done], self._halves[: self._done]

    def state(self) -> dict[str, Any]:
        arrays = {"weights": torch.from_numpy(self._weights), "halves": torch.from_numpy(self._halves)}
        current = None if self._current is None else self._current.state()
        return {"first": self._first.state(), "done": self._done, "current": current, **arrays}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._first.load_state(state["first"])
        self._done = int(state["done"])
        self._weights[...], self._halves[...] = state["weights"].numpy(), state["halves"].numpy()
        self._current = None
        if state["current"] is not None:
            self._current = self._begun(self._done)
            self._current.load_state(state["current"])

    def _begun(self, sample: int) -> GalerkinSolver:
        loss, network = self._made(sample)
        return GalerkinSolver(replace(self._settings, iterations=self._each, groups=self._each), loss, network)

    def _keep(self, solver: GalerkinSolver) -> None:
        found = solver.answer()
        matrix, control, load = solver.sums()
        whole = matrix + solver.control_coefficient() * control
        for half in (0, 1):
            (one,) = solve(whole[half::2], load[half::2], [found.chosen], self._settings.cutoff)
            self._halves[self._done, half] = one.weights
        self._weights[self._done] = found.weights
        self._done += 1


def batches_of_a_sample(settings: Galerkin) -> int:
    """Batches of walkers for each sample but the first."""
    return max(_LEAST, settings.iterations // _SHARE)
