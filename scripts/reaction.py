"""What a reaction does to errors and noise: u = sin(pi x1) sin(pi x2) + x1 by the energy and by DFLM's equations.

    python scripts/reaction.py

Of each c: the error and the standard error that the solve tells, 5.2e5 walkers, Dt = 0.002, 8 x 8 polynomials.
"""

from homog.machine.threads import settle

settle()

import numpy as np
import torch

from homog import equation, losses, networks
from homog.config import DFLM, Energy, FormulaProblem, Galerkin, Legendre
from homog.machine.home import home
from homog.measures.evaluation import relative_l2, values_at
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps

_STEPS = TimeSteps(2.5e-4, 8, 1.0, 1.0)


def main() -> None:
    """Print a row for each reaction and method."""
    print("| c | method | error | told |\n|---|---|---|---|")
    for c in ("0", "10", "50", "200*x1"):
        forcing = f"(2*pi**2 + {c})*sin(pi*x1)*sin(pi*x2) + ({c})*x1"
        settings = FormulaProblem(name="reaction", coefficient="1", forcing=forcing, reaction=c, boundary="x1")
        problem = equation.build(settings, 0.2)
        points = problem.domain.grid(51)
        truth = np.sin(np.pi * points).prod(-1) + points[..., 0]
        for method in (Energy(points=8192, walkers=4), DFLM(points=8192, walkers=4)):
            loss = losses.build(method, problem, _STEPS, 0, home() / "cache" / "kernels", torch.device("cpu"))
            network = loss.network(networks.build(Legendre(count=8), problem.domain, 0))
            *_, last = train(loss, network, Galerkin())
            error, told = relative_l2(values_at(last.solution, points), truth), last.optimizer.metrics()
            print(f"| {c} | {type(method).__name__} | {error:.1e} | {told['rel_l2_standard_error']:.1e} |", flush=True)


if __name__ == "__main__":
    main()
