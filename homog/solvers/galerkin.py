"""Galerkin's method with walkers: one linear system for a network's last layer in place of an iteration."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from homog.config import Galerkin
from homog.domains import Box
from homog.equation import Problem
from homog.errors import NotFinite, UserError
from homog.losses import LinearSystem, Loss, Tested, functions, smooth_functions
from homog.machine import ranks
from homog.networks import LinearInFeatures
from homog.solvers import steps
from homog.solvers.nested import Choice, InSpace, choose, functions_for_layers, functions_for_modes, moved_by, solve
from homog.solvers.steps import Part

_LEAST_GROUPS = 3  # from whose spread noise is read
_FIRST_LOOK = 4  # batches, after which functions that are not wanted are left out
_MARGIN = 4  # further spaces that go on with the best one
_NORM_POINTS = 4096  # on which the L2 norm of an answer is taken
_MOST_FEATURES = 4096  # 2 GB of matrices in 8 groups, minutes for each solve


class GalerkinSolver:
    """The answer u = lift + features . w of a method's linear equations, assembled batch by batch.

    The equations come in `groups` of batches. From the spread between them follow the error bar and the coefficient
    beta of the control variate: that with the least noise in the answer, by regression. Where the functions make up
    growing spaces, the answer is that in the space with the least estimated error (`homog.solvers.nested`). Singular
    values of the matrix below `cutoff` times the largest are left out. Memory is that of two matrices a group and of
    one batch.

    A nonlinear problem takes `passes` steps of a damped Picard iteration: walkers and equations read u from the answer
    of the pass before, w moves by the share `damping` towards the new solution, and each pass has as many batches as
    all before it together. So half of all walkers enter the last system, and the first, far off, few; there are at most
    1 + log2(iterations) passes. Where u is in f and c alone it is Newton's method, which moves all the way.

    Args:
        settings: Cut-off, and the number of groups for the error bar.
        loss: The method.
        network: As the method wants it, with the weights that a Picard iteration starts from. It stays as it is: the
            answer is a copy with other weights in its last layer.

    Raises:
        UserError: If the method has no linear equations, or the network is not linear in its last layer or too wide.
    """

    def __init__(self, settings: Galerkin, loss: Loss, network: nn.Module) -> None:
        self.settings = settings
        self._loss = loss
        self._answer = copy.deepcopy(network)
        self._linear = linear_in_features(self._answer)
        self._weights = self._linear.weights().double().cpu().numpy()  # of the lagged u
        if len(self._weights) > _MOST_FEATURES:
            raise UserError(
                f"one solve for {len(self._weights)} features is too much: write a network with at most"
                f" {_MOST_FEATURES}, by a smaller network.count or network.width"
            )
        passes = settings.passes if loss.problem.operator.reads_u else 1
        self._damping = settings.damping if loss.problem.operator.nonlinear else 1.0  # Newton's method wants none
        self._restarts = {settings.iterations >> halvings for halvings in range(1, passes)} - {0}
        last = settings.iterations - max(self._restarts, default=0)
        self._groups = min(settings.groups, last)
        self._spaces = self._linear.nested()
        self._smooth = smooth_functions(self._linear)
        count = len(self._weights) + 1
        self._system = _Equations((self._groups,), count, count)
        self._tested = _Equations((5, self._groups), len(self._smooth), count)
        self._earlier = (0.0, 0.0)  # times of the first two of the tested ones, as shares of the macro step
        self._lacks = 0.0  # error of the micro steps, over what the last two of them differ by
        self._least = min(len(self._spaces), _functions_wanted(loss.problem))  # spaces that are never left out
        self._used = len(self._spaces)  # the batches to come have equations for the functions of so many spaces
        self._lacking = 0.0  # square of what these lack, as far as the batches before have shown
        self._added = 0
        self._batches = 0  # in the system
        self._solved: _Solution | None = None
        self._lagged = loss.lagged(self._answer)
        self._norm = self._mass_matrix()

    def add(self, iteration: int) -> int:
        """Send one batch of walkers and add its equations to the system.

        Args:
            iteration: What is drawn is a function of it and the seed.

        Returns:
            Micro steps taken.
        """
        if self._added in self._restarts:
            self._restart()
        self._added += 1
        batch = self._loss.equations(self._linear.restricted(self._used - 1), iteration, self._lagged)
        systems = [batch] if batch.tested is None else [batch, batch.tested]
        add_up(systems, self._loss)
        group, functions = self._batches % self._groups, np.append(self._spaces[self._used - 1], -1)
        self._system.add(group, batch, functions, functions)
        if batch.tested is not None:
            self._tested.add(group, batch.tested, np.arange(len(self._smooth)), functions)
            self._earlier, self._lacks = batch.tested.earlier, batch.tested.lacks
        self._batches += 1
        self._solved = None
        if self._batches == _FIRST_LOOK and self.settings.iterations - self._added >= _FIRST_LOOK:
            self._leave_out_functions()
        return batch.walker_steps

    def solution(self) -> nn.Module:
        """The answer by the walkers so far."""
        self._set_weights(self._solve().weights)
        return self._answer

    def loss(self) -> float:
        """v . (S v / 2 - load): with method=energy the least energy, up to noise."""
        return self._solve().energy

    def control_coefficient(self) -> float:
        """beta, zero before each group has a batch."""
        return self._solve().beta

    def standard_error(self) -> float | None:
        """The standard deviation of the answer by sampling, in the L2 norm and relative to the answer's.

        From the spread of the groups' residuals, each through the inverse of the whole system. Neither the bias of
        the time steps nor that of the features is in it, nor for a nonlinear problem the noise of earlier passes.

        Returns:
            None before each of three groups and more has a batch, and for the answer zero.
        """
        found = self._solve()
        if found.choice is None or self._batches < self._groups or found.size == 0:
            return None
        return math.sqrt(found.choice.noise[found.choice.index]) / found.size

    def features_error(self) -> float | None:
        """What the functions cannot hold of the smooth solution, in the L2 norm and relative to the answer's.

        From the answers in fewer functions.

        Returns:
            None where they make up no growing spaces, or before each of three groups and more has a batch.
        """
        found = self._solve()
        if found.choice is None or self._batches < self._groups or found.size == 0 or len(self._spaces) == 1:
            return None
        return math.sqrt(found.choice.lacking[found.choice.index] + self._lacking) / found.size

    def matrices(self) -> Float64[np.ndarray, "groups m m"]:
        """The matrices of the features with the control variate, of each group its mean over batches, without the lift.

        What functions left out had in the first batches is in them: `answers` are in those alone that all have.
        """
        groups = min(self._batches, self._groups)
        beta = self._solve().beta
        whole = self._system.matrix[:groups, :-1, :-1] + beta * self._system.control[:groups, :-1, :-1]
        each = np.bincount(np.arange(self._batches) % self._groups, minlength=groups)[:groups]
        return whole / each[:, None, None]

    def answers(self) -> tuple[list[InSpace], int]:
        """The answers in the growing spaces of the functions that all batches have, and the degrees of freedom of their
        spread; each corrected for the time steps as the best one is.
        """
        found, (matrix, control, load) = self._solve(), self.sums()
        spaces = self._spaces[: self._used]
        answers = solve(matrix + found.beta * control, load, spaces, self.settings.cutoff)
        if found.choice is not None:
            best = answers[found.choice.index]
            move, spread = found.answer.weights - best.weights, found.answer.spread - best.spread
            answers = [replace(one, weights=one.weights + move, spread=one.spread + spread) for one in answers]
        return answers, len(load) - (1 if found.beta == 0 else 2)

    @property
    def network(self) -> LinearInFeatures:
        """What the features are of."""
        return self._linear

    def answer(self) -> InSpace:
        """The answer, and how each group of walkers would move it."""
        return self._solve().answer

    def sums(self) -> tuple[Float64[np.ndarray, "groups n n"], Float64[np.ndarray, "groups n n"], np.ndarray]:
        """Of the groups that have a batch the matrices, those of the control variate, and the loads.

        Sums over batches, the lift being the last function.
        """
        groups = min(self._batches, self._groups)
        matrix, control, load = (part[:groups] for part in self._system)
        return matrix, control, load

    def tested(self) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray, tuple[float, float], float]:
        """The equations of other time steps, as `steps.seen_in` takes them: see `homog.losses.Tested`."""
        groups = min(self._batches, self._groups)
        matrix, control, load = (part[:, :groups] for part in self._tested)
        return (matrix, control, load), self._smooth, self._earlier, self._lacks

    @property
    def used(self) -> int:
        """How many of the growing spaces the batches to come have equations for."""
        return self._used

    @used.setter
    def used(self, spaces: int) -> None:
        self._used, self._solved = max(self._least, spaces), None

    def features(self) -> int:
        """How many functions the answer is made of."""
        return len(self._solve().answer.chosen)

    def macro_step_error(self) -> Part | None:
        """What the length of the macro step moves in the smooth part of the answer: see `homog.solvers.steps`.

        Of an answer that is corrected for it, what the correction itself may lack. Returns None where it is not known.
        """
        return self._part(self._solve().macro)

    def micro_step_error(self) -> Part | None:
        """What the length of the micro step moves in the smooth part of the answer, likewise."""
        return self._part(self._solve().micro)

    def _part(self, found: Part | None) -> Part | None:
        size = self._solve().size
        if found is None or self._batches < self._groups or size == 0:
            return None
        return Part(found.error / size, found.standard_error / size)

    def last_change(self) -> float | None:
        """Of a nonlinear problem, how far the last pass has moved the answer, in the L2 norm and relative to it.

        Where passes converge, what the next ones would still change is about as much, or less.

        Returns:
            None for a linear problem, and for the answer zero.
        """
        found = self._solve()
        if self._lagged is None or found.size == 0:
            return None
        moved = np.append(found.weights - self._weights, 0.0)
        return math.sqrt(moved @ self._norm @ moved) / found.size

    def state(self) -> dict[str, Any]:
        """All that the batches to come and the answer depend on: the system, and the weights of the lagged u."""
        arrays = {name: torch.from_numpy(array) for name, array in self._arrays().items()}
        numbers = {"added": self._added, "batches": self._batches, "used": self._used, "lacking": self._lacking,
                   "earlier": list(self._earlier), "lacks": self._lacks}  # fmt: skip
        return {**arrays, **numbers}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: If it is that of another system.
        """
        for name, array in self._arrays().items():
            if name not in state or state[name].shape != array.shape:
                raise ValueError(f"it has no {name} of shape {array.shape}")
            array[...] = state[name].numpy()
        self._added, self._batches, self._solved = int(state["added"]), int(state["batches"]), None
        self._used, self._lacking = int(state["used"]), float(state["lacking"])
        first, second = (float(part) for part in state["earlier"])
        self._earlier, self._lacks = (first, second), float(state["lacks"])
        self._set_weights(self._weights)
        self._lagged = self._loss.lagged(self._answer)

    def _arrays(self) -> dict[str, np.ndarray]:
        systems = {**self._system.arrays(""), **self._tested.arrays("tested_")}
        return {**systems, "weights": self._weights}

    def _solve(self) -> "_Solution":
        """The solution, kept until the next batch."""
        if self._solved is None:
            self._solved = self._solve_again()
        return self._solved

    def _solve_again(self) -> "_Solution":
        groups = min(self._batches, self._groups)  # that have one
        matrix, control, load = (part[:groups] for part in self._system)
        mass = self._norm[:-1, :-1]
        spaces, cutoff = self._spaces[: self._used], self.settings.cutoff
        (found,), beta, choice = solve(matrix, load, spaces[-1:], cutoff), 0.0, None
        macro, micro = None, None
        if groups >= min(self._groups, _FIRST_LOOK) and groups >= _LEAST_GROUPS:
            moved = moved_by(matrix, control @ np.append(found.weights, 1.0), spaces[-1], cutoff)
            size = float(np.sum(moved * (mass @ moved)))
            beta = float(np.sum(moved * (mass @ found.spread))) / size if size > 0 else 0.0
            answers = solve(matrix + beta * control, load, spaces, cutoff)
            freedom = groups - 1 if beta == 0 else groups - 2  # beta is fitted to them too
            choice = choose(answers, mass, freedom)
            found = answers[choice.index]
            if self._tested.matrix.any():
                among = [part[:, :groups] for part in self._tested]
                tested = among[0] + beta * among[1], among[2]
                seen = steps.seen_in(found, choice, tested, self._smooth, self._earlier, self._lacks, mass, freedom)
                found, choice, macro, micro = seen.answer, seen.choice, seen.macro, seen.micro
        values = np.append(found.weights, 1.0)
        whole = matrix.sum(0) + beta * control.sum(0)
        energy = float(values @ (0.5 * whole @ values - load.sum(0))) / max(1, self._batches)
        weights = found.weights
        if self._lagged is not None:
            weights = self._weights + self._damping * (weights - self._weights)
        size = math.sqrt(values @ self._norm @ values)
        return _Solution(weights, found, beta, energy, choice, size, macro, micro)

    def _leave_out_functions(self) -> None:
        """Go on without functions that the answer will not want.

        With the spaces a little beyond the best one by now, of which what they lack is less than the noise in the end.
        """
        choice = self._solve().choice
        if choice is None:
            return
        noise = choice.noise[choice.index] * self._batches / (self._batches + self.settings.iterations - self._added)
        enough = np.flatnonzero(choice.lacking[choice.index + _MARGIN :] < noise)
        if len(enough):
            self._used = max(self._least, choice.index + _MARGIN + int(enough[0]) + 1)
            self._lacking = float(choice.lacking[self._used - 1])
            self._solved = None

    def _restart(self) -> None:
        """Begin a pass: the answer so far becomes the lagged u, and a new system is begun."""
        self._weights = self._solve().weights
        self._set_weights(self._weights)
        self._lagged = self._loss.lagged(self._answer)
        for array in (*self._system.arrays("").values(), *self._tested.arrays("").values()):
            array.fill(0.0)
        self._batches = 0

    def _set_weights(self, weights: np.ndarray) -> None:
        self._linear.set_weights(torch.as_tensor(weights, dtype=torch.float32))

    def mass(self) -> Float64[np.ndarray, "n n"]:
        """Mean products of features and lift."""
        return self._norm

    def _mass_matrix(self) -> Float64[np.ndarray, "n n"]:
        """Mean products of features and lift: |u|^2 = v . (mass v) for v = (w, 1)."""
        domain: Box = self._loss.problem.domain
        points = torch.as_tensor(domain.spread(_NORM_POINTS, np.random.default_rng(0)), dtype=torch.float32)
        with torch.no_grad():
            values = functions(self._linear, points.to(self._linear.weights().device)).double().cpu().numpy()
        return values.T @ values / _NORM_POINTS


