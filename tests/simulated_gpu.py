"""Walkers in Numba's simulator of CUDA: `python tests/simulated_gpu.py FOLDER` walks all cases and saves them there.

In a process of its own: the simulator, in which kernels are plain Python on NumPy arrays, is chosen when Numba is
first imported.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from homog import equation
from homog.config import BoundsTimeStep, DomainSettings, FormulaProblem
from homog.equation import Problem
from homog.equation.coefficient import read
from homog.fields.splines import interpolate
from homog.losses.lagged import LaggedOnDevice
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Lagged, Scheme, Walk, Walkers, placed, point_keys, stream_key, walk
from homog.walkers.batch import Batch, Found
from homog.walkers.kernel import cuda_source
from homog.walkers.lookup import Table
from homog.walkers.on_cuda import launch

EPS = 0.1
POINTS, PER_POINT = 8, 3
KEY, NEXT_KEY = stream_key(5, 2), stream_key(5, 3)


class SimulatedGpu:
    """What `homog.walkers.on_cuda.Cuda` is, with NumPy's memory for the device's."""

    source = staticmethod(cuda_source)

    def hold(self, table: Table) -> tuple[Any, ...]:
        coefficients, *rest = table.arguments
        return placed(coefficients).numpy(), *rest

    def run(self, kernel: Any, batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]) -> Found:
        found = np.empty((Found.rows(batch), batch.walkers), dtype=np.float32)
        left = np.empty(batch.walkers, dtype=np.bool_)
        launch(kernel, batch, constants, [batch.places, batch.keys.view(np.int64), found, left], tables, 0)
        return Found.of(batch, found, left)


class Bump(nn.Module):
    """2 sin(pi x1) ... sin(pi xd), as a network."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.height * torch.sin(torch.pi * x).prod(-1)


