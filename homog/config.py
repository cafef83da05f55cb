"""The schema: every setting of a run, its type, its default and its range.

Plain dataclasses without behaviour, so that a typing error is answered before anything heavy is imported. `conf/`
holds the same settings as YAML; Hydra merges the two, and each room dispatches on the dataclass it is handed.
A new kind of problem, policy, method, network or optimizer begins with its dataclass here.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from math import isfinite

from homog.errors import UserError

MISSING = "???"  # what OmegaConf takes for 'must be given'


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise UserError(f"{name}={value} is out of range: write {wanted}")


def _positive(name: str, value: float) -> None:
    _require(isfinite(value) and value > 0, name, value, "a positive number")


def _at_least(name: str, value: float, least: float) -> None:
    _require(isfinite(value) and value >= least, name, value, f"a number of at least {least}")


def _one_of(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise UserError(f"{name}={value} is unknown: write one of {', '.join(choices)}")


# --- the problem ------------------------------------------------------------------------------------------------


@dataclass
class DomainSettings:
    """A box: its lower and upper corner, one number an axis."""

    lower: list[float] = field(default_factory=lambda: [0.0, 0.0])
    upper: list[float] = field(default_factory=lambda: [1.0, 1.0])

    def __post_init__(self) -> None:
        _require(1 <= len(self.lower) <= 3, "problem.domain.lower", self.lower, "one to three numbers")
        _require(
            len(self.lower) == len(self.upper),
            "problem.domain.upper",
            self.upper,
            "as many numbers as in lower",
        )
        for low, high in zip(self.lower, self.upper, strict=True):
            _require(isfinite(high - low) and low < high, "problem.domain.upper", self.upper, "numbers above lower")


@dataclass
class ProblemSettings:
    """Base of the problems."""

    name: str = MISSING


@dataclass
class FormulaProblem(ProblemSettings):
    """-div(a grad u) = f in a box, u = g on its boundary (equation 15), all three written as formulas.

    The formulas may use x1, x2, x3 (as many as the domain has axes), eps, pi and the names in `parameters`.
    """

    coefficient: str = MISSING
    forcing: str = MISSING
    boundary: str = "0"
    period: str = "eps"
    parameters: dict[str, float] = field(default_factory=dict)
    domain: DomainSettings = field(default_factory=DomainSettings)


# --- time steps -------------------------------------------------------------------------------------------------


@dataclass
class TimeStepSettings:
    """Base of the time-step policies; `eps` and `m0` enter the bounds that every policy is held against."""

    eps: float = MISSING  # type: ignore[assignment]
    m0: float = 12.0

    def __post_init__(self) -> None:
        _positive("eps", self.eps)
        _at_least("timestep.m0", self.m0, 1)


@dataclass
class BoundsTimeStep(TimeStepSettings):
    """dt at its upper bound (21); Dt = macro_factor times its lower bound (23), or K = `count` micro steps."""

    macro_factor: float = 1.0
    count: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("timestep.macro_factor", self.macro_factor)
        if self.count is not None:
            _at_least("timestep.count", self.count, 1)


@dataclass
class FixedTimeStep(TimeStepSettings):
    """dt and Dt as given; Dt is rounded to a whole number of micro steps."""

    micro_step: float = MISSING  # type: ignore[assignment]
    macro_step: float = MISSING  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("timestep.micro_step", self.micro_step)
        _require(
            isfinite(self.macro_step) and self.macro_step >= self.micro_step,
            "timestep.macro_step",
            self.macro_step,
            f"at least micro_step ({self.micro_step})",
        )


@dataclass
class RatioTimeStep(TimeStepSettings):
    """The ratio dt/Dt and one of the two steps, as in the sweeps of Fig. 2 (Dt fixed) and Fig. 3 (dt fixed)."""

    ratio: float = MISSING  # type: ignore[assignment]
    micro_step: float | None = None
    macro_step: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 < self.ratio <= 1, "timestep.ratio", self.ratio, "a number dt/Dt in (0, 1]")
        if (self.micro_step is None) == (self.macro_step is None):
            raise UserError("timestep=ratio needs exactly one of timestep.micro_step and timestep.macro_step")
        _positive("timestep step", self.micro_step or self.macro_step or 0.0)


# --- the method -------------------------------------------------------------------------------------------------


@dataclass
class MethodSettings:
    """Base of the methods."""


@dataclass
class DFLM(MethodSettings):
    """The derivative-free loss (equations 9 to 14) and the walkers that feed it."""

    points: int = 400  # N_r
    walkers: int = 300  # N_s, per point
    boundary_points: int = 400  # N_b, with boundary=penalty
    martingale: str = "girsanov"
    step: str = "euler"
    exit: str = "bridge"
    estimator: str = "plain"
    boundary: str = "penalty"

    def __post_init__(self) -> None:
        _at_least("method.points", self.points, 1)
        _at_least("method.walkers", self.walkers, 1)
        _at_least("method.boundary_points", self.boundary_points, 1)
        _one_of("method.martingale", self.martingale, ("girsanov", "drift"))
        _one_of("method.step", self.step, ("euler", "heun"))
        _one_of("method.exit", self.exit, ("bridge", "clip"))
        _one_of("method.estimator", self.estimator, ("plain", "control_variate", "gradient"))
        _one_of("method.boundary", self.boundary, ("penalty", "ansatz"))
        if self.step == "heun" and self.martingale != "drift":
            raise UserError("method.step=heun needs method.martingale=drift: girsanov walkers have no drift to average")


# --- network and optimizer --------------------------------------------------------------------------------------


@dataclass
class NetworkSettings:
    """Base of the networks."""


@dataclass
class MLP(NetworkSettings):
    """A multilayer perceptron with `depth` hidden layers of `width` units.

    The domain is mapped to [-scale, scale]^d before the first layer; None leaves the coordinates as they are. The first
    biases start uniform in [-spread, spread], the others at zero.
    """

    depth: int = 4
    width: int = 200
    activation: str = "relu"
    scale: float | None = None
    spread: float = 0.0

    def __post_init__(self) -> None:
        _at_least("network.depth", self.depth, 1)
        _at_least("network.width", self.width, 1)
        _one_of("network.activation", self.activation, ("relu", "tanh", "gelu", "silu"))
        if self.scale is not None:
            _positive("network.scale", self.scale)
        _at_least("network.spread", self.spread, 0)


@dataclass
class OptimizerSettings:
    """Base of the optimizers: Adam, which a schedule of the learning rate completes."""

    iterations: int = MISSING  # type: ignore[assignment]
    learning_rate: float = MISSING  # type: ignore[assignment]
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    average: float = 0.0

    def __post_init__(self) -> None:
        _at_least("optimizer.iterations", self.iterations, 1)
        _positive("optimizer.learning_rate", self.learning_rate)
        _require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "optimizer.betas",
            self.betas,
            "two numbers in [0, 1)",
        )
        _require(0 <= self.average < 1, "optimizer.average", self.average, "a share of the iterations in [0, 1)")


@dataclass
class AdamExponential(OptimizerSettings):
    """Adam with the paper's schedule: learning_rate * gamma^(n / 1000) at iteration n (section 4)."""

    gamma: float = MISSING  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 < self.gamma <= 1, "optimizer.gamma", self.gamma, "a number in (0, 1]")


