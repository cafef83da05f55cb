"""Error estimates beside true errors, over media of which the truth is known: is the estimate right?

    python scripts/calibration.py                   all media, two seeds each
    python scripts/calibration.py --seeds 1 --only smooth

Each medium is solved by the default method, and the run's own estimate of its error against u_eps held against the
error that finite elements see. References are computed once and kept. Prints a table, and how often the truth is within
a factor of three of the estimate, and above five times it.
"""

import argparse
import logging
import math
import warnings

import homog
from homog import Box, Problem

SQUARE, LINE, CUBE = Box((0, 0), (1, 1)), Box((0,), (1,)), Box((0, 0, 0), (1, 1, 1))
MEDIA = {
    "smooth": (SQUARE, "2 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "1", 0.05),
    "the paper's": (SQUARE, "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "10", 0.02),
    "exponential": (SQUARE, "exp(2*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))", "1", 0.05),
    "locally periodic": (SQUARE, "exp(2*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)*x1) + x2", "1", 0.05),
    "quasi-periodic": (SQUARE, "2 + sin(2*pi*x1/eps) + 0.9*sin(2*pi*sqrt(2)*x2/eps)", "1 + x1", 0.05),
    "two scales": (SQUARE, "(1.5 + sin(2*pi*x1/eps))*(1.5 + sin(2*pi*x2/sqrt(eps)))", "1", 0.02),
    "layers": (SQUARE, "0.05 + sin(pi*x1/eps)**2", "1", 0.05),
    "thin layers": (SQUARE, "0.01 + sin(pi*x1/eps)**2", "1", 0.1),
    "cosine": (LINE, "1 + 0.9*cos(2*pi*x1/eps)", "1", 0.02),
    "steep cosine": (LINE, "exp(3*cos(2*pi*x1/eps))", "1 + sin(6*x1)", 0.05),
    "soft discs": (SQUARE, "1 + 9/(1 + exp(-20*(sin(2*pi*x1/eps)*sin(2*pi*x2/eps))))", "1", 0.1),
    "softer discs, 100": (SQUARE, "1 + 99/(1 + exp(-8*(sin(2*pi*x1/eps)*sin(2*pi*x2/eps))))", "1", 0.125),
    "bump": (SQUARE, "1 + 20*exp(-((x1 - 0.3)**2 + (x2 - 0.6)**2)/0.003)", "1", 0.1),
    "interface, 100": (SQUARE, "1 + 49.5*(1 + tanh((x1 - 0.4321)/0.01))", "1", 0.1),
    "interface, 10": (SQUARE, "1 + 4.5*(1 + tanh((x1 - x2)/0.05))", "1", 0.1),
    "cube": (CUBE, "1 + 0.5*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)", "10", 0.25),
}


def main() -> None:
    """Solve, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=MEDIA)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    ratios = []
    print("| medium | seed | sampling | functions | macro step | micro step | microscale | estimate | truth | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in chosen.only or MEDIA:
        domain, coefficient, forcing, eps = MEDIA[name]
        problem = Problem(coefficient, forcing=forcing, eps=eps, domain=domain)
        grid = 51 if problem.dimension == 3 else 201
        truth = homog.reference(problem, grid=grid)
        for seed in range(chosen.seeds):
            u = homog.solve(problem, seed=seed, quiet=True)
            names = ("standard_error", "features", "macro_step", "micro_step", "microscale", "error_estimate")
            numbers = [u.budget.get(f"rel_l2_{part}", math.nan) for part in names]
            error = u.error(truth)
            ratios.append(error / numbers[-1])
            shown = " | ".join(f"{number:.1e}" for number in (*numbers, error))
            print(f"| {name} | {seed} | {shown} | {ratios[-1]:.2f} |", flush=True)
    within = sum(1 / 3 <= ratio <= 3 for ratio in ratios)
    print(f"\n{within} of {len(ratios)} within a factor of 3, {sum(r > 5 for r in ratios)} above 5 times the estimate")


if __name__ == "__main__":
    main()
