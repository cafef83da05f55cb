"""Where a network earns its keep: an interior layer, by polynomials of several degrees and by a small network.

    python scripts/interior_layer.py

Of each width of the layer, each answer and each seed: seconds of solving, the error against u_0, and the noise told.
"""

from homog.machine.threads import settle

settle()

import argparse

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from homog import equation
from homog.command import composition
from homog.config import Energy, Galerkin, Legendre
from homog.domains import Places
from homog.machine.home import home
from homog.measures.evaluation import relative_l2, values_at
from homog.run.preparation import prepare_training
from homog.run.task import Plan

_CPU = torch.device("cpu")


def main() -> None:
    """Print a row for each answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.05, 0.02])
    arguments = parser.parse_args()
    composition.register()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        overrides = ["experiment=interior_layer", "eps=0.01"]
        preset = composition.settings_of(compose("run", overrides))
    answers = {
        preset.network.title(2): (preset.method, preset.network, preset.optimizer),
        **{Legendre(count=n).title(2): (Energy(), Legendre(count=n), Galerkin()) for n in (16, 24, 32)},
    }
    print("| w | answer | seconds | error against u_0 | noise told |\n|---|---|---|---|---|")
    for width in arguments.widths:
        preset.problem.parameters["w"] = width
        for name, (method, network, optimizer) in answers.items():
            found = []
            for seed in range(arguments.seeds):
                settings = type(preset).of(
                    preset.problem, method=method, network=network, optimizer=optimizer, eps=0.01, seed=seed
                )
                plan = Plan.of(settings, home(), equation.build(settings.problem, settings.eps))
                _, training = prepare_training(settings, plan.problem, plan.steps, _CPU, plan.kernels)
                *_, last = training
                points = Places.of(plan.problem.domain, 201).points
                layer = np.tanh((points.sum(-1) - 1) / (width * np.sqrt(2)))
                truth = np.sin(np.pi * points).prod(-1) * (1 + layer)
                error = relative_l2(values_at(last.solution, points), truth)
                found.append((last.seconds, error, last.optimizer.metrics()["rel_l2_standard_error"] or np.nan))
            seconds, error, noise = np.array(found).T
            errors = ", ".join(f"{one:.1e}" for one in error)
            print(f"| {width:g} | {name} | {np.median(seconds):.1f} | {errors} | {np.median(noise):.1e} |", flush=True)


if __name__ == "__main__":
    main()
