"""One run."""

from dataclasses import dataclass, field, replace
from typing import Any

from homog.config.checks import MISSING, at_least, label, one_of, positive, require
from homog.config.method import Energy, MethodSettings
from homog.config.network import NetworkSettings
from homog.config.optimizer import OptimizerSettings
from homog.config.problem import ProblemSettings
from homog.config.reference import EvaluationSettings, FEMReference, ReferenceSettings
from homog.config.timestep import TimeStepSettings
from homog.config.tracking import LocalTracking, TrackingSettings
from homog.errors import UserError

TASKS = ("solve", "effective_tensor")


@dataclass(kw_only=True)
class RunSettings:
    """One run: what `conf/run.yaml` and its groups compose to."""

    problem: ProblemSettings = MISSING  # type: ignore[assignment]
    timestep: TimeStepSettings = MISSING  # type: ignore[assignment]
    method: MethodSettings = MISSING  # type: ignore[assignment]
    network: NetworkSettings = MISSING  # type: ignore[assignment]
    optimizer: OptimizerSettings = MISSING  # type: ignore[assignment]
    reference: ReferenceSettings = MISSING  # type: ignore[assignment]
    tracking: TrackingSettings = MISSING  # type: ignore[assignment]
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    eps: float = 0.01
    device: str = "auto"
    seed: int = 0
    name: str | None = None
    task: str = "solve"  # effective_tensor: end with a*, by walkers and by the cell problem
    force: bool = False  # sweeps only: a single run always runs
    resume: bool | str = False  # true, auto, or the folder of a run
    checkpoint: float | None = 60.0  # seconds between two of them; None: only when a signal asks the run to end
    target: float | None = None  # estimated error, below which the run chooses features, steps and walkers to come
    seconds: float | None = None  # with a target: it stops with what it has then

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        if self.name is not None:
            label("name", self.name)
        one_of("task", self.task, TASKS)
        one_of("device", self.device, ("auto", "cpu", "cuda"))
        require(self.resume != "", "resume", self.resume, "true, auto or the folder of a run")
        if self.checkpoint is not None:
            at_least("checkpoint", self.checkpoint, 0)
        require(0 <= self.seed < 2**63, "seed", self.seed, "a whole number from 0 to 2^63 - 1")
        self._check_target()

    def _check_target(self) -> None:
        """Refuse a target that there is nothing to choose for."""
        if self.seconds is not None:
            positive("seconds", self.seconds)
            if self.target is None:
                raise UserError("seconds ends the search for a target: write target=1e-2 too, say")
        if self.target is None:
            return
        require(0 < self.target < 1, "target", self.target, "a relative error between 0 and 1")
        can = {
            "method=energy": self.method.has_budget,
            "optimizer=galerkin": self.optimizer.has_budget,
            "network=legendre or cosines": self.network.grows,
            "timestep=bounds without timestep.count": self.timestep.chooses_macro_step,
        }
        lacking = [what for what, possible in can.items() if not possible]
        if lacking:
            raise UserError(f"target needs {' and '.join(lacking)}: by these it is known and chosen")

    @classmethod
    def of(
        cls,
        problem: ProblemSettings,
        *,
        method: MethodSettings | None = None,
        network: NetworkSettings | None = None,
        optimizer: OptimizerSettings | None = None,
        timestep: TimeStepSettings | None = None,
        **further: Any,
    ) -> "RunSettings":
        """The settings that `homog-run` takes for a problem where nothing else is chosen.

        Args:
            problem: Settings of the problem.
            method: What is chosen, like those that follow; None is what `homog-run` would take.
            network: Settings of the network.
            optimizer: Settings of the optimizer.
            timestep: Settings of the time steps.
            further: Any other field.
        """
        method = Energy() if method is None else method
        companions = method.companions(nonlinear=problem.nonlinear)
        settings = cls(
            problem=problem,
            method=method,
            network=network or companions.network,
            optimizer=optimizer or companions.optimizer,
            timestep=timestep or companions.timestep,
            **{"reference": FEMReference(), "tracking": LocalTracking(), **further},
        )
        return settings.suited()

    def suited(self) -> "RunSettings":
        """The same settings, with what is left to the problem (None) chosen for this one."""
        problem, dimension = self.problem, len(self.problem.domain.lower)
        return replace(
            self,
            method=self.method.suited(nonlinear=problem.nonlinear, jumps=problem.jumps, dimension=dimension),
            reference=self.reference.suited(dimension),
            evaluation=self.evaluation.suited(dimension),
        )
