"""u(x, t) in the paper's medium by walkers, by the defaults: against finite elements, over eps, data and seeds.

    python scripts/evolution.py

Of each eps, initial value and seed the relative L2 errors at five times against u_eps and against u_0, those that the
run tells of itself, and the seconds of the whole solve, its checks included.
"""

from homog.machine.threads import settle

settle()

import time

import numpy as np

import homog

_MEDIUM = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
_DATA = {
    "u(0) = sines, f = 0": ("sin(pi*x1)*sin(pi*x2)", "0"),
    "u(0) = 1, f = 0": ("1", "0"),
    "u(0) = 0, f = 1 + sin(60 t)": ("0", "1 + sin(60*t)"),
}
_EPS, _SEEDS = (0.05, 0.01), range(3)


def main() -> None:
    """Print a row for each eps, initial value and seed."""
    print("| eps | data | seed | against u_eps | against u_0 | told | s |\n|---|---|---|---|---|---|---|")
    for eps in _EPS:
        for name, (initial, forcing) in _DATA.items():
            problem = homog.Problem(_MEDIUM, forcing=forcing, eps=eps, time={"end": 0.1, "initial": initial})
            truth = homog.reference(problem, grid=201)
            for seed in _SEEDS:
                print(f"| {eps} | {name} | {seed} | {' | '.join(_row(problem, truth, seed))} |", flush=True)


def _row(problem: homog.Problem, truth: homog.Reference, seed: int) -> list[str]:
    begin = time.perf_counter()
    u = homog.solve(problem, seed=seed, quiet=True)
    seconds = time.perf_counter() - begin
    assert u.evolution is not None
    moments = u.evolution.moments
    values = np.stack(
        [u(np.stack(np.meshgrid(*truth.axes, indexing="ij"), -1), t=time_) for time_ in u.evolution.times]
    )
    rows = []
    for known in (truth.fine_over_time, truth.homogenized_over_time):
        if known is None:
            rows.append("")
            continue
        errors = [np.linalg.norm(one - exact) / np.linalg.norm(exact) for one, exact in zip(values, known, strict=True)]
        rows.append(" ".join(f"{error:.1e}" for error in errors))
    told = " ".join(f"{moment.error / moment.size:.1e}" for moment in moments)
    return [*rows, told, f"{seconds:.0f}"]


if __name__ == "__main__":
    main()
