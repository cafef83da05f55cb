"""The paper's method as one would write it in torch: single precision, one tensor operation after the other.

Equations (18) and (19) for the walkers, (14) for the loss, on the unit box with g = 0. Nothing here is homog's but the
random field's values. What has no formula, the field and the solution in a nonlinear coefficient, is read on the path
by `grid_sample`, linearly between the nodes: less work than the splines that homog's walkers read. Of the step in which
a walker leaves the reward counts in full, of homog's walkers in part: f dt / (4a) more, on average.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from homog.config import DFLM, MLP, AdamExponential, RunSettings
from homog.equation import Problem

Medium = Callable[[Tensor], tuple[Tensor, Tensor]]
"""V = grad a / (2a), shape (n, d), and f / (2a), shape (n,), at points of shape (n, d)."""
Lagged = Callable[[Tensor], Tensor]
_TABLE = 257  # nodes an axis of the table of u
_CPU = torch.device("cpu")


class TimeIsUp(Exception):
    """The deadline passed in mid-iteration."""


@dataclass(frozen=True)
class Walked:
    """What walkers bring back: X, R, log D and whether they left, one entry a walker."""

    ends: Tensor
    reward: Tensor
    log_weight: Tensor
    left: Tensor


def walk(
    medium: Medium, x: Tensor, dt: float, count: int, martingale: str, step: str, exit: str, deadline: float = math.inf
) -> Walked:
    """Walkers from x, shape (n, d), for `count` steps, on the device where x is.

    Raises:
        TimeIsUp: When `time.perf_counter` is past the deadline.
    """
    reward, log_weight = torch.zeros(len(x), device=x.device), torch.zeros(len(x), device=x.device)
    alive = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(count):
        if time.perf_counter() > deadline:
            raise TimeIsUp
        increment = math.sqrt(dt) * torch.randn_like(x)
        drift, rate = medium(x)
        if step == "heun":
            drift_ahead, rate_ahead = medium((x + drift * dt + increment).clamp(0, 1))
            drift, rate = (drift + drift_ahead) / 2, (rate + rate_ahead) / 2
        move = increment
        if martingale == "drift":
            move = move + drift * dt
        else:
            growth = (drift * increment).sum(1) - 0.5 * dt * (drift * drift).sum(1)
            log_weight = torch.where(alive, log_weight + growth, log_weight)
        there = x + move
        before, after = torch.minimum(x, 1 - x), torch.minimum(there, 1 - there)
        if exit == "bridge":
            hit = torch.rand_like(before) < torch.exp(-2 * before * after.clamp(min=0) / dt)
        else:
            hit = after < 0
        reward = torch.where(alive, reward + rate * dt, reward)
        x = torch.where(alive[:, None], there, x)
        alive = alive & ~hit.any(dim=1)
    return Walked(x, reward, log_weight, ~alive)


def medium(problem: Problem, solution: Lagged | None = None, device: torch.device = _CPU) -> Medium:
    """The medium of one of the paper's problems or of the cube, at points on a device.

    Args:
        problem: One of these.
        solution: The u of a nonlinear coefficient.
        device: Where points, tables and the solution are.

    Raises:
        ValueError: If it is another problem, or u is missing.
    """
    wave = 2 * math.pi / problem.parameters.get("eps", 1.0)
    if problem.name == "linear":
        return lambda x: _divided(*_waves(x, wave), 10.0)
    if problem.name == "cube":
        return lambda x: _divided(*_cubic_waves(x, wave), 10.0)
    if problem.name == "random_field":
        table = _field(problem, device)
        return lambda x: _divided((read := _look_up(table, x))[0], read[1:].T, _forcing(x))
    if problem.name != "nonlinear" or solution is None:
        raise ValueError(f"no eager form of {problem.name}")
    known = _tabulated(solution, device)

    def nonlinear(x: Tensor) -> tuple[Tensor, Tensor]:
        b, slope = _waves(x, wave)
        u, *slopes = _look_up(known, x)
        grad_u = torch.stack(slopes, dim=1)
        return _divided(1 + b * u * u, slope * (u * u)[:, None] + (2 * b * u)[:, None] * grad_u, 50.0)

    return nonlinear


def _divided(a: Tensor, slope: Tensor, forcing: float | Tensor) -> tuple[Tensor, Tensor]:
    return slope / (2 * a[:, None]), forcing / (2 * a)


def _waves(x: Tensor, wave: float) -> tuple[Tensor, Tensor]:
    """1 + 0.9 sin(wave x1) cos(wave x2) and its gradient."""
    s1, c1 = torch.sin(wave * x[:, 0]), torch.cos(wave * x[:, 0])
    s2, c2 = torch.sin(wave * x[:, 1]), torch.cos(wave * x[:, 1])
    return 1 + 0.9 * s1 * c2, 0.9 * wave * torch.stack([c1 * c2, -s1 * s2], dim=1)


def _cubic_waves(x: Tensor, wave: float) -> tuple[Tensor, Tensor]:
    """1 + 0.9 sin(wave x1) sin(wave x2) sin(wave x3) and its gradient."""
    s1, s2, s3 = torch.sin(wave * x).T
    c1, c2, c3 = torch.cos(wave * x).T
    return 1 + 0.9 * s1 * s2 * s3, 0.9 * wave * torch.stack([c1 * s2 * s3, s1 * c2 * s3, s1 * s2 * c3], dim=1)


def _forcing(x: Tensor) -> Tensor:
    return 100 * torch.sin(4 * math.pi * x[:, 0] + 6 * math.pi * x[:, 1] ** 2)


def _look_up(table: Tensor, x: Tensor) -> Tensor:
    """A table of shape (3, nodes, nodes) on the unit square at points; shape (3, n)."""
    where = (2 * x - 1).flip(1)[None, None]  # grid_sample counts the last axis first
    return nn.functional.grid_sample(table[None], where, align_corners=True, padding_mode="border")[0, :, 0]


def _tabulated(solution: Lagged, device: torch.device) -> Tensor:
    """u and its slopes on a grid."""
    axis = torch.linspace(0, 1, _TABLE, device=device)
    with torch.no_grad():
        u = solution(torch.cartesian_prod(axis, axis)).reshape(_TABLE, _TABLE)
    return torch.stack([u, *torch.gradient(u, spacing=1 / (_TABLE - 1))])


@cache
def _field(problem: Problem, device: torch.device) -> Tensor:
    """A random field and its slopes on the nodes it was made on."""
    assert problem.operator.field is not None
    grid = problem.domain.grid(problem.operator.field.intervals[0] + 1)
    values = np.concatenate([problem.operator.field(grid)[..., None], problem.operator.field.gradient(grid)], axis=-1)
    return torch.from_numpy(values).float().movedim(-1, 0).contiguous().to(device)


class EagerRecipe:
    """The paper's training to the letter, in plain torch.

    Args:
        settings: Settings of a preset of the paper.
        problem: What is solved.
        dt: Micro step.
        count: Micro steps in a macro step.
        seed: Seed of everything drawn; on each device other numbers come of it.
        device: Where everything is drawn and computed.
    """

    def __init__(
        self,
        settings: RunSettings,
        problem: Problem,
        dt: float,
        count: int,
        seed: int = 0,
        device: torch.device = _CPU,
    ) -> None:
        method, network, optimizer = settings.method, settings.network, settings.optimizer
        assert isinstance(method, DFLM)
        assert isinstance(network, MLP)
        assert isinstance(optimizer, AdamExponential)
        torch.manual_seed(seed)  # of every device
        self.method, self.problem, self.optimizer, self.dt, self.count = method, problem, optimizer, dt, count
        self._device = device
        layers: list[nn.Module] = []
        sizes = [2, *[network.width] * network.depth, 1]
        for fan_in, fan_out in itertools.pairwise(sizes):
            layer = nn.Linear(fan_in, fan_out, device=device)
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self.network = nn.Sequential(*layers[:-1], nn.Flatten(-2))
        first, second = optimizer.betas
        self._adam = torch.optim.Adam(self.network.parameters(), lr=optimizer.learning_rate, betas=(first, second))
        self._iteration = 0

    def targets(self, points: Tensor, deadline: float = math.inf) -> Tensor:
        """E[(u(X) + R) D] at points (16), u replaced by g = 0 where a walker left; shape (n, s) before the mean."""
        method = self.method
        starts = points.repeat_interleave(method.per_point, dim=0)
        with torch.no_grad():
            around = medium(self.problem, self.network if self.problem.operator.nonlinear else None, self._device)
            assert method.step is not None
            scheme = method.martingale, method.step, method.exit
            walked = walk(around, starts, self.dt, self.count, *scheme, deadline)
            reached = torch.where(walked.left, 0.0, self.network(walked.ends))
            return ((reached + walked.reward) * walked.log_weight.exp()).reshape(len(points), method.per_point)

    def iterate(self, deadline: float = math.inf) -> None:
        """One iteration.

        Raises:
            TimeIsUp: When `time.perf_counter` is past the deadline while walkers walk.
        """
        points = torch.rand(self.method.points, 2, device=self._device)
        target = self.targets(points, deadline).mean(1)
        edge = torch.rand(self.method.boundary_points, 2, device=self._device)
        rows = torch.arange(len(edge), device=self._device)
        face = rows % 4
        edge[rows, face // 2] = (face % 2).float()
        loss = ((self.network(points) - target) ** 2).mean() + (self.network(edge) ** 2).mean()
        for group in self._adam.param_groups:
            group["lr"] = self.optimizer.learning_rate * self.optimizer.gamma ** (self._iteration / 1000)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._iteration += 1
