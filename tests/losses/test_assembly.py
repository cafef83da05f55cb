"""The sums over walkers that make the linear system, by products of factors, by any functions, and in plain NumPy."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from homog.config import MLP, Cosines, Legendre, NetworkSettings
from homog.losses import assembly
from homog.losses.assembly import Excursions, Slopes, sums
from homog.losses.system import functions
from homog.machine import pieces
from homog.networks import BoundaryAnsatz, build


def walkers(dimension: int, count: int = 3000, each: int = 3) -> tuple[Excursions, torch.Tensor]:
    """Random ones in a box, some of which left, and a variate."""
    random = torch.Generator().manual_seed(1)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random)

    starts = uniform(count, dimension)
    ends = (starts[:, None] + 0.05 * torch.randn(count, each, dimension, generator=random)).clamp(0, 1)
    half = torch.randn(count, dimension, dimension, generator=random)
    return Excursions(starts, ends, uniform(count, each), uniform(count, each)), half + half.transpose(1, 2)


NETWORKS = pytest.mark.parametrize(
    ("dimension", "settings"),
    [(1, Legendre(count=7)), (2, Legendre(count=5)), (3, Legendre(count=3)), (2, Cosines(count=4)), (2, MLP(width=12))],
    ids=str,
)


@NETWORKS
def test_sums_are_those_of_the_formula(make_problem, kernels: Path, dimension: int, settings: NetworkSettings):
    """With a lift, and slopes at the faces; products in single precision, 6e-8 each, of which few cancel."""
    problem = make_problem("1", dimension=dimension, boundary="1 + x1**2")
    network = BoundaryAnsatz(build(settings, problem.domain, 0), problem)
    walk, variate = walkers(dimension)
    step = 0.1
    matrix, control, load = sums(network, walk, Slopes(variate, step, problem.domain), kernels)
    with torch.no_grad():
        here, there = (functions(network, x).double().numpy() for x in (walk.starts, walk.ends))
        slope = np.empty((len(here), dimension, here.shape[1]))
        for axis in range(dimension):
            ends = [walk.starts.clone() for _ in range(2)]
            ends[0][:, axis] = (ends[0][:, axis] + step).clamp(max=1)
            ends[1][:, axis] = (ends[1][:, axis] - step).clamp(min=0)
            after, before = (functions(network, x).double().numpy() for x in ends)
            slope[:, axis] = (after - before) / (ends[0] - ends[1])[:, axis, None].double().numpy()
    gained = (there - here[:, None]) * walk.stiffness.double().sqrt().numpy()[..., None]
    exact = [np.einsum("nsi,nsj->ij", gained, gained), np.einsum("nai,nab,nbj->ij", slope, variate.numpy(), slope)]
    exact += [walk.load.sum(1).numpy() @ here]
    for found, expected in zip((matrix, control, load), exact, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@NETWORKS
def test_sums_do_not_depend_on_the_threads(
    make_problem, kernels: Path, monkeypatch: pytest.MonkeyPatch, dimension: int, settings: NetworkSettings
):
    problem = make_problem("1", dimension=dimension)
    network = BoundaryAnsatz(build(settings, problem.domain, 0), problem)
    walk, variate = walkers(dimension)
    slopes = Slopes(variate, math.sqrt(0.01), problem.domain)
    monkeypatch.setattr(assembly, "_PIECE", 256)
    found = []
    for count in (1, 3):
        monkeypatch.setattr(pieces, "threads", lambda count=count: count)
        found.append(sums(network, walk, slopes, kernels))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
