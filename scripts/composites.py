"""Composites whose effective tensor or solution is known, each by one `homog-run`: the table of docs/results.md.

    python scripts/composites.py [--only discs]

Blobs are drawn here: a smoothed random field, cut at its median, in one cell.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from homog.references.voxel_cell import enclosed

TENSOR, ERROR, FINE = "task=effective_tensor", "rel_l2_homogenized", "rel_l2"

BOUNDED = {10: 4.0564, 1000: 274.01, 0: 0.26764}  # contrast: a*_11 to 0.8, 1.3 and 1.3 %, by --bounds


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        name: Of the row.
        arguments: Of `homog-run`.
        right: What a* is right by, or u is held against; a number, or the name of a metric.
        source: Where that comes from.
    """

    name: str
    arguments: tuple[str, ...]
    right: float | str
    source: str


def square_array(radius: float, contrast: float) -> float:
    """Perrins, McKenzie and McPhedran, Proc. R. Soc. A 369 (1979), for cylinders in a square array."""
    f, t = np.pi * radius**2, (1 + contrast) / (1 - contrast)
    return 1 - 2 * f / (t + f - 0.305827 * f**4 * t / (t**2 - 1.402958 * f**8) - 0.013362 * f**8 / t)


def cubic_array(radius: float, contrast: float) -> float:
    """Spheres in a simple cubic array: Sangani and Acrivos (1983), after McPhedran and McKenzie (1978)."""
    f = 4 / 3 * np.pi * radius**3
    l1, l2, l3, l4, l5 = ((contrast - 1) / (contrast + 2 * i / (2 * i - 1)) for i in range(1, 6))
    first = 1.305 * l2 * f ** (10 / 3) * (1 + 0.231 * l3 * f ** (11 / 3)) / (1 - 0.405 * l2 * f ** (7 / 3))
    rest = 0.0723 * l3 * f ** (14 / 3) + 0.153 * l4 * f**6 + 0.0105 * l5 * f ** (22 / 3)
    return 1 - 3 * f / (-1 / l1 + f + first + rest)


def blobs(folder: Path, size: int) -> Path:
    """Two phases of one half each in three dimensions, blobs some nine voxels wide."""
    field = gaussian_filter(np.random.default_rng(0).standard_normal((size,) * 3), 3 * size / 64, mode="wrap")
    path = folder / f"blobs_{size}.npy"
    np.save(path, (field > np.median(field)).astype(np.uint8))
    return path


def print_bounds() -> None:
    """The bounds of a*_11 of the large blobs by all their voxels, between which `BOUNDED` is."""
    with tempfile.TemporaryDirectory() as folder:
        image = np.load(blobs(Path(folder), 256))
        for contrast in BOUNDED:
            values = np.where(image, float(contrast), 1.0)
            found = enclosed((values, values), None, np.ones(3), 1000)
            lower, middle, upper = (tensor[0, 0] for tensor in (found.lower, found.tensor, found.upper))
            print(f"blobs 256^3, contrast {contrast}: {lower:.5g} to {upper:.5g}, {middle:.5g}", flush=True)


def cases(folder: Path) -> list[Case]:
    """The rows."""
    composite, cube = "problem=composite", ("problem.domain.lower=[0,0,0]", "problem.domain.upper=[1,1,1]")
    phases, radius = "problem.field.inclusion=", "problem.field.radius=0.35"
    found = []
    for contrast in (10.0, 100.0, 0.0):
        arguments, exact = (composite, radius, f"{phases}{contrast}", TENSOR), square_array(0.35, contrast)
        found.append(Case(f"discs, r = 0.35, contrast {contrast:g}", arguments, exact, "series of Perrins et al."))
    arguments = composite, "problem.field.shape=checkerboard", f"{phases}100", TENSOR
    found.append(Case("checkerboard, contrast 100", arguments, 10.0, "Keller"))
    arguments = composite, radius, f"{phases}50", *cube, TENSOR
    found.append(Case("spheres, r = 0.35, contrast 50", arguments, cubic_array(0.35, 50.0), "Sangani and Acrivos"))
    for contrast in (10, 1000, 0):
        image = f"problem.field.path={blobs(folder, 64)}", f"problem.field.values={{0: 1, 1: {contrast}}}"
        arguments = "problem=image", *image, *cube, TENSOR
        found.append(Case(f"blobs 64^3, contrast {contrast}", arguments, "cell_problem_11", "bounds by its voxels"))
    for contrast, right in BOUNDED.items():
        path = blobs(folder, 256)
        image = f"problem.field.path={path}", f"problem.field.values={{0: 1, 1: {contrast}}}"
        name, source = f"blobs 256^3, contrast {contrast}", "bounds by all its voxels"
        found.append(Case(name, ("problem=image", *image, *cube, TENSOR), right, source))
    for eps in ("1e-3", "1e-4"):
        arguments = composite, radius, f"{phases}100", f"eps={eps}", "reference=homogenized", "timestep.macro_factor=16"
        found.append(Case(f"discs, contrast 100, eps = {eps}: u", arguments, ERROR, "u_0"))
    eight = composite, radius, f"{phases}100", "eps=0.125", "timestep.macro_factor=16"
    found.append(Case("8 x 8 discs, contrast 100: u", eight, FINE, "u_eps, FEM"))
    arguments = composite, radius, f"{phases}0", "eps=0.01"
    found.append(Case("plate with holes, eps = 0.01: u", arguments, ERROR, "u_0"))
    return found


def row(case: Case, folder: Path) -> str:
    """Run a case; its line of the table."""
    start = time.perf_counter()
    run = folder / "".join(c if c.isalnum() else "_" for c in case.name)
    command = [str(Path(sys.executable).parent / "homog-run"), *case.arguments, f"hydra.run.dir={run}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    found = json.loads((run / "metrics.json").read_text())
    if case.right in (ERROR, FINE):
        told = found["rel_l2_error_estimate" if case.right == FINE else "rel_l2_smooth_error_estimate"]
        return f"| {case.name} | {case.source} | error {found[case.right]:.2g} | told {told:.2g} | {seconds:.0f} |"
    right = found[case.right] if isinstance(case.right, str) else case.right
    value, width = found["effective_11"], 2.042 * found["effective_11_standard_error"] + found["effective_11_bias"]
    cell = found["cell_problem_11"]
    both = f"{value:.4g} +- {width:.2g} ({100 * (value / right - 1):+.1f} %)"
    by_cell = f"{cell:.4g} to {found['cell_problem_error_estimate']:.1g} ({100 * (cell / right - 1):+.2f} %)"
    return f"| {case.name} | {right:.5g}, {case.source} | {both} | {by_cell} | {seconds:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Effective tensors and solutions of composites that are known.")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--bounds", action="store_true", help="bounds of the large blobs instead, a quarter of an hour")
    given = parser.parse_args()
    if given.bounds:
        print_bounds()
        return
    only = given.only
    print("| case | right | a*_11 by walkers, 95 % | by the cell problem, its own estimate | seconds |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            if case.name.startswith(only):
                print(row(case, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
