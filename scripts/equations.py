"""Errors and seconds of terms and walls, by the defaults: reactions, linear and not, flux, robin and periodic faces.

    python scripts/equations.py

Of each case and seed: the error, what the answer tells of it, and the seconds until it is there, checks included.
"""

from homog.machine.threads import settle

settle()

import time

import homog

_WAVE = "exp(sin(2*pi*x1))*sin(pi*x2)"
_SMOOTH = "sin(2*x1 + 1)*exp(0.7*x2)"
_SINES = "sin(pi*x1)*sin(pi*x2)"
_CASES = {
    "c = 50, a = 1": (
        homog.Problem("1", forcing=f"(2*pi**2 + 50)*{_SINES}", reaction="50", eps=0.1),
        homog.ExactReference(fine=_SINES),
    ),
    "5 u^3 + u, a = 1": (
        homog.Problem("1", forcing=f"2*pi**2*{_SINES} + 5*({_SINES})**3 + {_SINES}", reaction="5*u**2 + 1", eps=0.1),
        homog.ExactReference(fine=_SINES),
    ),
    "flux and robin, a = 1": (
        homog.Problem(
            "1",
            forcing=f"3.51*{_SMOOTH}",
            boundary={
                "x1": {"value": _SMOOTH},
                "x2-": {"flux": "-0.7*sin(2*x1 + 1)"},
                "x2+": {"robin": {"factor": 5, "flux": "5.7*sin(2*x1 + 1)*exp(0.7)"}},
            },
            eps=0.1,
        ),
        homog.ExactReference(fine=_SMOOTH),
    ),
    "periodic, a = 1": (
        homog.Problem(
            "1",
            forcing=f"{_WAVE}*(pi**2 - 4*pi**2*(cos(2*pi*x1)**2 - sin(2*pi*x1)))",
            boundary={"x1": "periodic", "x2": {"value": 0}},
            eps=0.1,
        ),
        homog.ExactReference(fine=_WAVE),
    ),
    "flux, the paper's a, eps = 0.05, against u_0": (
        homog.Problem(
            "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
            forcing="10",
            boundary={"x1-": {"flux": "1 + x2"}, "all": {"value": 0}},
            eps=0.05,
        ),
        homog.HomogenizedReference(),
    ),
}


def main() -> None:
    """Print a row for each case and seed."""
    print("| case | seed | error | told | s |\n|---|---|---|---|---|")
    for name, (problem, settings) in _CASES.items():
        truth = homog.reference(problem, settings)
        for seed in range(3):
            begin = time.perf_counter()
            found = homog.solve(problem, seed=seed, quiet=True)
            seconds = time.perf_counter() - begin
            told = found.budget.get("rel_l2_smooth_error_estimate", found.standard_error)
            print(f"| {name} | {seed} | {found.error(truth):.1e} | {told:.1e} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
