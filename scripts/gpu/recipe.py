"""Iterations a second of the paper's recipe, and of the same in straightforward eager PyTorch."""

import itertools
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from gpu.findings import Deadline, Findings
from gpu.runs import Run
from homog import problems, runner
from homog.config import DFLM, MLP, RunSettings
from homog.timestep import TimeSteps, time_steps

CASES = {f"paper/linear_{eps}": (f"experiment=paper/linear_{eps}",) for eps in ("0.05", "0.01")}
_BLOCKS = 5


def eager_target(
    u: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor, settings: RunSettings, steps: TimeSteps
) -> torch.Tensor:
    """The mean of (u(X) + R) D over the walkers of each point (16), u zero on the boundary; shape (n,)."""
    assert isinstance(settings.method, DFLM)
    dt, wave = steps.micro_step, 2 * math.pi / settings.eps
    x = points.repeat_interleave(settings.method.walkers, dim=0)  # (n * s, 2)
    reward, log_weight = torch.zeros(2, len(x), device=x.device)
    alive = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(steps.count):
        s1, c1 = torch.sin(wave * x[:, 0]), torch.cos(wave * x[:, 0])
        s2, c2 = torch.sin(wave * x[:, 1]), torch.cos(wave * x[:, 1])
        a = 1 + 0.9 * s1 * c2
        drift = 0.9 * wave * torch.stack([c1 * c2, -s1 * s2], dim=1) / (2 * a[:, None])
        move = math.sqrt(dt) * torch.randn_like(x)
        after = x + move
        share = torch.where(after < 0, -x / move, torch.where(after > 1, (1 - x) / move, 1.0)).min(dim=1).values
        growth = (drift * move).sum(1) - 0.5 * (drift**2).sum(1) * dt
        log_weight = torch.where(alive, log_weight + growth, log_weight)
        reward = torch.where(alive, reward + share * 10 / (2 * a) * dt, reward)
        x = torch.where(alive[:, None], x + share[:, None] * move, x)
        alive = alive & (share == 1)
    value = torch.where(alive, u(x), 0.0) + reward
    return (value * torch.exp(log_weight)).reshape(len(points), -1).mean(1)


def eager_recipe(settings: RunSettings, steps: TimeSteps, device: torch.device) -> Callable[[], object]:
    """An iteration of equation (14) for the linear problem, as one would write it: one tensor operation at a time.

    Driftless walkers with the sums (19), which stop where a step crosses the boundary; u(X) by the network; the
    penalty (10); Adam.

    Args:
        settings: Of a preset for the linear problem.
        steps: Its time steps.
        device: Where.
    """
    method, network = settings.method, settings.network
    assert isinstance(method, DFLM)
    assert isinstance(network, MLP)
    sizes = [2, *[network.width] * network.depth]
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    u = nn.Sequential(*layers, nn.Linear(network.width, 1), nn.Flatten(0)).to(device)
    adam = torch.optim.Adam(u.parameters(), lr=1e-4, betas=(0.99, 0.99))

    def iterate() -> None:
        points = torch.rand(method.points, 2, device=device)
        edge = torch.rand(method.boundary_points, 2, device=device)
        side = torch.randint(4, (len(edge),), device=device)
        rows = torch.arange(len(edge), device=device)
        edge[rows, side // 2] = (side % 2).float()
        with torch.no_grad():
            wanted = eager_target(u, points, settings, steps)
        loss = ((u(points) - wanted) ** 2).mean() + (u(edge) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()

    return iterate


def own_recipe(settings: RunSettings, kernels: Path, device: torch.device) -> Callable[[], object]:
    """An iteration of the same by this package, as `homog-run` makes it."""
    problem = problems.build(settings.problem, settings.eps)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale)
    _, training = runner._training(settings, problem, steps, device, kernels)
    return lambda: next(training)


def measure(kernels: Path, deadline: Deadline) -> Findings:
    """Both, for the linear problem's presets."""
    found = Findings(
        "The recipe beside eager PyTorch",
        ["preset", "ratio", "iterations/s", "spread", "eager, iterations/s", "spread"],
    )
    device = torch.device("cuda")
    for name, overrides in CASES.items():
        settings = Run(name, overrides, 1).settings
        problem = problems.build(settings.problem, settings.eps)
        steps = time_steps(settings.timestep, problem.dimension, problem.scale)
        share = deadline.left / 2 if name != list(CASES)[-1] else deadline.left
        try:
            own = rates(own_recipe(settings, kernels, device), share / 2)
            eager = rates(eager_recipe(settings, steps, device), share / 2)
        except Exception as error:
            found.fail(name, error)
            continue
        mine, other = statistics.median(own), statistics.median(eager)
        spreads = [f"{min(values):.3g} to {max(values):.3g}" for values in (own, eager)]
        found.rows.append([name, mine / other, mine, spreads[0], other, spreads[1]])
    found.notes.append("Medians of five blocks of iterations on this GPU; the spread is their least and greatest.")
    return found


def rates(iterate: Callable[[], object], seconds: float) -> list[float]:
    """Iterations a second of some blocks that take about so long together, after a warm-up."""
    for _ in range(5):
        iterate()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(5):
        iterate()
    torch.cuda.synchronize()
    each = (time.perf_counter() - start) / 5
    count = max(1, min(1000, int(0.6 * seconds / _BLOCKS / each)))
    found = []
    for _ in range(_BLOCKS):
        start = time.perf_counter()
        for _ in range(count):
            iterate()
        torch.cuda.synchronize()
        found.append(count / (time.perf_counter() - start))
    return found
