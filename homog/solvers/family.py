"""One solve for a family of problems: u(x; mu) for all values of its parameters mu.

Each batch of walkers has values of its own, those of a node of Gauss's rule over the ranges. With functions phi_i(x)
P_k(mu), P_k polynomials that are orthonormal for the mean over mu, the energy's mean over mu has the equations

    sum_q w_q p_q p_q^T (x) S_q,        w_q the weights of the rule, S_q the matrix at the node mu_q, p_q = P(mu_q):

walkers see nothing of it, and the matrices are as small as those of one problem. The noise of all nodes goes into each
u(.; mu), so that K polynomials want K times the walkers of one problem, for all mu together. Growing spaces in x, and
after them growing degrees in mu, are chosen from by the least estimated error, as `homog.solvers.nested` does.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import nn

from homog.config import Galerkin
from homog.equation.ranges import Ranges
from homog.losses import Loss
from homog.networks import LinearInFeatures
from homog.solvers import steps
from homog.solvers.galerkin import GalerkinSolver
from homog.solvers.nested import Choice, InSpace, choose
from homog.solvers.pairs import Pairs, places_in, spread_out

_SHARE = 4  # one in so many of the batches that one problem would take go to each node
_LOOKED_AT = 2  # degree in mu, with which functions of x are chosen
_MARGIN = 4  # further spaces that go on with the best one


@dataclass(frozen=True, eq=False)
class Member:
    """One problem of the family.

    Attributes:
        loss: The method, for this problem.
        network: As the loss wants it, before training.
    """

    loss: Loss
    network: nn.Module


@dataclass(frozen=True, eq=False)
class FamilyEquations:
    """What a family's batches have given: u(x; mu) = lift(x; mu) + sum_ik weights_ik phi_i(x) P_k(mu).

    Attributes:
        ranges: The parameters.
        weights: Shape (m, k).
        halves: By disjoint halves of the walkers, not corrected for the time steps, shape (2, m, k).
        by_degree: Weights with growing degrees in mu, shape (degrees, m, k).
        spreads: How each group of walkers would move these, shape (degrees, m, k, groups).
        index: Which of the degrees the weights are of.
        freedom: Degrees of freedom of the spread.
        lacking_in_x: Root mean square over mu of what the functions of x cannot hold, in the L2 norm.
        steps: Of what the time steps leave, likewise.
        mass: Mean products of the features over the domain, shape (m, m).
    """

    ranges: Ranges
    weights: Float64[np.ndarray, "m k"]
    halves: Float64[np.ndarray, "2 m k"]
    by_degree: Float64[np.ndarray, "degrees m k"]
    spreads: Float64[np.ndarray, "degrees m k groups"]
    index: int
    freedom: int
    lacking_in_x: float
    steps: float
    mass: Float64[np.ndarray, "m m"]

    def arrays(self) -> dict[str, np.ndarray]:
        """All but the ranges, by name."""
        names = [field.name for field in fields(self) if field.name != "ranges"]
        return {name: np.asarray(getattr(self, name)) for name in names}

    @staticmethod
    def of(ranges: Ranges, arrays: Mapping[str, np.ndarray]) -> "FamilyEquations":
        """From what `arrays` gave."""
        plain: dict[str, Any] = {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}
        return FamilyEquations(ranges, **plain)

    def weights_at(self, place: Float64[np.ndarray, " p"]) -> Float64[np.ndarray, " m"]:
        """Of the features, at a place of the ranges."""
        return self.weights @ self.ranges.polynomials(place)

    def parts_at(self, place: Float64[np.ndarray, " p"]) -> tuple[float, float, float]:
        """Of the error at a place of the ranges, in the L2 norm over the domain, about.

        Its standard deviation by sampling, what polynomials and functions cannot hold, and what the time steps leave.
        """
        choice = self.choice_at(place)
        lacking = choice.lacking[self.index] + self.lacking_in_x**2
        return math.sqrt(choice.noise[self.index]), math.sqrt(lacking), self.steps

    def choice_at(self, place: Float64[np.ndarray, " p"]) -> Choice:
        """Noise of u at a place with each of the degrees, and what they lack."""
        used, at = self._used, self.ranges.polynomials(place)
        weights, spreads = self.by_degree[:, used] @ at, np.moveaxis(self._spreads, 2, 3) @ at
        answers = [
            InSpace(np.arange(size), one, spread)
            for size, one, spread in zip(self.ranges.spaces(), weights, spreads, strict=False)
        ]
        return choose(answers, self.mass[np.ix_(used, used)], self.freedom)

    @cached_property
    def _used(self) -> Int64[np.ndarray, " n"]:
        """Numbers of the features that any answer has."""
        return np.flatnonzero(self.by_degree.any((0, 2)))

    @cached_property
    def _spreads(self) -> Float64[np.ndarray, "degrees n k groups"]:
        return self.spreads[:, self._used]

    def best_degree(self) -> int:
        """The number of the degree whose estimated error is the least where it is largest, of corners and middle."""
        count = len(self.ranges.names)
        places = [*itertools.product((-1.0, 1.0), repeat=count), (0.0,) * count]
        choices = [self.choice_at(np.array(place)) for place in places]
        return int(np.argmin(np.max([choice.noise + choice.lacking for choice in choices], axis=0)))


class FamilySolver:
    """Batches of walkers for a family, a node after the other; an optimizer of a training.

    Its solution is u for the problem's own values, the middle of the ranges but for eps. What it tells of itself is of
    that.

    Args:
        settings: Cut-off, and the iterations that one problem would take.
        ranges: The parameters.
        members: A problem for each node of the ranges.
        middle: That of the problem's own values.
    """

    def __init__(self, settings: Galerkin, ranges: Ranges, members: Sequence[Member], middle: Member) -> None:
        self._each, self._ranges = batches_of_a_node(settings), ranges
        of_node = replace(settings, iterations=self._each, groups=self._each)
        self._solvers = [GalerkinSolver(of_node, one.loss, one.network) for one in members]
        self._answer = GalerkinSolver(of_node, middle.loss, middle.network)
        self._middle = ranges.own_place(middle.loss.problem.parameters)
        self._cutoff, self._batches = settings.cutoff, 0
        self._solved: _Solved | None = None
        self._linear: LinearInFeatures = self._answer.network

    def step(self, iteration: int) -> int:
        round_, node = divmod(iteration, len(self._solvers))
        taken = self._solvers[node].add(iteration)
        self._batches = iteration + 1
        if node + 1 == len(self._solvers):
            self._solved = None
            if round_ == 0:
                self._leave_out_functions()
        return taken

    def draw_ahead(self, iteration: int, until: int) -> None:
        """The walkers of the next node are others' than those of this one: none go ahead."""

    def loss(self) -> torch.Tensor:
        return torch.tensor(self._solve().energy if self._whole_rounds() else self._solvers[0].loss())

    def solution(self) -> nn.Module:
        if self._whole_rounds():
            weights = self._solve().equations.weights_at(self._middle)
            self._linear.set_weights(torch.as_tensor(weights, dtype=torch.float32))
        assert isinstance(self._linear, nn.Module)
        return self._linear

    def equations(self) -> FamilyEquations:
        """What the batches have given; each node needs one."""
        return self._solve().equations

    @property
    def network(self) -> LinearInFeatures:
        """Gives the features."""
        return self._linear

    def metrics(self) -> Mapping[str, float | None]:
        if not self._whole_rounds():
            return {}
        solved = self._solve()
        found = solved.equations
        values = np.append(found.weights_at(self._middle), 1.0)
        size = math.sqrt(values @ self._answer.mass() @ values)
        if size == 0:
            return {}
        noise, lacking, _ = found.parts_at(self._middle)
        return {
            "rel_l2_standard_error": noise / size,
            "rel_l2_features": lacking / size,
            "rel_l2_macro_step": solved.macro / size,
            "rel_l2_micro_step": solved.micro / size,
            "features": int(np.count_nonzero(found.weights)),
            "control_coefficient": solved.beta,
        }

    def state(self) -> dict[str, Any]:
        return {"batches": self._batches, "nodes": [one.state() for one in self._solvers]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        for solver, one in zip(self._solvers, state["nodes"], strict=True):
            solver.load_state(one)
        self._batches, self._solved = int(state["batches"]), None

    def _whole_rounds(self) -> int:
        return self._batches // len(self._solvers)

    def _solve(self) -> "_Solved":
        if self._solved is None:
            self._solved = self._solve_again()
        return self._solved

    def _leave_out_functions(self) -> None:
        """Go on without functions of x that the answer will not want, after a batch of each node."""
        choice = self._solve().of_x
        noise = choice.noise[choice.index] / self._each
        enough = np.flatnonzero(choice.lacking[choice.index + _MARGIN :] < noise)
        if len(enough):
            for solver in self._solvers:
                solver.used = choice.index + _MARGIN + int(enough[0]) + 1
            self._solved = None

    def _solve_again(self) -> "_Solved":
        rounds = self._whole_rounds()
        nested = self._linear.nested()[: self._solvers[0].used]
        functions = np.append(nested[-1], -1)  # the lift last
        local = places_in(nested)
        sums = [[part[:rounds] / rounds for part in solver.sums()] for solver in self._solvers]
        pairs = Pairs(
            np.array([matrix[:, functions[:, None], functions] for matrix, _, _ in sums]),
            np.array([control[:, functions[:, None], functions] for _, control, _ in sums]),
            np.array([load[:, functions] for _, _, load in sums]),
            self._ranges,
        )
        mass, all_mass = self._answer.mass()[np.ix_(nested[-1], nested[-1])], self._answer.mass()[:-1, :-1]
        degrees, nodes = self._ranges.spaces(), len(self._solvers)
        looked_at = degrees[min(_LOOKED_AT, len(degrees) - 1)]
        freedom = nodes * (rounds - 1) - 1 if rounds > 1 else nodes - looked_at - 1
        whole = np.kron(np.eye(looked_at), mass)
        (first,) = pairs.answers([(local[-1], looked_at)], 0.0, self._cutoff)
        moved = pairs.moved(first, looked_at, self._cutoff)
        size = float(np.sum(moved * (whole @ moved)))
        beta = float(np.sum(moved * (whole @ first.spread))) / size if size > 0 else 0.0
        of_x = choose(pairs.answers([(one, looked_at) for one in local], beta, self._cutoff), whole, freedom)
        chosen = local[of_x.index]
        answers = pairs.answers([(chosen, degree) for degree in degrees], beta, self._cutoff)

        def in_all(part: np.ndarray) -> np.ndarray:
            return spread_out(part, nested[-1], len(all_mass), degrees[-1])

        by_degree = np.stack([in_all(one.weights[:, None])[..., 0] for one in answers])
        spreads, lacking = np.stack([in_all(one.spread) for one in answers]), math.sqrt(of_x.lacking[of_x.index])
        nothing = np.zeros((2, *by_degree.shape[1:]))
        found = FamilyEquations(
            self._ranges, nothing[0], nothing, by_degree, spreads, 0, freedom, lacking, 0.0, all_mass
        )
        index = found.best_degree()
        halves = np.moveaxis(in_all(pairs.halves(chosen, degrees[index], beta, self._cutoff)), -1, 0)
        weights, macro, micro = by_degree[index].copy(), 0.0, 0.0
        if rounds > 1:
            moves, macro, micro = self._steps(weights, beta, of_x, nested[of_x.index])
            weights[:, : moves.shape[1]] += moves
        found = replace(found, weights=weights, halves=halves, index=index, steps=math.hypot(macro, micro))
        return _Solved(found, beta, pairs.energy(answers[index], beta), of_x, macro, micro)

    def _steps(
        self, weights: np.ndarray, beta: float, of_x: Choice, space: np.ndarray
    ) -> tuple[np.ndarray, float, float]:
        """By what the time steps move the weights of the first polynomials of mu, and what is left of that.

        The equations of other time steps, with the answer of each node put in, tested with each polynomial; what the
        matrices differ by from node to node is left out: see `steps`. The noise is that between the batches of all
        nodes, what nodes differ by among it: too much, if anything.
        """
        rounds, mass, count = self._whole_rounds(), self._answer.mass()[:-1, :-1], len(weights)
        looked_at = self._ranges.spaces()[min(_LOOKED_AT, len(self._ranges.spaces()) - 1)]
        shares, values = self._ranges.shares / rounds, self._ranges.polynomials(self._ranges.nodes)
        matrices, left, loads = [], [], []
        smooth, earlier, lacks = np.empty(0, int), (0.0, 0.0), 0.0
        for node, solver in enumerate(self._solvers):
            (one, control, load), smooth, earlier, lacks = solver.tested()
            one = shares[node] * (one + beta * control)[:, :rounds]
            matrices.append(one)
            left.append(one[..., :-1] @ (weights @ values[node]) + one[..., -1])
            loads.append(shares[node] * load[:, :rounds])
        matrix = np.concatenate(matrices, 1)
        moves, macro, micro = np.zeros((count, looked_at)), 0.0, 0.0
        if not matrix.any():
            return moves, macro, micro
        pairs = matrix.shape[1]
        nothing = InSpace(space, np.zeros(count), np.zeros((count, pairs)))
        choice = Choice(0, np.array([self._noise_of_one(of_x)]), np.zeros(1))
        for k in range(looked_at):
            # of an answer that is zero the lift's column is what it leaves
            matrix[..., -1] = np.concatenate([values[node, k] * part for node, part in enumerate(left)], 1)
            load = np.concatenate([values[node, k] * part for node, part in enumerate(loads)], 1)
            seen = steps.seen_in(nothing, choice, (matrix, load), smooth, earlier, lacks, mass, pairs - 1)
            moves[:, k] = seen.answer.weights
            macro = math.hypot(macro, 0.0 if seen.macro is None else seen.macro.error)
            added = math.sqrt(max(0.0, float(seen.choice.noise[0] - choice.noise[0])))
            micro = math.hypot(micro, seen.micro.error, added)
        return moves, macro, micro

    def _noise_of_one(self, of_x: Choice) -> float:
        """Squared noise of the part with one polynomial of mu."""
        degrees = self._ranges.spaces()
        return float(of_x.noise[of_x.index]) / degrees[min(_LOOKED_AT, len(degrees) - 1)]


def batches_of_a_node(settings: Galerkin) -> int:
    """Batches of walkers at each node of the ranges: a quarter of those for one problem, three at least."""
    return max(3, round(settings.iterations / _SHARE))


@dataclass(frozen=True, eq=False)
class _Solved:
    """What the walkers so far say."""

    equations: FamilyEquations
    beta: float
    energy: float
    of_x: Choice
    macro: float
    micro: float
