"""a* of images by TauFactor and by this project, seconds and values side by side: a table of docs/composites.md.

    pip install taufactor
    python scripts/beside_taufactor.py [--threads 2]

TauFactor (Kench, Squires and Cooper, JOSS 8, 2023) is no dependency. It holds the potential on two opposite faces and
lets no current through the others, which is the cell problem where the image is its own mirror image along each axis;
so are these. It finds one entry of a*, at its default criterion (1e-2); ours are the whole tensor.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import taufactor  # pyright: ignore[reportMissingImports]
import torch
from scipy.ndimage import gaussian_filter

from homog import equation
from homog.config import DomainSettings, FieldProblem, ImageField
from homog.measures.spreading import effective_tensor_by_walkers
from homog.references.cell import effective_tensor


def ball(size: int, dimension: int, radius: float) -> np.ndarray:
    """One in the middle of a cell."""
    places = (np.arange(size) + 0.5) / size - 0.5
    squares = np.meshgrid(*[places**2] * dimension, indexing="ij", sparse=True)
    return np.less(sum(squares), radius**2).astype(np.uint8)


def mirrored_blobs(size: int) -> np.ndarray:
    """Half of each phase, and the same again as in a mirror along each axis."""
    field = gaussian_filter(np.random.default_rng(0).standard_normal((size // 2,) * 3), size / 32, mode="mirror")
    blobs = (field > np.median(field)).astype(np.uint8)
    for axis in range(3):
        blobs = np.concatenate([blobs, np.flip(blobs, axis)], axis)
    return blobs


def by_taufactor(image: np.ndarray, contrast: float) -> tuple[float, float]:
    """a*_11 where the phase 0 has a = 1 and the phase 1 the contrast; and seconds."""
    volume = image if image.ndim == 3 else image[:, :, None]
    start = time.perf_counter()
    if contrast == 0:
        solver = taufactor.Solver(1.0 - volume, device="cpu")
    else:
        solver = taufactor.MultiPhaseSolver(volume + 1, cond={1: 1.0, 2: contrast}, device="cpu")
    solver.solve(verbose=False)
    return float(np.ravel(solver.D_eff)[0]), time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="a* by TauFactor and by homog.")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    torch.set_num_threads(parser.parse_args().threads)
    images = {
        "disc, r = 0.35, 512^2": (ball(512, 2, 0.35), (10.0, 100.0, 0.0)),
        "sphere, r = 0.35, 96^3": (ball(96, 3, 0.35), (50.0, 0.0)),
        "mirrored blobs, 96^3": (mirrored_blobs(96), (10.0, 1000.0, 0.0)),
    }
    print("| image | contrast | TauFactor | s | two networks, their estimate | s | walkers, 95 % | s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path, kernels = Path(folder) / "image.npy", Path(folder) / "kernels"
        for name, (image, contrasts) in images.items():
            np.save(path, image)
            for contrast in contrasts:
                field = ImageField(path=str(path), values={0: 1.0, 1: contrast}, period="1")
                box = DomainSettings(lower=[0.0] * image.ndim, upper=[1.0] * image.ndim)
                settings = FieldProblem(name="image", coefficient="field", forcing="0", domain=box, field=field)
                problem = equation.build(settings, 1.0)
                theirs, their_seconds = by_taufactor(image, contrast)
                start = time.perf_counter()
                tensor, error = effective_tensor(problem)
                seconds = time.perf_counter() - start
                effective_tensor_by_walkers(problem, 8, cache=kernels)  # compiles
                start = time.perf_counter()
                walked = effective_tensor_by_walkers(problem, cache=kernels)
                walking = time.perf_counter() - start
                print(
                    f"| {name} | {contrast:g} | {theirs:.5g} | {their_seconds:.1f} |"
                    f" {tensor[0, 0]:.5g} to {error:.1g} |"
                    f" {seconds:.1f} | {walked.value[0, 0]:.4g} +- {walked.half_width()[0, 0]:.2g} | {walking:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
