"""Draw the error against the number of walkers, for the energy and for DFLM, by one solve and by Adam.

    python scripts/draw_convergence.py

The paper's linear problem at eps = 0.01 (against u_eps) and 0.001 (against u_0). About 15 minutes on two cores; the
figure goes to docs/figures/convergence.png and the numbers beside it; `--redraw` draws these once more.
"""

from homog.machine import threads

threads.settle()

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from homog import equation, losses, networks
from homog.config import (
    DFLM,
    MLP,
    AdamCosine,
    BoundsTimeStep,
    Energy,
    FEMReference,
    FormulaProblem,
    Galerkin,
    HomogenizedReference,
    Legendre,
)
from homog.machine.home import home
from homog.measures import evaluation
from homog.references import reference
from homog.solvers.training import train
from homog.timesteps.timestep import time_steps

PUBLISHED = 15_000 * 400 * 300, 1.38e-2  # walkers and error at eps = 0.01
BELLMAN = DFLM(points=2048, walkers=4, boundary_points=1)
MLP_DEFAULT = MLP()
# label: method, network, optimizer, macro factor, seeds
METHODS = {
    "energy, one solve": (Energy(points=2048), Legendre(count=8), Galerkin(iterations=512), 4, 4),
    "DFLM, one solve": (BELLMAN, Legendre(count=8), Galerkin(iterations=512), 16, 4),
    "energy, Adam": (Energy(points=1024), MLP_DEFAULT, AdamCosine(iterations=600, learning_rate=3e-3), 4, 1),
    "DFLM, Adam": (
        replace(BELLMAN, points=800, walkers=8),
        MLP_DEFAULT,
        AdamCosine(iterations=1500, learning_rate=3e-3),
        64,
        1,
    ),
}
PENS = {
    "energy, one solve": ("#0072b2", "-"),
    "DFLM, one solve": ("#d55e00", "-"),
    "energy, Adam": ("#0072b2", ":"),
    "DFLM, Adam": ("#d55e00", ":"),
}


def curve(name: str, eps: float, seed: int) -> Iterator[tuple[int, float]]:
    """Walkers sent and the error, at powers of two of the iterations and at the end."""
    method, network, optimizer, factor, _ = METHODS[name]
    formula = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    problem = equation.build(FormulaProblem(name="linear", coefficient=formula, forcing="10"), eps)
    settings = FEMReference() if eps >= 0.005 else HomogenizedReference()
    truth = reference(problem, settings, 501, home() / "cache")
    steps = time_steps(BoundsTimeStep(macro_factor=factor), 2, eps)
    loss = losses.build(method, problem, steps, seed, home() / "cache" / "kernels")
    monitor = evaluation.ErrorMonitor(truth, points=501)
    for progress in train(loss, loss.network(networks.build(network, problem.domain, seed)), optimizer):
        count = progress.iteration
        if count & (count - 1) == 0 or count == optimizer.iterations:
            error = monitor(progress.solution)
            assert error is not None
            yield count * method.points * method.walkers, error


def main() -> None:
    """Measure, or read what was measured, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/convergence.png"))
    parser.add_argument("--redraw", action="store_true", help="draw the numbers that lie there")
    arguments = parser.parse_args()
    out = arguments.out
    numbers = out.with_suffix(".json")
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    found: dict[str, dict[str, list[list[tuple[int, float]]]]] = {}
    if arguments.redraw:
        found = json.loads(numbers.read_text())
    for panel, eps in zip(panels, (0.01, 0.001), strict=True):
        for name, (color, style) in PENS.items():
            known = found.setdefault(f"{eps:g}", {})
            runs = known.get(name) or [list(curve(name, eps, seed)) for seed in range(METHODS[name][-1])]
            known[name] = runs
            walkers = [count for count, _ in runs[0]]
            errors = np.sqrt(np.mean([[error**2 for _, error in run] for run in runs], axis=0))
            panel.loglog(walkers, errors, style, color=color, marker="o", markersize=3, label=name)
            print(f"eps={eps:g} {name}: {walkers[-1]:.2g} walkers, {errors[-1]:.2e}", flush=True)
        slope = np.array([3e4, 3e6])
        panel.loglog(slope, 1.2e-2 * np.sqrt(slope[0] / slope), color="0.6", linewidth=0.8)
        panel.text(slope[1], 9e-4, r"$N^{-1/2}$", color="0.5", ha="center")
        panel.set(title=rf"$\varepsilon = {eps:g}$, against {'$u_\\varepsilon$' if eps == 0.01 else '$u_0$'}")
        panel.set(xlabel="walkers", ylim=(7e-4, 1.5))
    panels[0].loglog(*PUBLISHED, "k*", label="paper")
    panels[0].axhline(2.08e-3, color="0.4", linewidth=0.8, linestyle="--")
    panels[0].text(1e7, 2.15e-3, "the homogenised limit itself", color="0.4", fontsize=8, va="bottom")
    panels[0].set_ylabel("relative $L^2$ error")
    panels[0].legend(fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    numbers.write_text(json.dumps(found) + "\n")
    print(out)


if __name__ == "__main__":
    main()
