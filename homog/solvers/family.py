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
from homog.solvers.nested import Choice, InSpace, choose, inverse_of

_BATCHES = 4  # of each node, at least three, for which optimizer.iterations is a multiple
_FIRST_LOOK = 1  # batches of each node, after which functions that are not wanted are left out
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

    Its solution is u at the middle of the ranges, and what it tells of itself is of that.

    Args:
        settings: Cut-off, and the iterations that one problem would take.
        ranges: The parameters.
        members: A problem for each node of the ranges.
        middle: That of the middle.
    """

    def __init__(self, settings: Galerkin, ranges: Ranges, members: Sequence[Member], middle: Member) -> None:
        self._each, self._ranges = batches_of_a_node(settings), ranges
        of_node = replace(settings, iterations=self._each, groups=self._each)
        self._solvers = [GalerkinSolver(of_node, one.loss, one.network) for one in members]
        self._answer = GalerkinSolver(of_node, middle.loss, middle.network)
        self._cutoff, self._batches = settings.cutoff, 0
        self._solved: _Solved | None = None
        self._linear: LinearInFeatures = self._answer.network

    def step(self, iteration: int) -> int:
        round_, node = divmod(iteration, len(self._solvers))
        taken = self._solvers[node].add(iteration)
        self._batches = iteration + 1
        if node + 1 == len(self._solvers):
            self._solved = None
            if round_ + 1 == _FIRST_LOOK:
                self._leave_out_functions()
        return taken

    def draw_ahead(self, iteration: int, until: int) -> None:
        """The walkers of the next node are others' than those of this one: none go ahead."""

    def loss(self) -> torch.Tensor:
        return torch.tensor(self._solve().energy if self._whole_rounds() else self._solvers[0].loss())

    def solution(self) -> nn.Module:
        if self._whole_rounds():
            weights = self._solve().equations.weights_at(np.zeros(len(self._ranges.names)))
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
        found, middle = solved.equations, np.zeros(len(self._ranges.names))
        values = np.append(found.weights_at(middle), 1.0)
        size = math.sqrt(values @ self._answer.mass() @ values)
        if size == 0 or solved.of_x is None:
            return {}
        noise, lacking, _ = found.parts_at(middle)
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
        """Go on without functions of x that the answer will not want; see `GalerkinSolver`."""
        choice = self._solve().of_x
        if choice is None or self._each <= _FIRST_LOOK:
            return
        noise = choice.noise[choice.index] * _FIRST_LOOK / self._each
        enough = np.flatnonzero(choice.lacking[choice.index + _MARGIN :] < noise)
        if len(enough):
            for solver in self._solvers:
                solver.used = choice.index + _MARGIN + int(enough[0]) + 1
            self._solved = None

    def _solve_again(self) -> "_Solved":
        rounds = self._whole_rounds()
        nested = self._linear.nested()[: self._solvers[0].used]
        functions = np.append(nested[-1], -1)  # the lift last
        local = _places(nested)
        sums = [[part[:rounds] / rounds for part in solver.sums()] for solver in self._solvers]
        pairs = _Pairs(
            np.array([matrix[:, functions[:, None], functions] for matrix, _, _ in sums]),
            np.array([control[:, functions[:, None], functions] for _, control, _ in sums]),
            np.array([load[:, functions] for _, _, load in sums]),
            self._ranges,
        )
        mass = self._answer.mass()[np.ix_(nested[-1], nested[-1])]
        degrees = self._ranges.spaces()
        looked_at = degrees[min(_LOOKED_AT, len(degrees) - 1)]
        beta, of_x = 0.0, None
        chosen = local[-1]
        first = pairs.answers([(chosen, looked_at)], 0.0, self._cutoff)[0]
        freedom, answers = 1, [first]
        if rounds:
            freedom = len(self._solvers) * (rounds - 1) - 1 if rounds > 1 else len(self._solvers) - looked_at - 1
            whole = np.kron(np.eye(looked_at), mass)
            moved = pairs.moved(first, looked_at, self._cutoff)
            size = float(np.sum(moved * (whole @ moved)))
            beta = float(np.sum(moved * (whole @ first.spread))) / size if size > 0 else 0.0
            of_x = choose(pairs.answers([(one, looked_at) for one in local], beta, self._cutoff), whole, freedom)
            chosen = local[of_x.index]
            answers = pairs.answers([(chosen, degree) for degree in degrees], beta, self._cutoff)

        def spread_out(part: np.ndarray) -> np.ndarray:
            return _spread_out(part, nested[-1], len(self._answer.mass()) - 1, degrees[-1])

        count = spread_out(first.weights[:, None])[..., 0]
        found = FamilyEquations(
            self._ranges, count, np.stack([count, count]),
            np.stack([spread_out(one.weights[:, None])[..., 0] for one in answers]),
            np.stack([spread_out(one.spread) for one in answers]),
            0, freedom, 0.0 if of_x is None else math.sqrt(of_x.lacking[of_x.index]), 0.0,
            self._answer.mass()[:-1, :-1],
        )  # fmt: skip
        energy = pairs.energy(first, beta)
        macro = micro = 0.0
        if of_x is not None:
            index = found.best_degree()
            energy, degree = pairs.energy(answers[index], beta), degrees[index]
            halves = spread_out(pairs.halves(chosen, degree, beta, self._cutoff))
            weights = found.by_degree[index].copy()
            if rounds > _FIRST_LOOK:
                moves, macro, micro = self._steps(weights, beta, of_x, nested[of_x.index])
                weights[:, : moves.shape[1]] += moves
            found = replace(
                found, weights=weights, halves=np.moveaxis(halves, -1, 0), index=index, steps=math.hypot(macro, micro)
            )
        return _Solved(found, beta, energy, of_x, macro, micro)

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
    return max(3, round(settings.iterations / _BATCHES))