@dataclass
class AdamCosine(OptimizerSettings):
    """Adam with a cosine schedule from learning_rate down to learning_rate * final."""

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 <= self.final <= 1, "optimizer.final", self.final, "a number in [0, 1]")


# --- references and evaluation ----------------------------------------------------------------------------------


@dataclass
class ReferenceSettings:
    """Base of the references: what the network is held against."""


@dataclass
class FEMReference(ReferenceSettings):
    """u_eps by dolfinx with a convergence estimate, and the homogenised and mean-coefficient solutions.

    Cells are refined to `min_cells` on the longest side (in one dimension to its square, in three to an eighth).
    `max_unknowns` is meant for degree 4 in two dimensions, where an unknown takes 0.9 kB; elsewhere it bounds as many
    entries of the matrix.
    """

    degree: int = 4
    cells_per_period: float = 4.0
    min_cells: int = 120
    max_unknowns: int = 12_000_000

    def __post_init__(self) -> None:
        _require(1 <= self.degree <= 8, "reference.degree", self.degree, "a polynomial degree from 1 to 8")
        _positive("reference.cells_per_period", self.cells_per_period)
        _at_least("reference.min_cells", self.min_cells, 1)
        _at_least("reference.max_unknowns", self.max_unknowns, 1)


@dataclass
class HomogenizedReference(ReferenceSettings):
    """u_0 from the cell problem and u_mean alone: for an eps that no mesh resolves."""


@dataclass
class EvaluationSettings:
    """Where and how often errors are measured: on `grid` equidistant points an axis, every `every` iterations."""

    grid: int = 501
    every: int = 100

    def __post_init__(self) -> None:
        _at_least("evaluation.grid", self.grid, 3)
        _at_least("evaluation.every", self.every, 1)


# --- tracking ---------------------------------------------------------------------------------------------------


@dataclass
class TrackingSettings:
    """Base of the tracking choices."""


@dataclass
class LocalTracking(TrackingSettings):
    """An SQLite store of MLflow in HOMOG_HOME."""

    experiment: str = "homog"


@dataclass
class ServerTracking(TrackingSettings):
    """An MLflow server."""

    uri: str = MISSING
    experiment: str = "homog"


@dataclass
class NoTracking(TrackingSettings):
    """metrics.jsonl in the run's folder, and nothing else."""


# --- the run ----------------------------------------------------------------------------------------------------


@dataclass
class RunSettings:
    """One run: what `conf/config.yaml` and its groups compose to."""

    problem: ProblemSettings = MISSING  # type: ignore[assignment]
    timestep: TimeStepSettings = MISSING  # type: ignore[assignment]
    method: MethodSettings = MISSING  # type: ignore[assignment]
    network: NetworkSettings = MISSING  # type: ignore[assignment]
    optimizer: OptimizerSettings = MISSING  # type: ignore[assignment]
    reference: ReferenceSettings = MISSING  # type: ignore[assignment]
    tracking: TrackingSettings = MISSING  # type: ignore[assignment]
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    eps: float = MISSING  # type: ignore[assignment]
    device: str = "auto"
    seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        _positive("eps", self.eps)
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        _require(0 <= self.seed < 2**63, "seed", self.seed, "a whole number from 0 to 2^63 - 1")
