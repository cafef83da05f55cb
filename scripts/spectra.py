"""Eigenvalues of the paper's medium by walkers, by the defaults: against those of a*, over eps and seeds.

    python scripts/spectra.py

Of each eps and seed: how far each of the first ten is off, in percent, half the widths of the intervals at 95 %, and
the seconds of the whole solve; and in the end the largest error and how many intervals held the exact value.
"""

from homog.machine.threads import settle

settle()

import time

import numpy as np

import homog

_MEDIUM = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"


def main() -> None:
    """Print a row for each eps and seed."""
    print("| eps | seed | off, % | half widths, % | s |\n|---|---|---|---|---|")
    for eps in (0.05, 0.01):
        off, inside = list[np.ndarray](), list[np.ndarray]()
        for seed in range(4):
            begin = time.perf_counter()
            modes = homog.solve(
                homog.Problem(_MEDIUM, forcing="10", eps=eps, eigenvalues=10), seed=seed, quiet=True
            ).modes
            seconds = time.perf_counter() - begin
            assert modes is not None
            assert modes.homogenized is not None
            found, width = modes.found.values, modes.found.half_width()
            off.append(found / modes.homogenized - 1)
            inside.append(np.abs(found - modes.homogenized) < width)
            rows = (" ".join(f"{100 * part:.2f}" for part in parts) for parts in (off[-1], width / found))
            print(f"| {eps} | {seed} | {' | '.join(rows)} | {seconds:.0f} |", flush=True)
        print(f"eps = {eps}: at most {100 * np.abs(off).max():.2f} % off, {np.sum(inside)} of {np.size(inside)} inside")


if __name__ == "__main__":
    main()
