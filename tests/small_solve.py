"""Small solves by the walkers' energy, of which measures take the equations."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from homog.config import Energy, Galerkin, Legendre
from homog.equation import Problem
from homog.losses import Loss
from homog.losses import build as build_loss
from homog.measures.assembled import Assembled
from homog.networks import build as build_network
from homog.solvers.ensemble import EnsembleSolve, batches_of_a_sample
from homog.solvers.family import FamilySolver, Member
from homog.solvers.galerkin import GalerkinSolver
from homog.timesteps.timestep import TimeSteps

ITERATIONS = 8


def prepared(
    problem: Problem, steps: TimeSteps, seed: int, kernels: Path, count: int = 10, points: int = 4096
) -> tuple[Loss, nn.Module]:
    """The loss, and the network as it wants it."""
    loss = build_loss(Energy(points=points, walkers=4), problem, steps, seed, kernels)
    return loss, loss.network(build_network(Legendre(count=count), problem.domain, 0, problem.boundary.walls))


def solved(
    problem: Problem, steps: TimeSteps, seed: int, kernels: Path, count: int = 10, points: int = 4096
) -> GalerkinSolver:
    """A solve that has all its walkers."""
    solver = GalerkinSolver(Galerkin(iterations=ITERATIONS), *prepared(problem, steps, seed, kernels, count, points))
    for iteration in range(ITERATIONS):
        solver.add(iteration)
    return solver


def assembled(solver: GalerkinSolver, steps: TimeSteps) -> Assembled:
    """Its equations."""
    answers, freedom = solver.answers()
    return Assembled(solver.network, solver.matrices(), answers, freedom, steps.macro_step)


class FamilySolves:
    """Solves of a family, of the same steps for all members, which are prepared once for all seeds."""

    def __init__(self, problem: Problem, steps: TimeSteps, kernels: Path, count: int = 8, points: int = 512) -> None:
        assert problem.ranges is not None
        self._ranges = problem.ranges
        self._members = [
            Member(*prepared(problem.member(self._ranges.values(place)), steps, 0, kernels, count, points))
            for place in [*self._ranges.nodes, 0 * self._ranges.nodes[0]]
        ]

    def begun(self, seed: int) -> FamilySolver:
        """One that has no walkers yet."""
        for member in self._members:
            member.loss.seed = seed  # type: ignore[attr-defined]
        return FamilySolver(Galerkin(iterations=12), self._ranges, self._members[:-1], self._members[-1])

    @property
    def batches(self) -> int:
        """Of one solve."""
        return 3 * len(self._ranges.nodes)

    def solved(self, seed: int) -> FamilySolver:
        """One that has all its walkers."""
        solver = self.begun(seed)
        for iteration in range(self.batches):
            solver.step(iteration)
        return solver


def ensemble_solved(settings: Galerkin, samples: int, made: Callable[[int], tuple[Loss, nn.Module]]) -> EnsembleSolve:
    """The solve of samples that has all its walkers."""
    solver = EnsembleSolve(settings, samples, made(0), made)
    for iteration in range(settings.iterations + (samples - 1) * batches_of_a_sample(settings)):
        solver.step(iteration)
    return solver
