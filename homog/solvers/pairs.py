"""The equations of each node of a family and each of its batches, and their answers in spaces of x and mu."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from homog.equation.ranges import Ranges
from homog.solvers.nested import InSpace, inverse_of


@dataclass(frozen=True, eq=False)
class Pairs:
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


def spread_out(part: np.ndarray, functions: np.ndarray, count: int, degree: int) -> np.ndarray:
    """From unknowns by polynomials and functions in use to shape (all functions, polynomials, ...)."""
    each = part.reshape(-1, len(functions), part.shape[-1])
    whole = np.zeros((count, degree, part.shape[-1]))
    whole[functions, : len(each)] = np.moveaxis(each, 0, 1)
    return whole


def places_in(nested: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Where the functions of each space stand among those of the last."""
    where = {int(number): place for place, number in enumerate(nested[-1])}
    return [np.array([where[int(number)] for number in space]) for space in nested]
