"""Errors and seconds of terms and walls, by the defaults: reactions, flux, robin and periodic faces, matrices, flows.

    python scripts/equations.py

Of each case and seed: the error, what the answer tells of it, and the seconds until it is there, checks included. Then
effective tensors by walkers: how far each is from the known one, over half the width of its interval at 95 %.
"""

from homog.machine.threads import settle

settle()

import time

import numpy as np

import homog

_WAVE = "exp(sin(2*pi*x1))*sin(pi*x2)"
_SMOOTH = "sin(2*x1 + 1)*exp(0.7*x2)"
_SINES = "sin(pi*x1)*sin(pi*x2)"
_B = ("6 + 8*x1**2 - 4*x2", "5*x1 - 12*x2")
_V = ("2*x2**2 - x1", "3*x1 + x2**2")
_SLOPES = ("pi*cos(pi*x1)*sin(pi*x2)", "pi*sin(pi*x1)*cos(pi*x2)")
_WAVES = ("2*pi*x1/eps", "2*pi*x2/eps")
_MATRIX = (
    ("1.2 + 0.7*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "0.35*cos(2*pi*(x1 + x2)/eps)"),
    ("0.35*cos(2*pi*(x1 + x2)/eps)", "0.9 + 0.4*sin(2*pi*(x1 - x2)/eps)"),
)


def _cells(peclet: float) -> tuple[str, str]:
    """Pe/eps curl(sin sin) / (2 pi)."""
    x, y = _WAVES
    return f"{peclet}/eps*sin({x})*cos({y})", f"-{peclet}/eps*cos({x})*sin({y})"


def _layers(angle: float) -> tuple[list[list[str]], np.ndarray]:
    """Layers across x1 whose principal axes are turned by an angle, and their a* in closed form."""
    c, s, t = np.cos(angle), np.sin(angle), np.arange(4096) / 4096
    first, second = "(1.5 + sin(2*pi*x1/eps))", "(0.6 + 0.4*cos(2*pi*x1/eps))"
    across = f"{c * s}*({first} - {second})"
    rows = [[f"{c * c}*{first} + {s * s}*{second}", across], [across, f"{s * s}*{first} + {c * c}*{second}"]]
    p, q = 1.5 + np.sin(2 * np.pi * t), 0.6 + 0.4 * np.cos(2 * np.pi * t)
    one, both, two = c * c * p + s * s * q, c * s * (p - q), s * s * p + c * c * q
    along = 1 / np.mean(1 / one)
    mixed = along * np.mean(both / one)
    return rows, np.array([[along, mixed], [mixed, np.mean(two - both**2 / one) + mixed**2 / along]])


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
    "a constant full matrix": (
        homog.Problem(
            [["1.3", "0.6"], ["0.6", "0.7"]],
            forcing=f"2*pi**2*{_SINES} - 1.2*pi**2*cos(pi*x1)*cos(pi*x2)",
            eps=0.1,
        ),
        homog.ExactReference(fine=_SINES),
    ),
    "an oscillating matrix, eps = 0.05, against u_0": (
        homog.Problem(_MATRIX, forcing="10", eps=0.05),
        homog.HomogenizedReference(),
    ),
    "a velocity with a divergence, c = 3, a = 1": (
        homog.Problem(
            "1",
            forcing=f"(2*pi**2 + 3)*{_SINES} + ({_B[0]})*{_SLOPES[0]} + ({_B[1]})*{_SLOPES[1]}",
            velocity=_B,
            reaction="3",
            eps=0.1,
        ),
        homog.ExactReference(fine=_SINES),
    ),
    "equation (6)": (
        homog.Problem(
            "1",
            forcing=f"2*(pi**2*{_SINES} + 5*({_SINES})**3 + {_SINES} - ({_V[0]})*{_SLOPES[0]} - ({_V[1]})*{_SLOPES[1]})"
            " - 2*(5*u**3 + u)",
            velocity=[f"-2*({part})" for part in _V],
            eps=0.1,
        ),
        homog.ExactReference(fine=_SINES),
    ),
    "cells that turn, Pe = 10, eps = 0.05, against u_0": (
        homog.Problem("1", forcing="10", velocity=_cells(10), eps=0.05),
        homog.HomogenizedReference(),
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


_OF_MATRIX = np.array([[1.10372, 0.00529], [0.00529, 0.82749]])  # by the cell problem, as the next
_FLOWS = {10: 1.27395, 50: 3.04330, 200: 6.05715}


def _tensors() -> dict[str, tuple[homog.Problem, np.ndarray]]:
    """Media, and their effective tensors."""
    found = {"a matrix": (homog.Problem(_MATRIX, forcing="1", eps=0.1), _OF_MATRIX)}
    for angle in (0.3, 0.9, 1.5):
        rows, exact = _layers(angle)
        found[f"layers turned by {angle:g}"] = homog.Problem(rows, forcing="1", eps=0.1), exact
    for peclet, value in _FLOWS.items():
        problem = homog.Problem("1", forcing="1", velocity=_cells(peclet), eps=0.1)
        found[f"cells that turn, Pe = {peclet}"] = problem, value * np.eye(2)
    return found


def main() -> None:
    """Print a row for each case and seed, and for each effective tensor."""
    print("| case | seed | error | told | s |\n|---|---|---|---|---|")
    for name, (problem, settings) in _CASES.items():
        truth = homog.reference(problem, settings)
        for seed in range(3):
            begin = time.perf_counter()
            found = homog.solve(problem, seed=seed, quiet=True)
            seconds = time.perf_counter() - begin
            told = found.budget.get("rel_l2_smooth_error_estimate", found.standard_error)
            print(f"| {name} | {seed} | {found.error(truth):.1e} | {told:.1e} | {seconds:.0f} |", flush=True)
    print("\n| a* of | a*_11 | a*_12 | a*_22 | the largest error / half a width | s |\n|---|---|---|---|---|---|")
    for name, (problem, exact) in _tensors().items():
        begin = time.perf_counter()
        tensor = homog.effective_tensor(problem)
        seconds, width = time.perf_counter() - begin, tensor.half_width()
        ratio = (np.abs(tensor.value - exact) / width).max()
        entries = " | ".join(f"{tensor.value[i, j]:.4f} +- {width[i, j]:.4f}" for i, j in ((0, 0), (0, 1), (1, 1)))
        print(f"| {name} | {entries} | {ratio:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
