"""Some trainings, as one of the ranks that torchrun has begun, or alone:

    torchrun --nproc-per-node 2 tests/sharing.py KERNELS RESULT.npz

The first rank writes the answers at some places, and what the losses tell.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from paper import paper_dflm

from homog import equation, losses, networks
from homog.config import DFLM, MLP, AdamCosine, Energy, FormulaProblem, Galerkin, Legendre, NaturalGradient
from homog.machine import ranks
from homog.networks import values_without_gradient
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps

LINEAR = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
NONLINEAR = "(1.1 + sin(2*pi*x1/eps))/(1.1 + u**2)"
TANH = MLP(depth=2, width=8, activation="tanh", scale=3.0, spread=3.0)
ADAM = AdamCosine(iterations=6, learning_rate=1e-2, average=0.5)
PLACES = torch.rand((50, 2), generator=torch.Generator().manual_seed(0))
CASES = {
    "penalty": (LINEAR, paper_dflm(points=37, walkers=3, boundary_points=21), TANH, ADAM),
    "gradient": (
        LINEAR,
        DFLM(points=37, walkers=3, sampling="coefficient", martingale="girsanov", step="euler"),
        TANH,
        ADAM,
    ),
    "walkers": (LINEAR, paper_dflm(points=37, walkers=3, boundary_points=21, sampling="walkers"), TANH, ADAM),
    "least squares": (
        LINEAR,
        paper_dflm(points=201, walkers=2, boundary="ansatz"),
        Legendre(count=4),
        Galerkin(iterations=4, groups=4),
    ),
    "nonlinear": (NONLINEAR, paper_dflm(points=37, walkers=3, boundary_points=21, table=33), TANH, ADAM),
    "energy": (LINEAR, Energy(points=61, walkers=2), TANH, ADAM),
    "last layer": (
        LINEAR,
        Energy(points=201, walkers=2),
        Legendre(count=4),
        AdamCosine(iterations=6, learning_rate=1e-2, last_layer=3, average=0.0),
    ),
    "galerkin": (
        LINEAR,
        Energy(points=201, walkers=2, sampling="coefficient"),
        Legendre(count=4),
        Galerkin(iterations=4, groups=4),
    ),
    "natural gradient": (
        LINEAR,
        Energy(points=201, walkers=2),
        MLP(depth=1, width=6, activation="tanh"),
        NaturalGradient(steps=2, iterations=4, groups=4),
    ),
    "Picard": (
        NONLINEAR,
        Energy(points=201, walkers=2, table=33),
        Legendre(count=4),
        Galerkin(iterations=8, groups=4, passes=2),
    ),
    "walls": (
        LINEAR,
        Energy(points=201, walkers=2),
        Legendre(count=4),
        Galerkin(iterations=4, groups=4),
    ),
}
WALLS = {"x1": "periodic", "x2-": {"robin": {"factor": 3, "flux": "1 + sin(2*pi*x1)"}}, "x2+": {"flux": 1}}


def begin(case: str, kernels: Path) -> tuple[losses.Loss, Training]:
    coefficient, method, network, optimizer = CASES[case]
    boundary, eps = (WALLS, 0.25) if case == "walls" else ("0", 0.3)
    settings = FormulaProblem(name="a test", coefficient=coefficient, forcing="10", boundary=boundary)
    problem = equation.build(settings, eps)
    loss = losses.build(method, problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
    return loss, train(
        loss, loss.network(networks.build(network, problem.domain, 0, problem.boundary.walls)), optimizer
    )


def main() -> None:
    kernels, result = Path(sys.argv[1]), Path(sys.argv[2])
    found = {}
    with ranks.joined(torch.device("cpu")):
        for case in CASES:
            loss, training = begin(case, kernels)
            next(training)
            next(training)
            state = training.state()
            loss, training = begin(case, kernels)  # the first rank's state serves all
            training.load_state(ranks.from_first(state if ranks.own() == 0 else None) or {})
            (*_, last) = training
            found[f"{case}, values"] = values_without_gradient(last.solution, PLACES).numpy()
            numbers = float(last.loss), last.walker_steps, loss.metrics()["left_share"]
            found[f"{case}, numbers"] = np.array(numbers)
        if ranks.own() == 0:
            np.savez(result, allow_pickle=False, **found)


if __name__ == "__main__":
    main()