@dataclass(frozen=True)
class Case:
    """A problem on the unit cube, as other tests have it, and a scheme.

    With `table_there` walkers on a GPU read a table of u that PyTorch makes; else NumPy makes it. A field is a spline
    of the given degree, on the domain or in a cell of the given side that is repeated.
    """

    coefficient: Any
    dimension: int
    scheme: Scheme
    forcing: str = "10"
    table_there: bool = False
    degree: int = 3
    side: float | None = None
    reaction: str = "0"
    boundary: Any = "0"

    @property
    def problem(self) -> Problem:
        box = DomainSettings(lower=[0.0] * self.dimension, upper=[1.0] * self.dimension)
        made = {
            "name": "p",
            "forcing": self.forcing,
            "reaction": self.reaction,
            "domain": box,
            "boundary": self.boundary,
        }
        if "field" not in str(self.coefficient):
            return equation.build(FormulaProblem(coefficient=self.coefficient, **made), EPS)
        plain = equation.build(FormulaProblem(coefficient="1", **made), EPS)
        nodes = plain.domain.grid(17)[(slice(-1),) * self.dimension]
        values = np.sin(4 * np.pi * nodes).sum(-1) / self.dimension
        upper = plain.domain.upper if self.side is None else (self.side,) * self.dimension
        tiled = self.side is not None
        field = interpolate(values, plain.domain.lower, upper, periodic=True, degree=self.degree, tiled=tiled)
        known, tensor = read(self.coefficient, plain.parameters, ("u", "field"), nodes.reshape(-1, self.dimension))
        return plain.but(operator=replace(plain.operator, coefficient=known, field=field, tensor=tensor), cell=None)

    @property
    def steps(self) -> TimeSteps:
        return time_steps(BoundsTimeStep(macro_factor=1.0), self.dimension, EPS)

    def walk(self, cache: Path, device: str, points: np.ndarray, key: Any) -> Walk:
        problem = self.problem
        walkers = Walkers(problem, self.scheme, cache, torch.device(device))
        u = self.solution(problem, torch.device("cpu") if device == "cuda" else None)  # where the simulator has it
        return walkers.walk(points, PER_POINT, self.steps, key, u)

    def solution(self, problem: Problem, device: torch.device | None) -> Lagged | None:
        """The u that walkers of a nonlinear problem read: on the host, or with `table_there` on a device."""
        if not problem.operator.reads_u:
            return None
        if self.table_there and device is not None:
            return LaggedOnDevice(problem.domain, 17, device)(Bump().to(device))
        nodes = problem.domain.grid(17)
        return interpolate(2 * np.sin(np.pi * nodes).prod(-1), problem.domain.lower, problem.domain.upper)

    def points(self, seed: int) -> np.ndarray:
        """Two of them in the middle, half of the others within half a period of a face."""
        domain, random = self.problem.domain, np.random.default_rng(seed)
        edge = domain.sample_boundary(POINTS // 2 - 1, random)
        middle = np.full((2, self.dimension), 0.5)
        return np.concatenate(
            [np.clip(edge, 0.05 * EPS, 1 - 0.05 * EPS), middle, domain.sample(POINTS // 2 - 1, random)]
        )


NONLINEAR = "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2"
LINEAR = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
STEEP = "exp(60*x1 - 3*x2)*(2 + sin(2*pi*x1/eps) + erf(x1 - x2))/(1 + exp(200*(x2 - 0.5)))"
CUBE = "1 + 0.9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)"
MATRIX = [
    ["1.2 + 0.7*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "0.35*cos(2*pi*(x1 + x2)/eps)"],
    ["0.35*cos(2*pi*(x1 + x2)/eps)", "0.9 + 0.4*sin(2*pi*(x1 - x2)/eps)"],
]
DIAGONAL = ["1.5 + sin(2*pi*x1/eps)", "exp(cos(2*pi*x2/eps))", "4"]
JUMPS = "where(mod(x1, eps) < 0.4*eps, 10, 1) + mod(floor(2*x2/eps), 2)"
STAY = Scheme("drift", "metropolis", "bridge")
LOSES = {"robin": {"factor": "30*(1 + x2)", "flux": "5"}}
WALLS = {"x1-": {"flux": "1 + x2"}, "x1+": LOSES, "x2": {"value": "x1"}}
CASES = {
    "linear": Case(LINEAR, 2, Scheme("drift", "heun", "bridge")),
    "linear, weighed": Case(LINEAR, 2, Scheme("girsanov", "euler", "bridge")),
    "linear, two draws a step": Case(LINEAR, 2, Scheme("drift", "heun", "bridge", draws=2)),
    "kinked": Case("1 + abs(sin(2*pi*x1/eps))*max(cos(2*pi*x2/eps), -0.5)", 2, Scheme("drift", "heun", "bridge")),
    "laminate": Case("1 + 0.5*sin(2*pi*x1/eps)", 1, Scheme("drift", "euler", "clip"), "sin(4*pi*x1 + 6*pi*x1**2)"),
    "cube": Case(CUBE, 3, Scheme("drift", "heun", "bridge")),
    "nonlinear": Case(NONLINEAR, 2, Scheme("drift", "heun", "bridge"), "50"),
    "nonlinear, table of the GPU": Case(NONLINEAR, 2, Scheme("drift", "heun", "bridge"), "50", table_there=True),
    "nonlinear, weighed": Case(NONLINEAR, 2, Scheme("girsanov", "euler", "bridge"), "50", table_there=True),
    "field": Case("1.5 + field", 2, Scheme("girsanov", "euler", "bridge"), "10 + x1"),
    "linear field": Case("1.5 + field", 2, Scheme("drift", "heun", "bridge"), "10 + x1", degree=1),
    "repeated field": Case("1.5 + field", 2, Scheme("drift", "heun", "bridge"), "10 + x1", side=0.3),
    "jumps": Case(JUMPS, 2, STAY),
    "jumps, four draws a step": Case(JUMPS, 2, replace(STAY, draws=4)),
    "jumps of a field": Case("where(field > 0.2, 10, 1 + x1)", 2, STAY, "10 + x1"),
    "beyond single precision": Case(
        STEEP, 2, Scheme("drift", "heun", "bridge"), "exp(60*x1)/(1 + exp(200*(x2 - 0.5)))"
    ),
    "reaction": Case(LINEAR, 2, Scheme("drift", "heun", "bridge"), reaction="300*x1 + sin(x2)**2"),
    "reaction, Euler steps": Case("2 + sin(2*pi*x1/eps)", 1, Scheme("drift", "euler", "clip"), reaction="200"),
    "reaction and jumps": Case(JUMPS, 2, STAY, "1 + x1", reaction="500*(1 + sin(2*pi*x1/eps))"),
    "reaction and a field": Case("1.5 + field", 2, Scheme("drift", "heun", "bridge"), "10 + x1", reaction="200*x2"),
    "reaction and jumps of a field": Case("where(field > 0.2, 10, 1 + x1)", 2, STAY, "10 + x1", reaction="300*x2"),
    "reaction beyond single precision": Case(
        STEEP,
        2,
        Scheme("drift", "heun", "bridge"),
        "exp(60*x1)/(1 + exp(200*(x2 - 0.5)))",
        reaction="300*exp(60*x1)/(1 + exp(200*(x2 - 0.5)))",
    ),
    "walls": Case(LINEAR, 2, Scheme("drift", "heun", "bridge"), boundary=WALLS),
    "walls, Euler steps": Case(LINEAR, 2, Scheme("drift", "euler", "clip"), reaction="100", boundary=WALLS),
    "walls and jumps": Case(JUMPS, 2, STAY, boundary=WALLS),
    "walls and a field": Case("1.5 + field", 2, Scheme("drift", "heun", "bridge"), boundary=WALLS),
    "walls and jumps of a field": Case("where(field > 0.2, 10, 1 + x1)", 2, STAY, boundary=WALLS),
    "periodic": Case(
        LINEAR, 2, Scheme("drift", "heun", "bridge"), boundary={"x1": "periodic", "x2-": LOSES, "x2+": {"value": 0}}
    ),
    "periodic jumps": Case(JUMPS, 2, STAY, boundary={"x1": "periodic", "x2": {"value": 0}}),
    "a reaction of u": Case(LINEAR, 2, Scheme("drift", "heun", "bridge"), "50 - exp(u)", reaction="30*u**2"),
    "a reaction of u, table of the GPU": Case(
        LINEAR, 2, Scheme("drift", "heun", "bridge"), "50", reaction="30*u**2", boundary=WALLS, table_there=True
    ),
    "matrix": Case(MATRIX, 2, Scheme("drift", "heun", "bridge"), reaction="30*x1"),
    "matrix and walls": Case(MATRIX, 2, Scheme("drift", "heun", "bridge"), boundary=WALLS),
    "matrix, Euler steps along a path": Case(MATRIX, 2, Scheme("drift", "euler", "clip", draws=2)),
    "diagonal matrix": Case(
        DIAGONAL, 3, Scheme("drift", "heun", "bridge"), boundary={"x1-": LOSES, "x2": "periodic", "all": {"value": 0}}
    ),
    "matrix of u and a field": Case(
        [["1.5 + field", "0.4*sin(u)"], ["0.4*sin(u)", "exp(field)"]], 2, Scheme("drift", "heun", "bridge"), "10 + x1"
    ),
    "nonlinear field": Case("exp(field)*(1 + x1*u**2)", 2, Scheme("drift", "heun", "bridge"), "10 + x1"),
}
ARRAYS = ("displacement", "brownian", "reward", "log_weight", "duration", "left", "variance")


def arrays_of(found: Walk) -> dict[str, Any]:
    """What walkers brought back."""
    arrays = {array: getattr(found, array) for array in ARRAYS}
    return {array: values for array, values in arrays.items() if values is not None}


def require_same_walks(found: Any, exact: Any) -> None:
    """Two walks of a case's walkers by different code: the same exits, and the same numbers up to rounding."""
    np.testing.assert_array_equal(found.left, exact.left)
    assert 0.1 < found.left.mean() < 0.9
    # single precision, 6e-8, over 36 to 108 steps; neighbouring paths may part by a factor of up to e^5
    np.testing.assert_allclose(found.displacement / EPS, exact.displacement / EPS, atol=1e-4)
    np.testing.assert_allclose(found.brownian / EPS, exact.brownian / EPS, atol=6e-6)
    np.testing.assert_allclose(found.duration, exact.duration, rtol=1e-6)
    np.testing.assert_allclose(found.reward, exact.reward, atol=2e-5 * np.abs(exact.reward).max())
    np.testing.assert_allclose(found.log_weight, exact.log_weight, atol=1e-4)
    assert (found.variance is None) == (exact.variance is None)
    if found.variance is not None:
        np.testing.assert_allclose(found.variance, exact.variance, atol=2e-5 * exact.variance.max())


def main(folder: Path) -> None:
    walk.Cuda = lambda device: SimulatedGpu()
    for name, case in CASES.items():
        points, next_points = case.points(1), case.points(2)
        keys = [point_keys(key, POINTS, PER_POINT) for key in (KEY, NEXT_KEY)]
        both = case.walk(folder, "cuda", np.concatenate([points, next_points]), np.concatenate(keys))
        np.savez(folder / f"{name}.npz", **arrays_of(both))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
