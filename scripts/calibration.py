"""Error estimates beside true errors, over media of which the truth is known: is the estimate right?

    python scripts/calibration.py                                    all media, two seeds each
    python scripts/calibration.py --seeds 1 --only smooth cube
    python scripts/calibration.py --figure docs/figures/error_budget.png

Each medium is solved by the default method, and the run's own estimate of its error against u_eps held against the
error that finite elements see. References are computed once and kept. Prints a table, and how often the truth is within
a factor of three of the estimate, and above five times it.
"""

import argparse
import logging
import math
import warnings
from pathlib import Path

import matplotlib as mpl
from calibration_media import MEDIA

import homog

_PARTS = ("standard_error", "features", "macro_step", "micro_step", "microscale", "error_estimate")


def main() -> None:
    """Solve, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=MEDIA, metavar="medium")
    parser.add_argument("--figure", type=Path)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    found = []
    titles = ("sampling", "functions", "macro step", "micro step", "microscale", "estimate", "truth", "ratio")
    print(f"| medium | seed | longer walk | {' | '.join(titles)} | reference |")
    print("|---" * 12 + "|")
    for name in chosen.only or MEDIA:
        kind, made = MEDIA[name]
        problem = made()
        truth = homog.reference(problem, grid=51 if problem.dimension == 3 else 201)
        for seed in range(chosen.seeds):
            u = homog.solve(problem, seed=seed, quiet=True)
            numbers = [u.budget.get(f"rel_l2_{part}", math.nan) for part in _PARTS]
            error, longer = u.error(truth), "" if u.check is None else f"{u.check.error:.1e}"
            found.append((kind, numbers[-1], error))
            shown = " | ".join(f"{number:.1e}" for number in (*numbers, error))
            own = truth.error_estimate
            print(f"| {name} | {seed} | {longer} | {shown} | {error / numbers[-1]:.2f} | {own:.0e} |", flush=True)
    ratios = [error / estimate for _, estimate, error in found]
    within = sum(1 / 3 <= ratio <= 3 for ratio in ratios)
    print(f"\n{within} of {len(ratios)} within a factor of 3, {sum(r > 5 for r in ratios)} above 5 times the estimate")
    if chosen.figure is not None:
        draw(found, chosen.figure)


def draw(found: list[tuple[str, float, float]], path: Path) -> None:
    """Truth over estimate, a colour for each kind of medium, and the factor of three to both sides."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.8, 5.8), layout="constrained")
    ends = [0.7 * min(min(row[1:]) for row in found), 1.4 * max(max(row[1:]) for row in found)]
    axes.fill_between(ends, [end / 3 for end in ends], [3 * end for end in ends], color="0.93", label="factor 3")
    axes.plot(ends, ends, color="0.4", linewidth=0.8)
    axes.plot(ends, [5 * end for end in ends], color="0.4", linewidth=0.8, linestyle=":", label="5 times the estimate")
    for kind in dict.fromkeys(row[0] for row in found):
        estimates, errors = zip(*[row[1:] for row in found if row[0] == kind], strict=True)
        axes.plot(estimates, errors, "o", markersize=5, alpha=0.8, label=kind)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    axes.set(xlabel="the run's own estimate", ylabel="relative L2 error against u_eps")
    axes.set_title("Is the error estimate right?", loc="left")
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