@dataclass(frozen=True, eq=False)
class _Solved:
    """What the walkers so far say."""

    equations: FamilyEquations
    beta: float
    energy: float
    of_x: Choice | None
    macro: float
    micro: float


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The equations of each node and each of its batches.

    Attributes:
        matrix, control: Shape (nodes, batches, n, n), the lift the last function.
        load: Shape (nodes, batches, n).
        ranges: The parameters.
    """

    matrix: Float64[np.ndarray, "q g n n"]
    control: Float64[np.ndarray, "q g n n"]
    load: Float64[np.ndarray, "q g n"]
    ranges: Ranges

    @property
    def count(self) -> int:
        """Of the pairs."""
        return self.load.shape[0] * self.load.shape[1]

    def answers(self, spaces: Sequence[tuple[np.ndarray, int]], beta: float, cutoff: float) -> list[InSpace]:
        """The answers with some functions of x and so many polynomials of mu; unknowns by polynomials, then functions.

        The weights have room for those of the last space.
        """
        return [self._answer(*space, spaces[-1][1], beta, cutoff, slice(None)) for space in spaces]

    def halves(self, space: np.ndarray, degree: int, beta: float, cutoff: float) -> np.ndarray:
        """The weights by every other batch, shape (unknowns, 2)."""
        both = (slice(0, None, 2), slice(1, None, 2)) if self.load.shape[1] > 1 else (slice(None), slice(None))
        return np.stack([self._answer(space, degree, degree, beta, cutoff, one).weights for one in both], 1)

    def _answer(self, space: np.ndarray, degree: int, room: int, beta: float, cutoff: float, groups: slice) -> InSpace:
        """From some of the batches of each node."""
        size, some = self.load.shape[-1] - 1, np.append(space, -1)
        matrix = (self.matrix + beta * self.control)[:, groups][..., some[:, None], some]
        load = self.load[:, groups][..., some]
        lifted = load[..., :-1] - matrix[..., :-1, -1]
        inverse, scale = self._inverse(matrix[..., :-1, :-1].sum(1), degree, cutoff)
        values = self._values(degree)
        right = np.einsum("qi,qk->ki", lifted.sum(1), self.ranges.shares[:, None] * values).ravel()
        weights = inverse @ (right / scale) / scale
        there = np.einsum("ki,qk->qi", weights.reshape(degree, -1), values)
        residuals = lifted - np.einsum("qgij,qj->qgi", matrix[..., :-1, :-1], there)
        spread = inverse @ (self._tested(residuals, degree) / scale[:, None]) / scale[:, None]
        numbers = np.concatenate([k * size + space for k in range(degree)])
        whole, moved = np.zeros(room * size), np.zeros((room * size, spread.shape[1]))
        whole[numbers], moved[numbers] = weights, self._within_nodes(spread)
        return InSpace(numbers, whole, moved)

    def moved(self, answer: InSpace, degree: int, cutoff: float) -> np.ndarray:
        """How the control variate would move the weights of an answer in all functions."""
        size, values = self.load.shape[-1] - 1, self._values(degree)
        there = np.einsum("ki,qk->qi", answer.weights.reshape(degree, size), values)
        residuals = np.einsum("qgij,qj->qgi", self.control[..., :-1, :-1], there) + self.control[..., :-1, -1]
        inverse, scale = self._inverse(self.matrix[..., :-1, :-1].sum(1), degree, cutoff)
        return self._within_nodes(inverse @ (self._tested(residuals, degree) / scale[:, None]) / scale[:, None])

    def _values(self, degree: int) -> np.ndarray:
        """The polynomials at the nodes, shape (nodes, degree)."""
        return self.ranges.polynomials(self.ranges.nodes)[:, :degree]

    def _inverse(self, matrices: np.ndarray, degree: int, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
        """Of the matrix of the family, scaled to a diagonal of ones, and the scale."""
        values, size = self._values(degree), matrices.shape[-1]
        pairs = np.einsum("q,qk,ql->qkl", self.ranges.shares, values, values).reshape(len(matrices), -1)
        whole = (pairs.T @ matrices.reshape(len(matrices), -1)).reshape(degree, degree, size, size)
        whole = whole.transpose(0, 2, 1, 3).reshape(degree * size, degree * size)
        scale = np.sqrt(np.abs(np.diagonal(whole)))
        scale = np.where(scale > 0, scale, 1.0)
        return inverse_of(whole / (scale[:, None] * scale), cutoff), scale

    def _tested(self, residuals: np.ndarray, degree: int) -> np.ndarray:
        """Residuals of nodes and batches, shape (q, g, n), tested with the polynomials: shape (k n, q g)."""
        weighted = np.einsum("q,qk,qgi->kiqg", self.ranges.shares, self._values(degree), residuals)
        return weighted.reshape(weighted.shape[0] * weighted.shape[1], -1)

    def energy(self, answer: InSpace, beta: float) -> float:
        """Mean over mu of the least energy."""
        size = self.load.shape[-1] - 1
        held = answer.weights.reshape(-1, size)
        values = self.ranges.polynomials(self.ranges.nodes)[:, : len(held)]
        there = np.hstack([values @ held, np.ones((len(values), 1))])
        matrix, load = (self.matrix + beta * self.control).sum(1), self.load.sum(1)
        each = 0.5 * np.einsum("qi,qij,qj->q", there, matrix, there) - np.einsum("qi,qi->q", there, load)
        return float(self.ranges.shares @ each)

    def _within_nodes(self, spread: np.ndarray) -> np.ndarray:
        """The spread without its mean at each node: what nodes differ by is no noise, unless no more is known."""
        each = spread.reshape(len(spread), len(self.load), -1)
        if each.shape[-1] == 1:
            return spread - spread.mean(1, keepdims=True)
        return (each - each.mean(-1, keepdims=True)).reshape(spread.shape)


def _spread_out(part: np.ndarray, functions: np.ndarray, count: int, degree: int) -> np.ndarray:
    """From unknowns by polynomials and functions in use to shape (all functions, polynomials, ...)."""
    each = part.reshape(-1, len(functions), part.shape[-1])
    whole = np.zeros((count, degree, part.shape[-1]))
    whole[functions, : len(each)] = np.moveaxis(each, 0, 1)
    return whole


def _places(nested: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Where the functions of each space stand among those of the last."""
    where = {int(number): place for place, number in enumerate(nested[-1])}
    return [np.array([where[int(number)] for number in space]) for space in nested]
