"""Sums over walkers of products of functions: the matrices of the linear system, on a processor or a GPU.

On a processor a matrix is multiplied with itself by NumPy, which computes one half of the symmetric product; threads
take pieces of the walkers, and what these give is added up in order, so that it does not depend on how many there are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from homog.domains import Box
from homog.losses.system import ROWS, functions, quotients
from homog.machine.pieces import in_pieces
from homog.networks.linear import Evaluate, Factors, LinearInFeatures
from homog.walkers.compiled import load_module

_PIECE = 2048  # rows that are multiplied at once

Sums = tuple[Float64[np.ndarray, "k n"], Float64[np.ndarray, "k n"], Float64[np.ndarray, " k"]]


@dataclass(frozen=True)
class Excursions:
    """Starts and ends of walkers and their weights in J.

    J(u) = sum over walkers of 1/2 stiffness (u(X) - u(x))^2 - load u(x), over points of 1/2 lost u(x)^2, and over
    walkers from faces of 1/2 drain u(X)^2 - push u(X).

    Attributes:
        starts: x.
        ends: X, of a walker that left the place on the boundary.
        stiffness: Stiffness of each walker; they add up to about the integral of a / (2 Dt).
        load: Load of each walker; they add up to about the integral of f / 2.
        lost: With a reaction, what each point's walkers have lost of their weights; they add up to about the integral
            of c / 2. None without one.
        through: Where walkers are that set out from faces; None where none do.
        push: Load of each of them; they add up to about 1/2 of the integral of q.
        drain: The same for the square; they add up to about 1/2 of the integral of k.
    """

    starts: Float[Tensor, "n d"]
    ends: Float[Tensor, "n s d"]
    stiffness: Float[Tensor, "n s"]
    load: Float[Tensor, "n s"]
    lost: Float[Tensor, " n"] | None = None
    through: Float[Tensor, "p d"] | None = None
    push: Float[Tensor, " p"] | None = None
    drain: Float[Tensor, " p"] | None = None

    def of_points(self, some: slice) -> "Excursions":
        """Those from some of the points, and as large a share of those from faces."""
        lost = None if self.lost is None else self.lost[some]
        found = Excursions(self.starts[some], self.ends[some], self.stiffness[some], self.load[some], lost)
        if self.through is None or self.push is None or self.drain is None:
            return found
        begin, end, _ = some.indices(len(self.starts))
        first, last = (len(self.push) * number // len(self.starts) for number in (begin, end))
        own = slice(first, last)
        return replace(found, through=self.through[own], push=self.push[own], drain=self.drain[own])

    def root_of_lost(self) -> Float[Tensor, " n"]:
        """Of each point; of none where nothing is lost."""
        return self.load.new_zeros(0) if self.lost is None else self.lost.clamp(min=0).sqrt()


@dataclass(frozen=True)
class Slopes:
    """How the control variate reads slopes.

    Attributes:
        variate: What stands between the slopes at each point, symmetric.
        step: Difference quotients go so far to each side, or as far as the domain does.
        domain: The domain.
    """

    variate: Float[Tensor, "n d d"]
    step: float
    domain: Box


def sums(
    network: LinearInFeatures, walk: Excursions, control: Slopes | None, kernels: Path, tests: np.ndarray | None = None
) -> Sums:
    """The sums over walkers of stiffness dphi_i dphi_j, over points of grad phi_i . variate . grad phi_j, and the load.

    With dphi = phi(X) - phi(x), and for the functions phi of a network: its features and the lift.

    Args:
        network: Gives the functions.
        walk: The walkers.
        control: The variate; None for none, whose sums are zero.
        kernels: Folder for compiled code.
        tests: Numbers i of the functions, where not all are wanted; j are those of all, the lift last.
    """
    with torch.no_grad():
        matrix, slope, load = _sums(network, walk, control, kernels, tests)
        if walk.through is None or walk.push is None or walk.drain is None:
            return matrix, slope, load
        drains = bool(walk.drain.any())
        for block in range(0, len(walk.push), ROWS):
            some = slice(block, block + ROWS)
            there = functions(network, walk.through[some])
            pushed = (walk.push[some] @ there).double().cpu().numpy()
            load = load + (pushed if tests is None else pushed[tests])
            if drains:
                matrix = matrix + _gram(there * walk.drain[some, None].sqrt(), tests)
        return matrix, slope, load


def _sums(
    network: LinearInFeatures, walk: Excursions, control: Slopes | None, kernels: Path, tests: np.ndarray | None
) -> Sums:
    """Those of walkers from the points."""
    on_host = network.on_host() if walk.starts.device.type == "cpu" else None
    if on_host is not None:
        return _on_host(on_host, len(network.weights()) + 1, walk, control, tests)
    factors = network.factors(walk.starts) if walk.starts.device.type == "cpu" else None
    if factors is None:
        return _of_any_functions(network, walk, control, tests)
    return _of_products(network, walk, control, factors, _compiled(kernels), tests)


def _of_any_functions(
    network: LinearInFeatures, walk: Excursions, control: Slopes | None, tests: np.ndarray | None
) -> Sums:
    points = max(1, ROWS // walk.ends.shape[1])
    count = len(network.weights()) + 1
    matrix, slope = np.zeros((2, count if tests is None else len(tests), count))
    load = np.zeros(count)
    for first in range(0, len(walk.starts), points):
        block = slice(first, first + points)
        x = walk.starts[block]
        here = functions(network, x)  # (n, functions)
        gained = functions(network, walk.ends[block]) - here[:, None]  # (n, s, functions)
        matrix += _gram((gained * walk.stiffness[block].sqrt()[..., None]).flatten(0, 1), tests)
        if walk.lost is not None:
            matrix += _gram(here * walk.root_of_lost()[block, None], tests)
        load += (walk.load[block].sum(1) @ here).double().cpu().numpy()
        if control is None:
            continue
        along = quotients(lambda at: functions(network, at), x, control.step, control.domain)  # (d, n, functions)
        spread = torch.einsum("nij,jnf->inf", control.variate[block], along)
        rows = along.flatten(0, 1)
        slope += ((rows if tests is None else rows[:, tests]).T @ spread.flatten(0, 1)).double().cpu().numpy()
    return matrix, slope, load if tests is None else load[tests]


def _on_host(
    evaluate: Evaluate, count: int, walk: Excursions, control: Slopes | None, tests: np.ndarray | None
) -> Sums:
    """The same by threads, each with walkers of its own."""
    starts, ends = walk.starts.numpy(), walk.ends.numpy()
    scale, weight, lost = walk.stiffness.sqrt().numpy(), walk.load.sum(1).numpy(), walk.root_of_lost().numpy()
    each, dimension = ends.shape[1:]

    def functions_at(x: np.ndarray) -> np.ndarray:
        found = np.empty((len(x), count), dtype=np.float32)
        evaluate(x, found)
        return found

    def gained(first: int, last: int) -> np.ndarray:
        here = functions_at(starts[first:last])
        rows = functions_at(ends[first:last].reshape(-1, dimension)).reshape(last - first, each, count)
        rows -= here[:, None]
        rows *= scale[first:last, :, None]
        matrix = _product(rows.reshape(-1, count), tests)
        if lost.size:
            matrix += _product(here * lost[first:last, None], tests)
        return np.vstack([matrix, weight[first:last] @ here], dtype=np.float64)

    def sloped(first: int, last: int) -> np.ndarray:
        assert control is not None
        x = walk.starts[first:last]
        along = quotients(
            lambda at: torch.from_numpy(functions_at(at.numpy())), x, control.step, control.domain
        ).numpy()
        spread = np.einsum("nij,jnf->inf", control.variate[first:last].numpy(), along)
        rows = along if tests is None else along[:, :, tests]
        return rows.reshape(-1, rows.shape[2]).T @ spread.reshape(-1, count)

    *matrix, load = _sum_of(len(starts), max(1, _PIECE // each), gained)
    slope = np.zeros_like(matrix) if control is None else _sum_of(len(starts), max(1, _PIECE // dimension), sloped)
    return np.array(matrix), slope, load if tests is None else load[tests]


def _of_products(
    network: LinearInFeatures,
    walk: Excursions,
    control: Slopes | None,
    factors: Factors,
    compiled: ModuleType,
    tests: np.ndarray | None,
) -> Sums:
    """The same where the features are products of functions along the axes: these are all that is evaluated."""

    starts, ends, lengths = factors.along.numpy(), _factors(network, walk.ends), factors.lengths
    lift_here, lift_there = network.lift(walk.starts).numpy(), network.lift(walk.ends).numpy()
    scale, weight, lost = walk.stiffness.sqrt().numpy(), walk.load.sum(1).numpy(), walk.root_of_lost().numpy()
    each, count = walk.ends.shape[1], len(network.weights()) + 1
    points = max(1, _PIECE // each)

    def gained(first: int, last: int) -> np.ndarray:
        rows = np.empty(((last - first) * (each + (lost.size > 0)), count), dtype=np.float32)
        loads = np.empty(count)
        compiled.gained(first, last, starts, ends, lengths, lift_here, lift_there, scale, lost, weight, rows, loads)
        return np.vstack([_product(rows, tests), loads], dtype=np.float64)

    *matrix, load = _sum_of(len(starts), points, gained)
    load = load if tests is None else load[tests]
    if control is None:
        return np.array(matrix), np.zeros_like(matrix), load

    lower, upper = (
        torch.as_tensor(corner, dtype=torch.float32) for corner in (control.domain.lower, control.domain.upper)
    )
    after, before = torch.minimum(walk.starts + control.step, upper), torch.maximum(walk.starts - control.step, lower)
    slopes = (_factors(network, after) - _factors(network, before)) / (after - before)[..., None].numpy()
    lift = quotients(lambda x: network.lift(x)[..., None], walk.starts, control.step, control.domain)[..., 0].T.numpy()
    sizes, directions = np.linalg.eigh(control.variate.numpy())
    roots = np.sqrt(np.abs(sizes))[..., None] * directions.swapaxes(1, 2)
    dimension = starts.shape[1]

    def sloped(first: int, last: int) -> np.ndarray:
        rows = np.empty(((last - first) * dimension, count), dtype=np.float32)
        up = compiled.sloped(first, last, starts, slopes, lengths, np.ascontiguousarray(lift), roots, sizes > 0, rows)
        return _product(rows[:up], tests) - _product(rows[up:], tests)

    slope = _sum_of(len(starts), max(1, _PIECE // dimension), sloped)
    return np.array(matrix), slope, load


@dataclass(frozen=True)
class Weighed:
    """Where walkers from some points arrive, and what a function's value there counts for.

    Attributes:
        ends: X.
        weights: Of each walker.
    """

    ends: Float[Tensor, "p s d"]
    weights: Float[Tensor, "p s"]


def sums_at_starts(
    network: LinearInFeatures,
    starts: Float[Tensor, "p d"],
    walks: Sequence[Weighed],
    kernels: Path,
    tests: np.ndarray | None,
) -> tuple[Float64[np.ndarray, "k n"], Float64[np.ndarray, "k n"]]:
    """The sums over points x of phi_i(x) D_j and of D_i phi_j(x), D_j that of weights times phi_j(X) over walkers.

    Args:
        network: Gives the functions.
        starts: x.
        walks: The walkers of each point, in several parts.
        kernels: Folder for compiled code.
        tests: Numbers i of the functions, where not all are wanted.
    """

    def products(here: np.ndarray, apart: np.ndarray) -> np.ndarray:
        if tests is None:
            return (here.T @ apart)[None]
        return np.stack([here[:, tests].T @ apart, apart[:, tests].T @ here])

    with torch.no_grad():
        found = sum(part.astype(np.float64) for part in _pieces_at_starts(network, starts, walks, kernels, products))
    assert isinstance(found, np.ndarray)
    return (found[0], found[0].T) if tests is None else (found[0], found[1])


def _pieces_at_starts(
    network: LinearInFeatures,
    starts: Tensor,
    walks: Sequence[Weighed],
    kernels: Path,
    products: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Iterator[np.ndarray]:
    """What is made of phi(x) and D, of pieces of the points."""
    factors = network.factors(starts) if starts.device.type == "cpu" else None
    if factors is None:
        points = max(1, ROWS // walks[0].ends.shape[1])
        for first in range(0, len(starts), points):
            block = slice(first, first + points)
            here = functions(network, starts[block])
            apart = torch.zeros_like(here)
            for walk in walks:
                apart += torch.einsum("ns,nsf->nf", walk.weights[block], functions(network, walk.ends[block]))
            yield products(here.cpu().numpy(), apart.cpu().numpy())
        return
    lengths, count, compiled = factors.lengths, len(network.weights()) + 1, _compiled(kernels)
    parts = [(_factors(network, walk.ends), network.lift(walk.ends).numpy(), walk.weights.numpy()) for walk in walks]
    along, lift = factors.along.numpy()[:, None], network.lift(starts).numpy()[:, None]
    ones = np.ones((len(starts), 1), dtype=np.float32)

    def piece(first: int, last: int) -> np.ndarray:
        here, apart = np.zeros((2, last - first, count), dtype=np.float32)
        compiled.arrived(first, last, along, lengths, lift, ones, here)
        for ends, lift_there, weights in parts:
            compiled.arrived(first, last, ends, lengths, lift_there, weights, apart)
        return products(here, apart)

    yield _sum_of(len(starts), _PIECE, piece)


def _factors(network: LinearInFeatures, x: Tensor) -> np.ndarray:
    found = network.factors(x)
    assert found is not None
    return found.along.numpy()


def _gram(rows: Float[Tensor, "r n"], tests: np.ndarray | None) -> Float64[np.ndarray, "k n"]:
    """rows^T rows, multiplied in single precision and added up in double; or some rows of it."""
    if rows.device.type != "cpu":
        return ((rows if tests is None else rows[:, tests]).T @ rows).double().cpu().numpy()
    found = rows.numpy()
    return _sum_of(len(rows), _PIECE, lambda first, last: _product(found[first:last], tests))


def _product(rows: np.ndarray, tests: np.ndarray | None) -> np.ndarray:
    """rows^T rows, or some rows of it."""
    return rows.T @ rows if tests is None else rows[:, tests].T @ rows


def _sum_of(total: int, unit: int, part: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """The sum of what a function makes of the numbers first, ..., last - 1 of each piece of `unit` numbers."""
    parts: dict[int, np.ndarray] = {}

    def work(first: int, last: int) -> None:
        for begin in range(first, last, unit):
            parts[begin] = part(begin, min(begin + unit, last))

    in_pieces(work, total, unit)
    whole = np.zeros(parts[0].shape)
    for begin in sorted(parts):
        whole += parts[begin]
    return whole


@cache
def _compiled(kernels: Path) -> ModuleType:
    return load_module(Path(__file__).with_name("products.py").read_text(), kernels)
