"""One solve for a family of media, against a solve for each: errors and seconds.

    python scripts/families.py            # one parameter, three seeds, and the sweep that it replaces
    python scripts/families.py --two      # two parameters: contrast and phase, contrast and eps

Of each family and seed: root mean square and largest of the relative L2 errors against u_0 over nine values of the
contrast (or 5 x 5 values of two parameters), those that it tells of itself, the errors of mean and standard deviation
over the parameters, and the seconds. u_0 is the sine series with a* by the cell problem.
"""

from homog.machine.threads import settle

settle()

import argparse
import itertools
import time

import numpy as np

import homog
from homog.references.cell import effective_tensor

_ONE = ("1 + c*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", {"c": {"from": 0.1, "to": 0.9}})
_TWO = {
    "contrast and phase": (
        "1 + c*sin(2*pi*x1/eps)*cos(2*pi*x2/eps + s)",
        {"c": {"from": 0.1, "to": 0.8}, "s": {"from": 0.0, "to": 3.0}},
    ),
    "contrast and eps": (_ONE[0], {"c": {"from": 0.1, "to": 0.8}, "eps": {"from": 0.02, "to": 0.1}}),
}
_NODES, _TERMS = 33, 199


def main() -> None:
    """Print a row for each family and seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--two", action="store_true", help="two parameters")
    two = parser.parse_args().two
    print("| family | seed | rms | worst | told, rms | mean | deviation | s |\n|---|---|---|---|---|---|---|---|")
    for name, (medium, ranges) in (_TWO if two else {"contrast": _ONE}).items():
        problem = homog.Problem(medium, forcing="10", eps=0.05, parameters=ranges)
        for seed in range(3):
            print(f"| {name} | {seed} | {' | '.join(_of_family(problem, seed, 5 if two else 9))} |", flush=True)
    if not two:
        _sweep()


def _of_family(problem: homog.Problem, seed: int, count: int) -> list[str]:
    begin = time.perf_counter()
    u = homog.solve(problem, seed=seed, quiet=True)
    seconds = time.perf_counter() - begin
    assert u.family is not None
    assert problem.ranges is not None
    found, ranges, points = u.family, problem.ranges, problem.domain.grid(_NODES)
    errors, told = [], []
    for place in itertools.product(np.linspace(-1, 1, count), repeat=len(ranges.names)):
        values = ranges.values(np.array(place))
        exact = _limit(problem.member(values), points)
        errors.append(float(np.linalg.norm(found(points, **values) - exact) / np.linalg.norm(exact)))
        told.append(found.error(**values))
    members = np.stack([_limit(problem.member(ranges.values(place)), points) for place in ranges.nodes])
    mean = np.tensordot(ranges.shares, members, 1)
    deviation = np.sqrt(np.tensordot(ranges.shares, (members - mean) ** 2, 1))
    off = [
        float(np.linalg.norm(one - exact) / np.linalg.norm(exact))
        for one, exact in ((found.mean(points), mean), (found.standard_deviation(points), deviation))
    ]
    numbers = (np.sqrt(np.mean(np.square(errors))), max(errors), np.sqrt(np.mean(np.square(told))), *off)
    return [*(f"{number:.1e}" for number in numbers), f"{seconds:.0f}"]


def _sweep() -> None:
    """The same contrasts, a solve for each."""
    errors, seconds = list[float](), 0.0
    for contrast in np.linspace(0.1, 0.9, 9):
        problem = homog.Problem(_ONE[0], forcing="10", eps=0.05, parameters={"c": float(contrast)})
        begin = time.perf_counter()
        u = homog.solve(problem, quiet=True)
        seconds += time.perf_counter() - begin
        points = problem.domain.grid(_NODES)
        exact = _limit(problem, points)
        errors.append(float(np.linalg.norm(u(points) - exact) / np.linalg.norm(exact)))
    rms = np.sqrt(np.mean(np.square(errors)))
    print(f"| nine solves | 0 | {rms:.1e} | {max(errors):.1e} | | | | {seconds:.0f} |")


def _limit(problem: homog.Problem, points: np.ndarray) -> np.ndarray:
    """u_0 for f = 10 in the unit square with a* times the unit matrix."""
    tensor, _ = effective_tensor(problem)
    odd = np.arange(1, _TERMS, 2)
    one, other = (np.sin(np.pi * points[..., axis, None] * odd) for axis in (0, 1))
    weights = 160 / np.pi**2 / np.multiply.outer(odd, odd)
    weights = weights / (np.pi**2 * (tensor[0, 0] * odd[:, None] ** 2 + tensor[1, 1] * odd**2))
    return np.einsum("...i,ij,...j->...", one, weights, other)


if __name__ == "__main__":
    main()
