"""Networks and optimizers: initial law, boundary values, schedules, averages."""

import math

import numpy as np
import pytest
import torch

from homog import networks
from homog.config import MLP, AdamCosine, AdamExponential, FourierMLP
from homog.domains import Box
from homog.networks import BoundaryAnsatz
from homog.solvers.optimizers import Adam, learning_rate


def test_initial_weights_are_glorot_normal_and_biases_zero():
    network = networks.build(
        MLP(depth=3, width=400, activation="relu", scale=None, spread=0.0), Box((0.0,) * 2, (1.0,) * 2), seed=1
    )
    hidden = network.layers[2]
    sigma = math.sqrt(2 / 800)
    assert float(hidden.weight.detach().std()) == pytest.approx(sigma, rel=4 / math.sqrt(2 * 400**2))
    assert abs(float(hidden.weight.detach().mean())) < 4 * sigma / 400
    assert float((hidden.weight.abs() > 3 * sigma).float().mean()) == pytest.approx(0.0027, rel=0.25)  # normal tails
    assert all(not layer.bias.any() for layer in network.layers[::2])


def test_scale_maps_the_box_to_a_cube():
    box = Box((-1.0, 2.0), (3.0, 5.0))
    network = networks.build(MLP(depth=1, width=4, scale=2.0, activation="relu", spread=0.0), box, seed=0)
    seen = []
    network.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([[-1.0, 5.0], [1.0, 3.5]]))
    np.testing.assert_allclose(seen[0], [[-2, 2], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_ansatz_takes_the_boundary_values_exactly(make_problem, dimension: int):
    problem = make_problem("1", dimension=dimension, boundary="sin(3*x1) + 2")
    network = BoundaryAnsatz(
        networks.build(MLP(depth=2, width=16, activation="relu", scale=None, spread=0.0), problem.domain, 0), problem
    )
    edge = problem.domain.sample_boundary(200, np.random.default_rng(0))
    with torch.no_grad():
        values = network(torch.tensor(edge, dtype=torch.float32)).numpy()
        inside = network(torch.full((1, dimension), 0.4)).numpy()
    np.testing.assert_allclose(values, np.sin(3 * edge[:, 0]) + 2, atol=1e-6)
    assert abs(inside - (np.sin(1.2) + 2)) > 1e-4


def test_the_papers_schedule_and_the_cosine():
    paper = AdamExponential(iterations=5000, learning_rate=1e-4, gamma=0.85)
    assert learning_rate(paper, 0) == 1e-4
    assert learning_rate(paper, 3000) == pytest.approx(1e-4 * 0.85**3)
    cosine = AdamCosine(iterations=100, learning_rate=1e-2, final=0.1, average=0.0)
    rates = [learning_rate(cosine, n) for n in (0, 50, 100)]
    assert rates == pytest.approx([1e-2, 0.55e-2, 1e-3])


@pytest.mark.parametrize(("share", "averaged"), [(0.0, 0), (0.2, 2), (0.5, 5)])
def test_the_solution_is_the_mean_of_the_last_weights(share: float, averaged: int):
    network = torch.nn.Linear(1, 1, bias=False)
    adam = Adam(AdamCosine(iterations=10, learning_rate=0.1, average=share), network)
    seen = []
    for n in range(10):
        adam.prepare(n)
        adam.descend(lambda: (network.weight**2).sum())
        adam.conclude(n)
        seen.append(float(network.weight.detach()))
    expected = np.mean(seen[-averaged:]) if averaged else seen[-1]
    assert float(adam.solution().weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_the_fourier_networks_wave_numbers_have_the_given_spread():
    network = networks.build(
        FourierMLP(depth=1, width=4, features=20_000, sigma=30.0, activation="relu"), Box((0.0,) * 2, (1.0,) * 2), 5
    )
    numbers = network.wave_numbers
    assert numbers.shape == (10_000, 2)
    assert float(numbers.std()) == pytest.approx(30, rel=4 / math.sqrt(2 * 20_000))
    assert abs(float(numbers.mean())) < 4 * 30 / math.sqrt(20_000)
    assert float((numbers.abs() > 90).float().mean()) == pytest.approx(0.0027, rel=0.6)  # normal tails: 54 of 20,000


def test_fourier_features_are_cosines_and_sines_that_training_leaves_alone():
    network = networks.build(
        FourierMLP(depth=2, width=8, activation="tanh", scale=2.0, features=6, sigma=3.0), Box((0.0,), (1.0,)), 0
    )
    x = torch.rand(50, 1)
    phase = (4 * x - 2) * network.wave_numbers[:, 0]
    np.testing.assert_allclose(network.embed(x), torch.cat([phase.cos(), phase.sin()], -1), atol=1e-6)
    assert [layer.in_features for layer in network.layers[::2]] == [6, 8, 8]
    assert "wave_numbers" in network.state_dict()
    assert "wave_numbers" not in dict(network.named_parameters())
