"""Error against seconds of training: Adam, natural gradient and polynomials, on the same walkers; a figure of docs.

    python scripts/draw_natural_gradient.py [--eps 0.01] [--seeds 3]

The paper's linear problem against u_0, two threads. Adam trains the same perceptron as natural gradient, and the
larger one of experiment=energy_adam. Compiled walkers come from the cache: each trains twice, and the second counts.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homog.machine import threads

threads.settle()  # before torch and Numba are imported

import numpy as np
import torch

from homog import equation, losses, networks
from homog.config import (
    MLP,
    AdamCosine,
    BoundsTimeStep,
    Energy,
    FormulaProblem,
    Galerkin,
    Legendre,
    NaturalGradient,
    NetworkSettings,
    OptimizerSettings,
)
from homog.machine.home import home
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.references.cell import effective_tensor
from homog.solvers.training import train
from homog.timesteps.timestep import time_steps

LINEAR = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
SMALL = MLP(depth=2, width=16, activation="tanh", scale=3.0, spread=3.0)
REACHED = (1.4e-2, 4e-3)


@dataclass(frozen=True)
class Case:
    """A curve.

    Attributes:
        name: In the legend.
        network: Its network.
        method: Its walkers.
        optimizer: Its optimizer.
        every: Iterations between two looks.
        color: Of the curve.
    """

    name: str
    network: NetworkSettings
    method: Energy
    optimizer: OptimizerSettings
    every: int
    color: str


CASES = (
    Case("MLP 2 x 16, Adam", SMALL, Energy(points=1024), AdamCosine(iterations=1500), 50, "#999999"),
    Case(
        "MLP 3 x 100, Adam and a last solve", MLP(), Energy(points=1024), AdamCosine(iterations=600, last_layer=128),
        25, "#009e73",
    ),
    Case("MLP 2 x 16, natural gradient", SMALL, Energy(points=8192, walkers=8), NaturalGradient(), 1, "#d55e00"),
    Case("Legendre 16 x 16, one solve", Legendre(), Energy(), Galerkin(), 1, "#0072b2"),
)  # fmt: skip


def curve(case: Case, eps: float, seed: int) -> list[tuple[float, float]]:
    """(seconds, error) of one training."""
    problem = equation.build(FormulaProblem(name="linear", coefficient=LINEAR, forcing="10"), eps)
    tensor, _ = effective_tensor(problem)
    steps = time_steps(BoundsTimeStep(), 2, problem.scale)
    loss = losses.build(case.method, problem, steps, seed, home() / "cache" / "kernels")
    network = loss.network(networks.build(case.network, problem.domain, seed))
    axes, truth = problem.domain.axes(201), sine_series(float(tensor[0, 0]), 201)
    found = []
    for progress in train(loss, network, case.optimizer):
        last = progress.iteration == case.optimizer.all_iterations
        if last or progress.iteration % case.every == 0 or progress.iteration <= 3:
            error = relative_l2(values_on_grid(progress.solution, axes), truth)
            found.append((progress.seconds, error))
    return found


def sine_series(conductivity: float, count: int) -> np.ndarray:
    """u of -conductivity Lap u = 10 in the unit square, zero on its boundary."""
    waves = np.arange(1, 200, 2)
    along = np.sin(np.pi * np.outer(np.linspace(0, 1, count), waves))
    amplitudes = 160 / np.pi**4 / conductivity / np.outer(waves, waves) / (waves[:, None] ** 2 + waves**2)
    return along @ amplitudes @ along.T


def reached(points: Sequence[tuple[float, float]], level: float) -> float:
    """Seconds after which the error stays below a level; infinite where it does not."""
    above = [seconds for seconds, error in points if error > level]
    later = [seconds for seconds, _ in points if not above or seconds > max(above)]
    return min(later, default=float("inf"))


def main() -> None:
    """Train, print and draw."""
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description="Error against seconds of training.")
    parser.add_argument("--eps", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/natural_gradient.png"))
    given = parser.parse_args()
    torch.set_num_threads(2)
    figure, panel = pyplot.subplots(figsize=(7.2, 4.4), layout="constrained")
    print("| answer | seconds | error against u_0 | s to 1.4e-2 | s to 4e-3 |\n|---|---|---|---|---|")
    for case in CASES:
        curve(case, given.eps, 0)
        curves = [curve(case, given.eps, seed) for seed in range(given.seeds)]
        for number, points in enumerate(curves):
            seconds, errors = zip(*points, strict=True)
            panel.loglog(seconds, errors, color=case.color, linewidth=1.2, label=None if number else case.name)
            panel.plot(seconds[-1], errors[-1], "o", color=case.color, markersize=4)
        ends = np.array([points[-1] for points in curves])
        times = [np.mean([reached(points, level) for points in curves]) for level in REACHED]
        shown = " | ".join(f"{value:.1f}" if np.isfinite(value) else "not" for value in times)
        spread = f"{ends[:, 1].mean():.2e} +- {ends[:, 1].std(ddof=1):.0e}" if given.seeds > 1 else f"{ends[0, 1]:.2e}"
        print(f"| {case.name} | {ends[:, 0].mean():.1f} | {spread} | {shown} |", flush=True)
    panel.set(xlabel="seconds of training, two cores", ylabel="relative $L^2$ error against $u_0$")
    panel.grid(which="both", alpha=0.25, linewidth=0.5)
    panel.legend()
    figure.savefig(given.figure, dpi=120)


if __name__ == "__main__":
    main()
