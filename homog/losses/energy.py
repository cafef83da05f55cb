"""The energy of the walkers: quadratic in u, without any derivative (beyond the paper)."""

import math
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.config import Energy
from homog.domains import REFLECTING, Box
from homog.equation import Problem
from homog.errors import UserError
from homog.fields.splines import Spline
from homog.losses.assembly import Excursions, Slopes, Sums, sums
from homog.losses.both_ways import sums_both_ways
from homog.losses.inflow import Inflow, Inflows, legs
from homog.losses.loss import Draw
from homog.losses.system import LinearSystem, Tested, quotients, smooth_functions
from homog.losses.walking import Forms, Mass, Sample, Value, WalkingLoss
from homog.machine import ranks
from homog.networks import BoundaryAnsatz, LinearInFeatures
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Lagged, Walk, Walkers, placed

_AT_ONCE = 2**15  # walkers of a piece that is differentiated
_SHARE = 4  # of the walkers one in so many is looked at earlier
_SHARE_AGAIN = 8  # and one in so many walks again, with steps half as long and as long as they are
_CEILING = 0.98  # of places that have a below it, where its largest value is far above most
_EARLIER = (16, 4)  # parts of the macro step after which it is looked at


class EnergyLoss(WalkingLoss[Energy]):
    """J(u) = 1/(2 Dt) int a { E[(u(X) - u(x))^2 / 2; inside] + E[(g(X) - u(x))^2; left] } dx - 1/Dt int a E[R] u dx.

    The solution fulfils u = P u + h + r with P u(x) = E[u(X); inside], h = E[g(X); left] and r = E[R], R that of all
    walkers, those that left included. The generator 1/2 Lap + V.grad is (1/2a) div(a grad), so P is self-adjoint for
    a dx: int a P(u v) = int a u v P1 and int a u P v = int a v P u. With these the slope of J along v is
    1/Dt int a { (u v P1 - v P u) + v (u (1 - P1) - h) - v r } dx = 1/Dt int a v (u - P u - h - r) dx: zero for all v
    where u is the solution, for any g. A walker that left counts twice, since no other comes back in its stead.

    Signal and noise are of one order whatever eps is; the bootstrapped target has them as Dt to sqrt(Dt). Among smooth
    u the minimum sees the diffusivity a* + (mean a - a*)(1 - e^(-l Dt)) / (l Dt), where l is the rate at which a cell
    is forgotten, 4 pi^2 / eps^2 for the linear problem: 1 % too much at the least macro step, 0.1 % at 16 of them.

    The boundary ansatz holds u = g (with a penalty the energy is ill-conditioned), so that u(X) = g(X) where a walker
    left. A nonlinear coefficient is read, here and on the path, from a table of the network it is called with.

    With a reaction and where walls let something out, walkers have weights w = exp(-int c / (2a) - int k / a dl), l the
    local time on a face; then P is that of w, the two squares count for w, and 1/(2 Dt) int a u^2 (1 - E[w]) is added,
    E[w] over all walkers. What walls let in and out is measured by walkers from them (`homog.losses.inflow`). A face
    that reflects leaves P self-adjoint, and so does one through which walkers come in again across.

    With a velocity there is no energy, but the same equations by walkers of both directions: `homog.losses.both_ways`.

    Args:
        settings: Sample sizes and scheme.
        problem: What is solved.
        steps: The time steps.
        seed: Seed of the points and the walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
        device: Where walkers walk, and the network trains.
    """

    def __init__(self, settings: Energy, problem: Problem, *rest: Any) -> None:
        if problem.operator.velocity_of_u:
            raise UserError("method=energy takes a problem.velocity without u in it: write method=dflm or method=pinn")
        super().__init__(settings, problem, *rest)

    def network(self, network: nn.Module) -> nn.Module:
        """The network in the boundary ansatz."""
        return BoundaryAnsatz(network, self.problem)

    def draw(self, network: nn.Module, iteration: int) -> Draw:
        lagged = self.lagged_for_walkers(network)
        sample, inflow = self.sample(iteration, lagged), self._inflow(iteration, lagged)
        return Draw(self.inputs(sample, inflow, lagged), self._taken(sample, inflow))

    def remedy(self) -> str:
        """What to write instead where a training by Adam runs away."""
        return "take a smaller optimizer.learning_rate, or optimizer=galerkin"

    @property
    def capturable(self) -> bool:
        return super().capturable and self.settings.sampling == "uniform"

    def value(self, network: nn.Module, inputs: Excursions) -> Float[Tensor, ""]:
        """An unbiased estimate of J, and of its slopes in the network's weights: u(X) keeps its graph.

        Raises:
            UserError: If there is a velocity, and with it no energy.
        """
        if not self._is_reversible:
            raise UserError(
                "with a problem.velocity there is no energy to minimise: write optimizer=galerkin or natural_gradient,"
                " which solve the equations, or method=dflm"
            )
        here = network(inputs.starts)[:, None]
        gained = network(inputs.ends) - here
        found = (0.5 * inputs.stiffness * gained.square() - inputs.load * here).sum()
        if inputs.lost is not None:
            found = found + 0.5 * (inputs.lost * here[:, 0].square()).sum()
        if inputs.through is None or inputs.push is None or inputs.drain is None:
            return found
        there = network(inputs.through)
        return found + (0.5 * inputs.drain * there.square() - inputs.push * there).sum()

    def equations(self, network: LinearInFeatures, iteration: int, lagged: Spline | None) -> LinearSystem:
        """S v = load, the slopes of J zero: S_ij = sum stiffness dphi_i dphi_j with dphi = phi(X) - phi(x).

        The control has (grad phi_i . W)(grad phi_j . W) - duration grad phi_i . grad phi_j in place of dphi_i dphi_j.
        Products are taken in single precision over blocks of walkers and summed in double precision.
        """
        sample = self.sample(iteration, lagged)
        inflow = self._inflow(iteration, lagged)
        matrix, control, load = self._sums(network, sample, sample.walk, self.steps, inflow, lagged, self.walkers)
        tests = smooth_functions(network)
        tested = self._tested(network, sample, iteration, lagged, tests) if len(tests) else None
        return LinearSystem(matrix, -control, load, self._taken(sample, inflow), tested)

    def equations_and_value(
        self, network: LinearInFeatures, iteration: int, lagged: Spline | None
    ) -> tuple[LinearSystem, Value | None]:
        sample, inflow = self.sample(iteration, lagged), self._inflow(iteration, lagged)
        matrix, control, load = self._sums(network, sample, sample.walk, self.steps, inflow, lagged, self.walkers)
        system = LinearSystem(matrix, -control, load, self._taken(sample, inflow))
        if not self._is_reversible:
            return system, None
        inputs = self.inputs(sample, inflow, lagged)
        return system, lambda u: self.value(u, inputs)

    def forms(self, iteration: int, lagged: Spline | None) -> Forms | None:
        if not self._is_reversible:
            return None
        sample, inflow = self.sample(iteration, lagged), self._inflow(iteration, lagged)
        inputs, control = self.inputs(sample, inflow, lagged), self._control(sample, self.steps)
        step = math.sqrt(self.steps.macro_step)
        values, controls = list[Value](), list[Value]()
        size = max(1, _AT_ONCE // self.settings.per_point)
        for first in range(0, len(inputs.starts), size):
            some = slice(first, first + size)
            part = inputs.of_points(some)
            values.append(partial(self.value, inputs=part))
            controls.append(partial(_control_form, starts=part.starts, variate=control[some], step=step,
                                    domain=self.problem.domain))  # fmt: skip
        return Forms(values, controls, self._taken(sample, inflow))

    @staticmethod
    def _walked(problem: Problem) -> Problem:
        """Without q, where that has walkers of its own."""
        if problem.operator.velocity is not None or not problem.boundary.fluxes:
            return problem
        return problem.but(boundary=problem.boundary.without_flux())

    @property
    def _only_spreads(self) -> bool:
        """Whether a velocity adds to a* alone: through a face that reflects it may carry."""
        return self.problem.stirs and REFLECTING not in self.problem.boundary.walls.faces

    @property
    def _is_reversible(self) -> bool:
        """Whether there is no velocity, and an energy."""
        return self.problem.operator.velocity is None

    @cached_property
    def _inflows(self) -> Inflows | None:
        """The points on faces with a q or a k; None where there is no such face."""
        walkers, boundary = self.settings.points * self.settings.per_point, self.problem.boundary
        there = bool(boundary.fluxes or boundary.factors) and self._is_reversible
        return Inflows(self.problem, walkers, self.seed, self._device) if there else None

    def _inflow(self, iteration: int, lagged: Lagged | None) -> Inflow | None:
        """What a batch's walkers from faces bring back."""
        if self._inflows is None:
            return None
        return self._inflows.walk(self.walkers, legs(self.steps, self._parts), iteration, lagged)

    @property
    def _parts(self) -> int:
        """What the number of steps has to be a multiple of."""
        return self.walkers.scheme.parts if self.walkers.scheme.may_stay else 1

    def _taken(self, sample: Sample, inflow: Inflow | None) -> int:
        ways = 1 if self._is_reversible else 2
        return ways * sample.walker_steps + (0 if inflow is None else inflow.walker_steps * ranks.count())

    def _tested(
        self,
        network: LinearInFeatures,
        sample: Sample,
        iteration: int,
        lagged: Lagged | None,
        tests: np.ndarray,
    ) -> Tested:
        """What other time steps say, by some of a sample's walkers on the same paths."""
        scheme, each, every = self.walkers.scheme, self.settings.per_point, _SHARE_AGAIN
        early, again = (self._some(sample, share) for share in (_SHARE, _SHARE_AGAIN))
        if scheme.may_stay:
            again, every, shorter, longer = sample, 1, self.steps, self.steps.lengthened(scheme.parts)
            by_shorter = again.walk
            lacks = 1 / (scheme.parts**self.walkers.order - 1)
        else:
            shorter, longer = self.steps.shortened(scheme.parts), self.steps
            by_shorter = self.walkers.walk(again.points, each, shorter, again.keys, lagged)
            lacks = 1 / (1 - scheme.parts**-self.walkers.order)
        walks = [
            *(
                (early, self.walkers.walk(early.points, each, part, early.keys, lagged), part, self.walkers)
                for part in self._early
            ),
            (early, early.walk, self.steps, self.walkers),
            (again, by_shorter, shorter, self.walkers),
            (again, self._along.walk(again.points, each, longer, again.keys, lagged), longer, self._along),
        ]
        if self._walks_on.type == "cpu":  # for what a GPU has found the host would wait
            for _, walk, _, _ in walks:
                walk.require_finite()
        inflows = self._other_inflows(iteration, lagged, every)
        systems = [
            self._sums(network, some, walk, steps, through, lagged, walkers, tests)
            for (some, walk, steps, walkers), through in zip(walks, inflows, strict=True)
        ]
        matrix, control, load = (np.stack(parts) for parts in zip(*systems, strict=True))
        first, second = (part.count / self.steps.count for part in self._early)
        return Tested(matrix, -control, load, (first, second), lacks)

    def _other_inflows(self, iteration: int, lagged: Lagged | None, every: int) -> list[Inflow | None]:
        """What came in through faces, for each of the five systems: by a share of the walkers, like the sample's."""
        if self._inflows is None:
            return [None] * 5
        whole, parts = legs(self.steps, self._parts), self.walkers.scheme.parts
        if self.walkers.scheme.may_stay:
            shorter, longer = whole, [(steps.lengthened(parts), share) for steps, share in whole]
        else:
            shorter, longer = [(steps.shortened(parts), share) for steps, share in whole], whole
        early = [legs(part, self._parts) for part in self._early]
        return [
            *(self._inflows.walk(self.walkers, times, iteration, lagged, _SHARE) for times in (*early, whole)),
            self._inflows.walk(self.walkers, shorter, iteration, lagged, every),
            self._inflows.walk(self._along, longer, iteration, lagged, every),
        ]

    def _some(self, sample: Sample, share: int) -> Sample:
        """One point in so many, the same ones however many ranks there are."""
        own = slice(-ranks.share(sample.total).start % share, None, share)
        assert sample.mass is not None
        walk, keys = sample.walk.of_points(own), sample.keys[own]
        return replace(sample, points=sample.points[own], mass=sample.mass[own], keys=keys, walk=walk)

    @cached_property
    def _early(self) -> list[TimeSteps]:
        """The first parts of the macro step."""
        return [replace(self.steps, count=max(1, self.steps.count // part)) for part in _EARLIER]

    @cached_property
    def _along(self) -> Walkers:
        """Walkers whose steps are along the paths of those that take shorter ones."""
        scheme = self.walkers.scheme
        return Walkers(self.walkers.problem, scheme.along(scheme.parts), self._cache, self._walks_on)

    def _sums(
        self,
        network: LinearInFeatures,
        sample: Sample,
        walk: Walk,
        steps: TimeSteps,
        inflow: Inflow | None,
        lagged: Lagged | None,
        walkers: Walkers,
        tests: np.ndarray | None = None,
    ) -> Sums:
        """The sums over a walk of some walkers from a sample's points, tested with all functions or with some."""
        sample = replace(sample, walk=walk)
        if self._is_reversible:
            excursions = self._excursions(sample, steps, inflow, lagged)
            return sums(network, excursions, self._slopes(sample, steps), self._cache, tests)
        against = walkers.backwards.walk(sample.points, self.settings.per_point, steps, sample.keys, lagged)
        ways = sample, replace(sample, walk=against)
        return sums_both_ways(
            network,
            [self._excursions(one, steps, None, lagged) for one in ways],
            [self._weights(one, steps) for one in ways],
            [self._slopes(one, steps) for one in ways],
            self._cache,
            tests,
            antisymmetric=not self._only_spreads,
        )

    def _slopes(self, sample: Sample, steps: TimeSteps) -> Slopes:
        return Slopes(self._control(sample, steps), math.sqrt(steps.macro_step), self.problem.domain)

    def _weights(self, sample: Sample, steps: TimeSteps) -> Float[Tensor, "n s"]:
        """w, times what each walker stands for."""
        return self._mass(sample, steps)[:, None] * torch.exp(placed(sample.walk.log_weight, self._device))

    def inputs(self, sample: Sample, inflow: Inflow | None = None, lagged: Lagged | None = None) -> Excursions:
        """What walkers brought back, as the terms of J."""
        return self._excursions(sample, self.steps, inflow, lagged)

    def _excursions(self, sample: Sample, steps: TimeSteps, inflow: Inflow | None, lagged: Lagged | None) -> Excursions:
        walk = sample.walk
        mass, kills = self._mass(sample, steps)[:, None], self.problem.kills
        weight = self._weights(sample, steps)
        starts = placed(sample.points.astype(np.float32), self._device)
        return Excursions(
            starts=starts,
            ends=starts[:, None, :] + placed(walk.displacement, self._device).permute(1, 2, 0),
            stiffness=weight * (0.5 * (1 + placed(walk.left, self._device).float())),
            load=(mass if kills else weight) * placed(walk.reward, self._device),  # of one killed, w is in its reward
            lost=self._lost(sample, steps, (mass - weight).sum(1), lagged),
            through=None if inflow is None else inflow.places,
            push=None if inflow is None else inflow.load,
            drain=None if inflow is None else inflow.drain,
        )

    def _lost(
        self, sample: Sample, steps: TimeSteps, of_weights: Float[Tensor, " n"], lagged: Lagged | None
    ) -> Float[Tensor, " n"] | None:
        """What a reaction takes of the weights of each point's walkers.

        It is all that they lose, unless walls take some of it: then the first walker of each point says what the
        integral of w c / (2a) is, and walls are left to those that set out from them, with much less noise.
        """
        if not self._is_reversible:
            return of_weights
        if self.problem.operator.reaction is None:
            return None
        if self._by_reaction is None:
            return of_weights
        taken = self._by_reaction.walk(sample.points, 1, steps, sample.keys, lagged).reward
        return self._mass(sample, steps) * self.settings.per_point * placed(taken, self._device)[:, 0]

    @cached_property
    def _by_reaction(self) -> Walkers | None:
        """Walkers whose reward is what the reaction takes of their weights; None where it is all that they lose."""
        operator = self.problem.operator
        if operator.reaction is None or not self.problem.boundary.factors:
            return None
        taken = self.walkers.problem.but(operator=replace(operator, forcing=operator.reaction))
        return Walkers(taken, self.walkers.scheme, self._cache, self._walks_on)

    def _control(self, sample: Sample, steps: TimeSteps) -> Float[Tensor, "n d d"]:
        """Sum of a point's (W_i W_j - Q_ij) times a / (2 Dt), without D: of expectation zero.

        Q is duration delta_ij, but for a coefficient that is a matrix.
        """
        brownian, duration = placed(sample.walk.brownian, self._device), placed(sample.walk.duration, self._device)
        control = torch.einsum("ins,jns->nij", brownian, brownian)
        if sample.walk.variance is None:
            control -= duration.sum(1)[:, None, None] * torch.eye(len(brownian), device=self._device)
        else:
            control -= placed(sample.walk.variance, self._device).sum(3).permute(2, 0, 1)
        return 0.5 * self._mass(sample, steps)[:, None, None] * control

    def _mass(self, sample: Sample, steps: TimeSteps) -> Float[Tensor, " n"]:
        """What each walker of a point stands for, over Dt."""
        assert sample.mass is not None
        each = sample.mass / (self.settings.per_point * steps.macro_step)
        return each.float() if isinstance(each, Tensor) else placed(each.astype(np.float32), self._device)

    def _points(self, random: np.random.Generator, lagged: Lagged | None) -> tuple[np.ndarray, Mass]:
        """Points, shape (n, d), and the share of int a dx that each stands for, shape (n,).

        Uniform ones; or those of more, uniform or more in the middle, that are accepted with probability a / ceiling,
        about `points`: what is left of a is where it is above the ceiling, and in their shares.
        """
        domain, count = self.problem.domain, self.settings.points
        if self.settings.sampling == "uniform":
            points = domain.spread(count, random)
            return points, self._coefficient(points, lagged) * float(np.prod(domain.sides)) / count

        def coefficient(points: np.ndarray) -> np.ndarray:
            found = self._coefficient(points, lagged)
            assert isinstance(found, np.ndarray)  # to accept points, the host would wait for a GPU: not `capturable`
            return found

        inside = self.settings.sampling == "interior"
        seen = coefficient(domain.spread(4096, np.random.default_rng(0)))
        ceiling = np.quantile(seen, _CEILING) if inside else seen.max()
        proposed = math.ceil(count * ceiling / np.minimum(seen, ceiling).mean())
        if inside:
            points, density = domain.spread_inside(proposed, random)
        else:
            points, density = domain.spread(proposed, random), np.full(proposed, 1 / np.prod(domain.sides))
        values = coefficient(points)
        accepted = random.random(proposed) < values / ceiling
        return points[accepted], (np.maximum(values, ceiling) / density)[accepted] / proposed


def _control_form(
    u: nn.Module, starts: Float[Tensor, "n d"], variate: Float[Tensor, "n d d"], step: float, domain: Box
) -> Float[Tensor, ""]:
    """-1/2 sum over points of grad u . variate . grad u, by the difference quotients of the control variate."""
    along = quotients(lambda at: u(at)[..., None], starts, step, domain)[..., 0]
    return -0.5 * torch.einsum("in,nij,jn->", along, variate, along)
