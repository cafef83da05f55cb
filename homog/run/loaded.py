"""A finished run, read from its folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from homog.config import RunSettings, stored
from homog.equation import Problem
from homog.errors import UserError
from homog.machine.home import home
from homog.measures import evaluation
from homog.networks import LinearInFeatures
from homog.run import outcome
from homog.run.budget import PARTS
from homog.run.folder import RECORD, RESULT, RunRecord, require_same_problem
from homog.run.further import FURTHER, Further, asked, further
from homog.run.preparation import prepare_network
from homog.run.solution import Solution
from homog.run.task import Plan
from homog.tracking.metrics import METRICS_FILE, read_metrics


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run of `homog-run`, read from its folder.

    Attributes:
        folder: Its folder.
        settings: All its settings.
        metrics: Its numbers, by the names of `metrics.json`.
    """

    folder: Path
    settings: RunSettings
    metrics: Mapping[str, float | int | str | None]

    @cached_property
    def problem(self) -> Problem:
        """The problem that was solved.

        Raises:
            UserError: If what it is made of has changed, such as a field on file.
        """
        return self._plan.problem

    @cached_property
    def answer(self) -> Solution:
        """u, the same bits as when the run ended.

        Raises:
            UserError: If the weights are missing or damaged.
        """
        plan, metrics = self._plan, self.metrics
        _, network = prepare_network(self.settings, plan.problem, plan.steps, torch.device("cpu"), plan.kernels)
        path = self.folder / "weights.pt"
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises half a dozen kinds for what is no file of weights
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(f"{path} holds no weights of this network: {reason}") from None
        if evaluation.weights_sha256(network) != metrics.get("weights_sha256"):
            raise UserError(f"{path} has other weights than those that the run ended with")
        noise = metrics.get("rel_l2_standard_error")
        lines = [*plan.warnings(), *outcome.warnings(metrics)]
        noise = noise if isinstance(noise, float) else None
        budget = {name: value for name, value in self.metrics.items() if name in PARTS and isinstance(value, float)}
        return Solution(plan, network, noise, None, tuple(lines), budget, self._curve(), self._further(network))

    def __call__(self, *coordinates: ArrayLike, **values: float) -> Any:
        """u at points, and for values of parameters or at a time: see `Solution`."""
        return self.answer(*coordinates, **values)

    def _further(self, network: nn.Module) -> Further:
        if not asked(self._plan):
            return Further()
        path = self.folder / FURTHER
        try:
            with np.load(path, allow_pickle=False) as arrays:
                assert isinstance(network, LinearInFeatures)
                return further(self._plan, network, dict(arrays), None)
        except Exception as error:  # numpy and zipfile raise half a dozen kinds for a file that is damaged
            raise UserError(f"{path} is missing or damaged: {' '.join(str(error).split())[:120]}") from None

    @cached_property
    def _plan(self) -> Plan:
        plan, record = Plan.of(self.settings, home()), RunRecord.read(self.folder)
        if record is None:
            raise UserError(f"{self.folder} has no sound {RECORD}")
        require_same_problem(record, plan.problem)
        return plan

    def _curve(self) -> tuple[tuple[int, float], ...]:
        """(iteration, error) over the training, as it was recorded."""
        path = self.folder / METRICS_FILE
        entries = read_metrics(path) if path.exists() else []
        return tuple((entry.step, entry.metrics["error"]) for entry in entries if "error" in entry.metrics)


def load(folder: str | Path) -> Run:
    """A finished run: its settings, its metrics, its problem and its answer.

    Args:
        folder: The run's folder, such as outputs/runs/20261127-100102-linear-0.01-3fa9.

    Raises:
        UserError: If there is no finished run, or an earlier version wrote it.
    """
    path = Path(folder).absolute()
    try:
        metrics = json.loads((path / RESULT).read_text(encoding="utf-8"))
        content = (path / "config.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UserError(f"{path} holds no finished run: it has no sound {RESULT} and config.yaml") from None
    return Run(path, stored.read(content, str(path / "config.yaml")), metrics)
