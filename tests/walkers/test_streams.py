"""Streams: what is drawn for one purpose is drawn for no other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from homog import losses
from homog.config import Energy
from homog.measures.fine_scale import fine_scale
from homog.measures.longer_walk import longer_walk
from homog.measures.spreading import effective_tensor_by_walkers
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Purpose, Walkers, point_generator, stream_key

STEPS = TimeSteps(1e-3, 5, 1, 1)


class Nothing(nn.Module):
    """u = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x[..., 0]


def test_no_two_purposes_share_keys_or_points():
    numbers = [*range(500), 10**9, 2**39]
    keys = {stream_key(seed, number, purpose) for seed in (0, 1) for number in numbers for purpose in Purpose}
    assert len(keys) == 2 * len(numbers) * len(Purpose)
    drawn = {point_generator(0, number, purpose).random() for number in numbers for purpose in Purpose}
    assert len(drawn) == len(numbers) * len(Purpose)


def test_a_training_draws_what_it_always_drew():
    """The hash of SplitMix64, written out: a checkpoint of long ago goes on with the same walkers."""
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15

    def mixed(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    for seed, iteration in ((0, 0), (7, 12)):
        assert stream_key(seed, iteration) == mixed((mixed((seed + golden) & mask) + (iteration + 1) * golden) & mask)
        theirs = np.random.Generator(np.random.Philox(key=[seed, iteration])).random(3)
        assert (point_generator(seed, iteration).random(3) == theirs).all()


def test_all_that_a_run_sends_walkers_for_has_numbers_of_its_own(
    make_problem, kernels: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: dict[str, set[bytes]] = {}
    walk, purpose = Walkers.walk, ""

    def recorded(self, points, per_point, steps, key, lagged=None):
        drawn = {np.asarray(key).tobytes(), points[0].tobytes(), points[-1].tobytes()}
        seen.setdefault(purpose, set()).update(drawn)
        return walk(self, points, per_point, steps, key, lagged)

    problem, network = make_problem(eps=0.3), Nothing()
    monkeypatch.setattr(Walkers, "walk", recorded)
    purpose = "training"
    loss = losses.EnergyLoss(Energy(points=64, walkers=1), problem, STEPS, 0, kernels)
    for iteration in range(12):
        loss.sample(iteration)
    purpose = "the longer walk"
    longer_walk(network, problem, STEPS, 12.0, 0, kernels, affordable=1.0)
    purpose = "the fine scale"
    fine_scale(network, problem, STEPS, problem.domain.grid(7), 2, 0, kernels)
    purpose = "the effective tensor"
    effective_tensor_by_walkers(problem, 8, 0, cache=kernels)
    assert len(seen) == 4
    for one in seen:
        for other in seen:
            assert one == other or not seen[one] & seen[other], (one, other)
