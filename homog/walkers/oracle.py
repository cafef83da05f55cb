"""The walkers once more, plainly, in torch: equation (7), (13), (18) and (19) line by line, in double precision; and
steps that are accepted or not.

Fed by the same bits as the kernels, it is what they are tested against. It shares no code with them but the formulas.
"""

import math

import numpy as np
import torch

from homog.equation import Problem
from homog.fields.splines import Spline
from homog.timesteps.timestep import TimeSteps
from homog.walkers.step import Scheme
from homog.walkers.streams import Streams, spare_bits
from homog.walkers.walk import Walk


def walk(
    problem: Problem,
    scheme: Scheme,
    points: np.ndarray,
    per_point: int,
    steps: TimeSteps,
    key: np.uint64,
    lagged: Spline | None = None,
) -> Walk:
    """The same as `Walkers.walk`, slowly."""
    count, d = points.shape
    start = torch.from_numpy(points).repeat_interleave(per_point, dim=0)  # (n * s, d)
    lower, upper = (
        torch.tensor(corner, dtype=torch.float64) for corner in (problem.domain.lower, problem.domain.upper)
    )
    streams = Streams(key, len(start))
    x, inside = start.clone(), torch.ones(len(start), dtype=torch.bool)
    brownian = torch.zeros_like(x)
    reward, log_weight, duration = torch.zeros(3, len(x), dtype=torch.float64)
    kills = problem.operator.reaction is not None
    rest = torch.full((len(x),), steps.count, dtype=torch.float64)  # in micro steps, so that it ends at zero
    taken = 0
    while (rest > 0).any():
        share = torch.minimum(_share_of_step(steps, x), rest)
        rest = torch.where(inside, rest - share, 0.0)
        taken += int((inside & (share > 0)).sum())
        dt = (steps.micro_step * share)[:, None]
        normals, spare = _normals(streams, d)
        noise = torch.sqrt(dt) * normals  # (n * s, d)
        stays = torch.zeros(len(x), dtype=torch.bool)
        if scheme.may_stay:
            here, there = (_coefficient(problem, place, lagged) for place in (x, torch.clamp(x + noise, lower, upper)))
            stays = _uniform(streams.bits()) * here > there
            velocity, rate = torch.zeros_like(x), torch.tensor(problem.operator.forcing_at(x.numpy())) / (2 * here)
        else:
            velocity, rate = _medium(problem, x, lagged)
        loss = _killing(problem, x, lagged)
        if scheme.step == "heun":
            predicted = x + velocity * dt + noise
            ahead_velocity, ahead_rate = _medium(problem, torch.clamp(predicted, lower, upper), lagged)
            velocity, rate = (velocity + ahead_velocity) / 2, (rate + ahead_rate) / 2
            loss = (loss + _killing(problem, torch.clamp(predicted, lower, upper), lagged)) / 2
        move = noise + velocity * dt if scheme.martingale == "drift" else noise
        uniform = _uniform(spare) if scheme.exit == "bridge" else torch.ones(len(x), dtype=torch.float64)
        left, part, face, side = _leaves(x, x + move, lower, upper, -dt[:, 0] / 2 * torch.log(uniform))
        end = x + torch.where(left, part, torch.where(stays, 0.0, 1.0))[:, None] * move
        end = torch.where(left[:, None], torch.clamp(end, lower, upper), end)
        wall = torch.stack([lower, upper])[side.long(), face]
        end[left, face[left]] = wall[left]
        x = torch.where(inside[:, None], end, x)
        brownian += inside[:, None] * noise
        loss = loss * dt[:, 0]
        middle = torch.exp(log_weight - loss / 2) if kills else torch.ones_like(loss)
        reward += torch.where(inside, middle * rate * dt[:, 0] * torch.where(left, part, 1.0), 0.0)
        duration += inside * dt[:, 0]
        if scheme.martingale == "girsanov":
            growth = (velocity * noise).sum(1) - 0.5 * dt[:, 0] * (velocity**2).sum(1)
            log_weight += torch.where(inside, growth, 0.0)
        if kills:
            log_weight -= torch.where(inside, loss * torch.where(left, part, 1.0), 0.0)
        inside = inside & ~left

    def by_axis(values: torch.Tensor) -> np.ndarray:
        return values.T.reshape(d, count, per_point).numpy()

    shape = (count, per_point)
    steps_taken = taken if steps.pace else len(start) * steps.count
    return Walk(
        by_axis(x - start), by_axis(brownian), reward.reshape(shape).numpy(), log_weight.reshape(shape).numpy(),
        duration.reshape(shape).numpy(), (~inside).reshape(shape).numpy(), steps_taken,
    )  # fmt: skip