def _functions_wanted(problem: Problem) -> int:
    """Functions an axis that modes, and layers of the first time, want besides the steady state."""
    evolution, wanted = problem.evolution, 1
    if problem.eigenvalues:
        wanted = functions_for_modes(problem.eigenvalues, problem.domain)
    if evolution is not None:
        spread = problem.operator.coefficient_at(problem.domain.spread(_NORM_POINTS, np.random.default_rng(0))).mean()
        wanted = max(wanted, functions_for_layers(math.sqrt(float(spread) * evolution.times[0]), problem.domain))
    return wanted


def add_up(systems: Sequence[LinearSystem | Tested], loss: Loss) -> None:
    """Make the equations of a rank those of all ranks, in place.

    Raises:
        NotFinite: If a number in them is not finite.
    """
    arrays = [part for system in systems for part in (system.matrix, system.control, system.load)]
    ranks.add([torch.from_numpy(part) for part in arrays])
    if not all(np.isfinite(part).all() for part in arrays):
        raise NotFinite("the walkers' equations are not finite", loss.remedy_for_overflow())


class _Equations:
    """Sums of systems, in groups.

    Args:
        outer: Number of systems, and of groups.
        tests: Rows of a matrix.
        functions: Its columns.

    Attributes:
        matrix: Shape (*outer, tests, functions).
        control: Matrices of the control variate, of the same shape.
        load: Shape (*outer, tests).
    """

    def __init__(self, outer: tuple[int, ...], tests: int, functions: int) -> None:
        self.matrix, self.control = np.zeros((2, *outer, tests, functions))
        self.load = np.zeros((*outer, tests))

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.matrix, self.control, self.load))

    def add(self, group: int, batch: LinearSystem | Tested, tests: np.ndarray, functions: np.ndarray) -> None:
        """Add the equations of a batch that has some of the tests and functions."""
        rows, columns = np.ix_(tests, functions)
        self.matrix[..., group, rows, columns] += batch.matrix
        self.control[..., group, rows, columns] += batch.control
        self.load[..., group, tests] += batch.load

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays, by name."""
        return {f"{prefix}matrix": self.matrix, f"{prefix}control": self.control, f"{prefix}load": self.load}


@dataclass(frozen=True)
class _Solution:
    """What the walkers so far say.

    Attributes:
        weights: Weights of all functions.
        answer: What the equations say; of a nonlinear problem before it is damped.
        beta: Coefficient of the control variate.
        energy: The least energy.
        choice: Noise of the answers in each space, and which was chosen; None where the noise is not known.
        size: L2 norm of the answer.
        macro: What the macro step moves; None where it is not known.
        micro: What the micro step moves, likewise.
    """

    weights: Float64[np.ndarray, " m"]
    answer: InSpace
    beta: float
    energy: float
    choice: Choice | None
    size: float
    macro: Part | None
    micro: Part | None


def linear_in_features(network: nn.Module) -> LinearInFeatures:
    """The network as one that is linear in its last layer.

    Raises:
        UserError: If it is none.
    """
    if not isinstance(network, LinearInFeatures):
        raise UserError(
            f"optimizer=galerkin needs a network that is linear in its last layer, and {type(network).__name__} is none"
        )
    return network
