"""Is the interval of a* right? Its coverage over media and seeds, against the cell problem.

    python scripts/intervals.py                  all periodic media of the calibration, ten seeds each
    python scripts/intervals.py --seeds 2 --only layers

Prints for each medium how often the 95 % intervals of its entries hold the tensor of the cell problem, the largest
error over the half-width, and the relative error and half-width of the first entry.
"""

import argparse
import logging
import warnings

import numpy as np
from calibration_media import MEDIA

import homog


def main() -> None:
    """Walk, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=MEDIA, metavar="medium")
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print("| medium | entries held | largest error / half-width | error of a*_11 | half-width |")
    print("|---|---|---|---|---|")
    all_held = []
    for name in chosen.only or MEDIA:
        problem = MEDIA[name][1]()
        if problem.cell is None:
            continue
        truth = homog.reference(problem, homog.HomogenizedReference(), grid=21)
        exact, own = truth.effective_tensor, truth.cell_problem_error_estimate
        if exact is None or own is None or own > 1e-4:
            continue
        entries = np.triu_indices(problem.dimension)
        held, worst, first = [], 0.0, []
        for seed in range(chosen.seeds):
            found = homog.effective_tensor(problem, seed=seed)
            error, half = (found.value - exact)[entries], found.half_width()[entries]
            held += list(np.abs(error) <= half)
            worst = max(worst, float((np.abs(error) / half).max()))
            first.append((error[0] / exact[0, 0], half[0] / exact[0, 0]))
        mean, width = np.mean(first, axis=0)
        all_held += held
        print(f"| {name} | {sum(held)} of {len(held)} | {worst:.2f} | {mean:+.1e} | {width:.1e} |", flush=True)
    print(f"\n{sum(all_held)} of {len(all_held)} entries held: {100 * np.mean(all_held):.1f} %")


if __name__ == "__main__":
    main()