def _share_of_step(steps: TimeSteps, x: torch.Tensor) -> torch.Tensor:
    """The length of the next step from x of shape (m, d), in micro steps."""
    pace = steps.pace
    if pace is None:
        return torch.ones(len(x), dtype=torch.float64)
    cells = np.array(pace.longest.shape)
    cell = np.floor((x.numpy() - pace.lower) / np.subtract(pace.upper, pace.lower) * cells).astype(int)
    cell = cell % cells if pace.periodic else np.clip(cell, 0, cells - 1)
    longest = pace.longest[tuple(cell.T)] / np.float32(steps.micro_step)  # rounded as in the kernel
    return torch.from_numpy(np.minimum(longest, 1.0).astype(np.float64))


def _medium(problem: Problem, x: torch.Tensor, lagged: Spline | None) -> tuple[torch.Tensor, torch.Tensor]:
    """V = grad a / (2a) and f / (2a) at x of shape (m, d)."""
    points, process = x.numpy(), problem.process
    return torch.from_numpy(process.drift_at(points, lagged)), torch.from_numpy(process.reward_at(points, lagged))


def _killing(problem: Problem, x: torch.Tensor, lagged: Spline | None) -> torch.Tensor:
    """c / (2a) at x of shape (m, d)."""
    return torch.tensor(problem.process.killing_at(x.numpy(), lagged))


def _coefficient(problem: Problem, x: torch.Tensor, lagged: Spline | None) -> torch.Tensor:
    """a at x of shape (m, d)."""
    points = x.numpy()
    return torch.tensor(problem.operator.coefficient_at(points, None if lagged is None else lagged(points)))


def _leaves(
    before: torch.Tensor, after: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor, reach: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whether a step leaves, at which share of it, by which axis and by its upper side."""
    distance0 = torch.stack([before - lower, upper - before], dim=2)  # (m, d, 2)
    distance1 = torch.stack([after - lower, upper - after], dim=2)
    products = (distance0 * distance1).flatten(1)
    nearest, index = products.min(dim=1)
    d0 = distance0.flatten(1).gather(1, index[:, None])[:, 0]
    d1 = distance1.flatten(1).gather(1, index[:, None])[:, 0]
    return nearest < reach, d0 / (d0 + d1.abs()), index // 2, index % 2


def _normals(streams: Streams, dimension: int) -> tuple[torch.Tensor, np.ndarray]:
    """Normal numbers (n * s, d) by Box and Muller, and the bits that are left for the exit test."""
    columns = []
    pairs = [(streams.bits(), streams.bits()) for _ in range((dimension + 1) // 2)]
    for first, second in pairs:
        radius = torch.sqrt(-2 * torch.log(_uniform(first)))
        angle = 2 * math.pi * torch.from_numpy(second.view(np.int32).astype(np.float64) * 2.0**-32)
        columns += [radius * torch.cos(angle), radius * torch.sin(angle)]
    return torch.stack(columns[:dimension], dim=1), spare_bits(*pairs[-1])


def _uniform(bits: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(((bits >> np.uint32(8)).astype(np.float64) + 1) * 2.0**-24)
