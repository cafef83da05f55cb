"""The walkers once more, plainly, in torch: equation (7), (13), (18) and (19) line by line, in double precision; and
steps that are accepted or not.

Fed by the same bits as the kernels, it is what they are tested against. It shares no code with them but the formulas.
"""

import math

import numpy as np
import torch

from homog.domains import ABSORBING, REFLECTING, Box
from homog.equation import Problem
from homog.fields.splines import Spline
from homog.formula.evaluate import at_points
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
    lower, upper = _corners(problem.domain)
    streams = Streams(key, len(start))
    x, inside = start.clone(), torch.ones(len(start), dtype=torch.bool)
    brownian = torch.zeros_like(x)
    variance = torch.zeros(len(x), d, d, dtype=torch.float64)
    reward, log_weight, duration = torch.zeros(3, len(x), dtype=torch.float64)
    fades, walls = problem.kills, problem.boundary.walls
    rest = torch.full((len(x),), steps.count, dtype=torch.float64)  # in micro steps, so that it ends at zero
    taken = 0
    while (rest > 0).any():
        share = torch.minimum(_share_of_step(steps, x), rest)
        rest = torch.where(inside, rest - share, 0.0)
        taken += int((inside & (share > 0)).sum())
        dt = (steps.micro_step * share)[:, None]
        normals, spare = _normals(streams, d)
        noise = torch.sqrt(dt) * normals  # (n * s, d)
        ratio = _ratio(problem, x, lagged)  # (n * s, d, d)
        if problem.operator.tensor is not None:
            noise = torch.einsum("nij,nj->ni", torch.linalg.cholesky(ratio), noise)
        stays, lot = torch.zeros(len(x), dtype=torch.bool), None
        if scheme.may_stay:
            lot = _uniform(streams.bits())
        chances = {
            axis: _uniform(streams.bits()) for axis in range(d) if REFLECTING in (walls.below[axis], walls.above[axis])
        }
        if lot is not None:
            way, local = _pushed(problem, x, noise, dt[:, 0], chances, ratio)
            here, there = (_coefficient(problem, place, lagged) for place in (x, _inside(problem, x + way)))
            stays = lot * here > there
            velocity = torch.zeros_like(x)
            rate = torch.from_numpy(problem.process.reward_at(x.numpy(), lagged))
        else:
            velocity, rate = _medium(problem, x, lagged)
        loss = _killing(problem, x, lagged)
        if scheme.step == "heun":
            predicted = x + velocity * dt + noise
            ahead_velocity, ahead_rate = _medium(problem, _inside(problem, predicted), lagged)
            velocity, rate = (velocity + ahead_velocity) / 2, (rate + ahead_rate) / 2
            loss = (loss + _killing(problem, _inside(problem, predicted), lagged)) / 2
        move = noise + velocity * dt if scheme.martingale == "drift" else noise
        move, local = _pushed(problem, x, move, dt[:, 0], chances, ratio)
        uniform = _uniform(spare) if scheme.exit == "bridge" else torch.ones(len(x), dtype=torch.float64)
        left, part, face, side = _leaves(problem, x, x + move, -dt[:, 0] / 2 * torch.log(uniform), ratio)
        end = x + torch.where(left, part, torch.where(stays, 0.0, 1.0))[:, None] * move
        end = torch.where(left[:, None] | torch.tensor(walls.periodic), _inside(problem, end), end)
        wall = torch.stack([lower, upper])[side.long(), face]
        end[left, face[left]] = wall[left]
        income, cost = _at_walls(problem, scheme, x, move, local, lagged)
        x = torch.where(inside[:, None], end, x)
        brownian += inside[:, None] * noise
        variance += (inside[:, None] * dt)[:, :, None] * ratio
        loss = loss * dt[:, 0]
        middle = torch.exp(log_weight - loss / 2) if fades else torch.ones_like(loss)
        gained = middle * rate * dt[:, 0]
        for pays, takes in zip(income, cost, strict=True):
            mean = torch.where(takes > 0, -torch.expm1(-takes) / takes.clamp(min=1e-300), 1.0)
            gained = gained * (1 + torch.exp(-takes)) / 2 + pays * mean * (
                torch.exp(log_weight - loss) if fades else 1.0
            )
            loss = loss + takes
        reward += torch.where(inside, gained * torch.where(left, part, 1.0), 0.0)
        duration += inside * dt[:, 0]
        if scheme.martingale == "girsanov":
            growth = (velocity * noise).sum(1) - 0.5 * dt[:, 0] * (velocity**2).sum(1)
            log_weight += torch.where(inside, growth, 0.0)
        if fades:
            log_weight -= torch.where(inside, loss * torch.where(left, part, 1.0), 0.0)
        inside = inside & ~left

    def by_axis(values: torch.Tensor) -> np.ndarray:
        return values.T.reshape(d, count, per_point).numpy()

    shape = (count, per_point)
    steps_taken = taken if steps.pace else len(start) * steps.count
    return Walk(
        by_axis(x - start), by_axis(brownian), reward.reshape(shape).numpy(), log_weight.reshape(shape).numpy(),
        duration.reshape(shape).numpy(), (~inside).reshape(shape).numpy(), steps_taken,
        None if problem.operator.tensor is None else variance.permute(1, 2, 0).reshape(d, d, *shape).numpy(),
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


def _ratio(problem: Problem, x: torch.Tensor, lagged: Spline | None) -> torch.Tensor:
    """A / a, a the mean of the diagonal of A, at x of shape (m, d); shape (m, d, d)."""
    points = x.numpy()
    u = None if lagged is None else lagged(points)
    return torch.tensor(problem.operator.tensor_at(points, u)) / _coefficient(problem, x, lagged)[:, None, None]


def _leaves(
    problem: Problem, before: torch.Tensor, after: torch.Tensor, reach: torch.Tensor, ratio: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whether a step leaves, at which share of it, by which axis and by its upper side."""
    lower, upper = _corners(problem.domain)
    distance0 = torch.stack([before - lower, upper - before], dim=2)  # (m, d, 2)
    distance1 = torch.stack([after - lower, upper - after], dim=2)
    width = ratio.diagonal(dim1=1, dim2=2)[:, :, None]
    products = (distance0 * distance1 / width).flatten(1)
    products[:, [kind != ABSORBING for kind in problem.boundary.walls.faces]] = torch.inf
    nearest, index = products.min(dim=1)
    d0 = distance0.flatten(1).gather(1, index[:, None])[:, 0]
    d1 = distance1.flatten(1).gather(1, index[:, None])[:, 0]
    return nearest < reach, d0 / (d0 + d1.abs()), index // 2, index % 2


def _inside(problem: Problem, x: torch.Tensor) -> torch.Tensor:
    """The nearest place in the box; along periodic axes the one that is the same."""
    lower, upper = _corners(problem.domain)
    around = lower + torch.remainder(x - lower, upper - lower)
    return torch.where(torch.tensor(problem.boundary.walls.periodic), around, torch.clamp(x, lower, upper))


def _pushed(
    problem: Problem, x: torch.Tensor, move: torch.Tensor, dt: torch.Tensor, chances: dict[int, torch.Tensor],
    ratio: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """A move that faces have pushed back along the conormal, and the local time at each of them, shape (m, 2 d)."""
    move, walls = move.clone(), problem.boundary.walls
    lower, upper = _corners(problem.domain)
    local = torch.zeros(len(x), 2 * x.shape[1], dtype=torch.float64)
    for axis, chance in chances.items():
        for side, sign, wall in ((0, 1.0, lower[axis]), (1, -1.0, upper[axis])):
            if walls.faces[2 * axis + side] == REFLECTING:
                off = sign * (x[:, axis] - wall)
                beyond = off + sign * move[:, axis]
                width = ratio[:, axis, axis]
                least = (off + beyond - torch.sqrt((beyond - off) ** 2 - 2 * width * dt * torch.log(chance))) / 2
                local[:, 2 * axis + side] = torch.clamp(-least, min=0) / width
                move += sign * local[:, 2 * axis + side, None] * ratio[:, axis]
    for axis in chances if problem.operator.tensor is not None else ():  # what a push along a face put beyond another
        for side, sign, wall in ((0, 1.0, lower[axis]), (1, -1.0, upper[axis])):
            if walls.faces[2 * axis + side] == REFLECTING:
                more = torch.clamp(-sign * (x[:, axis] + move[:, axis] - wall), min=0) / ratio[:, axis, axis]
                local[:, 2 * axis + side] += more
                move += sign * more[:, None] * ratio[:, axis]
    return move, local


def _at_walls(
    problem: Problem, scheme: Scheme, x: torch.Tensor, move: torch.Tensor, local: torch.Tensor, lagged: Spline | None
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """q L / a and k L / a of each face."""
    ends, income, cost = _corners(problem.domain), [], []
    for face in range(local.shape[1]):
        foot = _inside(problem, x + move / 2)
        foot[:, face // 2] = ends[face % 2][face // 2]
        coefficient = _coefficient(problem, x if scheme.may_stay else foot, lagged)
        for found, given in ((income, problem.boundary.fluxes), (cost, problem.boundary.factors)):
            rate = at_points(given[face], foot.numpy(), problem.parameters) if face in given else np.zeros(len(x))
            found.append(torch.tensor(rate) * local[:, face] / coefficient)
    return income, cost


def _corners(domain: Box) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(domain.lower, dtype=torch.float64), torch.tensor(domain.upper, dtype=torch.float64)


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
