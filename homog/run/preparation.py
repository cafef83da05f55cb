"""What a run trains, made from its settings."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from homog import losses, networks
from homog.config import Galerkin, NaturalGradient, RunSettings
from homog.equation import Problem, Ranges
from homog.networks import tangent_in
from homog.run.task import time_steps
from homog.solvers.ensemble import EnsembleSolve, batches_of_a_sample
from homog.solvers.family import FamilySolver, Member, batches_of_a_node
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps


def prepare_network(
    settings: RunSettings, problem: Problem, steps: TimeSteps | None, device: torch.device, kernels: Path
) -> tuple[losses.Loss, nn.Module]:
    """The loss, and the network as it wants it, with its initial weights; arguments as of `prepare_training`.

    Raises:
        UserError: If the method cannot solve the problem.
    """
    loss = losses.build(settings.method, problem, steps, settings.seed, kernels, device)
    network = loss.network(networks.build(settings.network, problem.domain, settings.seed, problem.boundary.walls))
    if isinstance(settings.optimizer, NaturalGradient):
        tangent_in(network)
    return loss, network.to(device)


def prepare_training(
    settings: RunSettings, problem: Problem, steps: TimeSteps | None, device: torch.device, kernels: Path
) -> tuple[losses.Loss, Training]:
    """The loss, and the training that it takes part in, before its first iteration.

    Args:
        settings: Settings of the run; their seed is that of weights, points and walkers.
        problem: What is solved.
        steps: The time steps; None for a method that sends no walkers.
        device: On which the network trains, and walkers walk.
        kernels: Folder for compiled kernels.

    Raises:
        UserError: If the method cannot solve the problem, or the optimizer cannot minimise its loss over the network.
    """
    if problem.ranges is not None:
        return _prepare_family(settings, problem, problem.ranges, device, kernels)
    loss, network = prepare_network(settings, problem, steps, device, kernels)
    if settings.problem.samples > 1:
        return loss, _over_samples(settings, problem, (loss, network), device, kernels)
    return loss, train(loss, network, settings.optimizer)


def _over_samples(
    settings: RunSettings, problem: Problem, first: tuple[losses.Loss, nn.Module], device: torch.device, kernels: Path
) -> Training:
    """The training of all samples of the medium."""

    def made(number: int) -> tuple[losses.Loss, nn.Module]:
        sample = problem.sample(number)
        return prepare_network(settings, sample, time_steps(settings, sample), device, kernels)

    assert isinstance(settings.optimizer, Galerkin)
    samples = settings.problem.samples
    further = (samples - 1) * batches_of_a_sample(settings.optimizer)
    solver = EnsembleSolve(settings.optimizer, samples, first, made)
    return Training(first[0], solver, settings.optimizer.iterations + further)


def _prepare_family(
    settings: RunSettings, problem: Problem, ranges: Ranges, device: torch.device, kernels: Path
) -> tuple[losses.Loss, Training]:
    """The loss of the middle, and the training of all."""

    def member(place: np.ndarray) -> Member:
        at = problem.member(ranges.values(place))
        loss, network = prepare_network(settings, at, time_steps(settings, at), device, kernels)
        return Member(loss, network)

    assert isinstance(settings.optimizer, Galerkin)
    members, middle = [member(place) for place in ranges.nodes], member(ranges.own_place(problem.parameters))
    solver = FamilySolver(settings.optimizer, ranges, members, middle)
    loss = members[len(members) // 2].loss  # the record has the statistics of its walkers
    return loss, Training(loss, solver, batches_of_a_node(settings.optimizer) * len(members))
