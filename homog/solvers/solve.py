"""One linear solve, a batch of walkers an iteration."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from homog.config import Galerkin
from homog.losses import Loss
from homog.solvers.galerkin import GalerkinSolver, Part


class Solve:
    """Batches of walkers for one linear system, solved whenever somebody looks; an optimizer of a training."""

    def __init__(self, settings: Galerkin, loss: Loss, network: nn.Module) -> None:
        self._solver, self._loss = GalerkinSolver(settings, loss, network), loss

    def step(self, iteration: int) -> int:
        return self._solver.add(iteration)

    def draw_ahead(self, iteration: int, until: int) -> None:
        self._loss.draw_ahead(iteration, until)

    def loss(self) -> torch.Tensor:
        return torch.tensor(self._solver.loss())

    def solution(self) -> nn.Module:
        return self._solver.solution()

    @property
    def solver(self) -> GalerkinSolver:
        """The equations."""
        return self._solver

    def metrics(self) -> Mapping[str, float | None]:
        return {
            "rel_l2_standard_error": self._solver.standard_error(),
            "rel_l2_features": self._solver.features_error(),
            "features": self._solver.features(),
            **_named("rel_l2_macro_step", self._solver.macro_step_error()),
            **_named("rel_l2_micro_step", self._solver.micro_step_error()),
            "control_coefficient": self._solver.control_coefficient(),
            "last_pass_change": self._solver.last_change(),
        }

    def state(self) -> dict[str, Any]:
        return self._solver.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._solver.load_state(state)


def _named(name: str, part: Part | None) -> dict[str, float]:
    """A part of the error and its noise, by the names of metrics; none where it is not known."""
    return {} if part is None else {name: part.error, f"{name}_standard_error": part.standard_error}
