"""The table of u made by PyTorch: the spline that NumPy makes, up to rounding in double precision."""

import numpy as np
import pytest
import torch
from torch import nn

from homog.domains import Box
from homog.losses.lagged import LaggedOnDevice, lagged_spline
from homog.walkers.lookup import Table

CORNERS = (0.0, -1.0, 2.0), (1.0, 2.0, 2.5)
COUNTS = {1: 257, 2: 65, 3: 9}
CPU = torch.device("cpu")


class Waves(nn.Module):
    """A function that is different along each axis."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.tensor([3.0, -5.0, 7.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x * self.rates[: x.shape[-1]] + 1).prod(-1) + x[..., 0] ** 2


def made_twice(dimension: int):
    box, network = Box(*(corner[:dimension] for corner in CORNERS)), Waves()
    count = COUNTS[dimension]
    return box, lagged_spline(network, box, count), LaggedOnDevice(box, count, CPU)(network)


@pytest.mark.parametrize("dimension", COUNTS)
def test_its_coefficients_are_those_of_the_host(dimension: int):
    """The network's values are the same; each coefficient is a sum of them whose weights add up to at most 16^d."""
    _, exact, found = made_twice(dimension)
    assert found.coefficients.dtype == torch.float64
    np.testing.assert_allclose(found.coefficients.numpy(), exact.coefficients, rtol=0, atol=1e-15 * 16**dimension)
    np.testing.assert_array_equal(found.on_host().coefficients, found.coefficients.numpy())


@pytest.mark.parametrize("dimension", COUNTS)
def test_its_values_are_those_of_the_host_up_to_the_faces(dimension: int):
    box, exact, found = made_twice(dimension)
    points = np.concatenate([box.sample(500, np.random.default_rng(0)), box.corners()])
    np.testing.assert_allclose(found(torch.from_numpy(points)).numpy(), exact(points), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dimension", COUNTS)
def test_kernels_are_handed_the_same_table(dimension: int):
    _, exact, found = made_twice(dimension)
    one, other = Table.of(found), Table.of(exact)
    assert isinstance(one.coefficients, torch.Tensor)
    # a coefficient that lies between two numbers of single precision may be rounded to either
    np.testing.assert_allclose(one.coefficients.numpy(), other.coefficients, rtol=1.2e-7, atol=1e-13)
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.per_length, other.per_length)


def test_it_follows_the_network():
    box, network = Box((0.0,), (1.0,)), Waves()
    table = LaggedOnDevice(box, 33, CPU)
    before = table(network).coefficients
    with torch.no_grad():
        network.rates += 1
    after = table(network).coefficients
    assert not after.requires_grad
    np.testing.assert_allclose(after.numpy(), lagged_spline(network, box, 33).coefficients, rtol=0, atol=1e-13)
    assert float((after - before).abs().max()) > 0.1
