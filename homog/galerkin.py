"""Galerkin's method for the walkers' energy: one linear system in place of an iteration."""

import copy
import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from homog.config import Galerkin
from homog.errors import UserError
from homog.losses import EnergyLoss, Excursions, Loss
from homog.networks import LinearInFeatures
from homog.problems import Box

_ROWS = 8192  # walkers whose features are in memory at once
_NORM_POINTS = 4096  # on which the error bar's norm is taken


class GalerkinSolver:
    """The minimum of J over u = lift + features . w: S w = b, assembled batch by batch.

    S_ij = sum stiffness dphi_i dphi_j and b_i = sum load phi_i(x) - stiffness dphi_i dlift over walkers, where
    dphi = phi(X) - phi(x). S is symmetric and positive semidefinite by construction; directions with eigenvalues below
    `cutoff` times the largest are left out. Memory is that of `groups` matrices and of one batch.

    Products are taken in single precision over blocks of walkers and summed in double precision.

    A nonlinear problem takes `passes` steps of a damped Picard iteration from u = lift: walkers and energy read a(x, u)
    from the answer of the pass before, w moves by the share `damping` towards the minimum, and each pass has as many
    batches as all before it together. So half of all walkers enter the last system, and the first, far off, few.

    Args:
        settings: Cut-off, and the number of groups for the error bar.
        loss: The energy.
        network: In the boundary ansatz. It stays as it is: the answer is a copy with other weights in its last layer.

    Raises:
        UserError: If the loss is not the energy, or the network not linear in its last layer.
    """

    def __init__(self, settings: Galerkin, loss: Loss, network: nn.Module) -> None:
        if not isinstance(loss, EnergyLoss):
            raise UserError(
                "optimizer=galerkin solves for the minimum of a quadratic loss:"
                " write method=energy, or optimizer=adam_cosine"
            )
        self.settings = settings
        self._energy = loss
        self._answer = copy.deepcopy(network)
        self._linear = linear_in_features(self._answer)
        with torch.no_grad():
            count = self._linear.features(self._sample(2)).shape[-1]
        self._stiffness = np.zeros((settings.groups, count, count))
        self._load = np.zeros((settings.groups, count))
        self._constant = 0.0  # J(lift)
        self._batches = 0  # in the system
        self._solved: tuple[int, np.ndarray, float] = (-1, np.zeros(count), math.nan)
        passes = settings.passes if loss.problem.nonlinear else 1
        self._restarts = {settings.iterations >> halvings for halvings in range(1, passes)} - {0}
        self._weights = np.zeros(count)  # of the medium
        self._set_weights(self._weights)
        self._medium = loss.medium(self._answer)

    def add(self, iteration: int) -> int:
        """Send one batch of walkers and add it to the system.

        Args:
            iteration: Number of the batch, from 0: what is drawn is a function of it and the seed.

        Returns:
            Micro steps taken.
        """
        if iteration in self._restarts:
            self._restart()
        walk = self._energy.excursions(iteration, next(self._answer.parameters()).device, self._medium)
        group = self._batches % self.settings.groups
        rows = max(1, _ROWS // walk.ends.shape[1])
        for first in range(0, len(walk.starts), rows):
            stiffness, load, constant = _assemble(self._linear, walk, slice(first, first + rows))
            self._stiffness[group] += stiffness
            self._load[group] += load
            self._constant += constant
        self._batches += 1
        return walk.walker_steps

    def solution(self) -> nn.Module:
        """The minimum for the walkers so far."""
        self._set_weights(self._solve()[1])
        return self._answer

    def loss(self) -> float:
        """The least J, up to noise."""
        return self._solve()[2]

    def standard_error(self) -> float | None:
        """The standard deviation of the solution by sampling, in the L2 norm and relative to the solution's.

        A jackknife over the groups of batches (Efron and Stein 1981): with u_g the solution without group g,
        (G - 1) / G sum_g |u_g - mean u_g|^2. All in the eigenspace that the whole system keeps. Neither the bias of
        the time steps nor that of the features is in it.

        Returns:
            None before each group has a batch, and for a nonlinear problem: its earlier passes leave noise behind.
        """
        groups = self.settings.groups
        if self._batches < groups or self._medium is not None:
            return None
        basis = _kept(self._stiffness.sum(0), self.settings.cutoff)[1]
        batches = np.bincount(np.arange(self._batches) % groups, minlength=groups)
        weights = []
        for group in range(groups):
            scale = self._batches / (self._batches - batches[group])
            stiffness = scale * (self._stiffness.sum(0) - self._stiffness[group])
            load = scale * (self._load.sum(0) - self._load[group])
            weights.append(basis @ np.linalg.solve(basis.T @ stiffness @ basis, basis.T @ load))
        x = self._sample(_NORM_POINTS)
        with torch.no_grad():
            features, lift = (part.double().cpu().numpy() for part in (self._linear.features(x), self._linear.lift(x)))
        answers = features @ np.transpose(weights)  # (points, groups)
        spread = (answers - answers.mean(1, keepdims=True)) ** 2
        size = np.mean((features @ self._solve()[1] + lift) ** 2)
        return math.sqrt((groups - 1) / groups * spread.sum(1).mean() / size)

    def _solve(self) -> tuple[int, np.ndarray, float]:
        """Number of batches, weights and energy, kept until the next batch."""
        if self._solved[0] != self._batches:
            load = self._load.sum(0)
            values, basis = _kept(self._stiffness.sum(0), self.settings.cutoff)
            weights = basis @ (basis.T @ load / values)
            energy = (self._constant - 0.5 * float(load @ weights)) / self._batches
            if self._medium is not None:
                weights = self._weights + self.settings.damping * (weights - self._weights)
            self._solved = self._batches, weights, energy
        return self._solved

    def _restart(self) -> None:
        """Begin a pass: the answer so far becomes the medium, and a new system is begun."""
        self._weights = self._solve()[1]
        self._set_weights(self._weights)
        self._medium = self._energy.medium(self._answer)
        for part in (self._stiffness, self._load):
            part.fill(0.0)
        self._constant, self._batches = 0.0, 0
        self._solved = -1, self._weights, math.nan

    def _set_weights(self, weights: np.ndarray) -> None:
        self._linear.set_weights(torch.as_tensor(weights, dtype=torch.float32))

    def _sample(self, count: int) -> Float[Tensor, "count d"]:
        """Points of the domain, always the same."""
        domain: Box = self._energy.problem.domain
        device = next(self._answer.parameters()).device
        points = domain.sample(count, np.random.default_rng(0))
        return torch.as_tensor(points, dtype=torch.float32, device=device)


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


def _assemble(
    network: LinearInFeatures, walk: Excursions, rows: slice
) -> tuple[Float64[np.ndarray, "m m"], Float64[np.ndarray, " m"], float]:
    """S, b and J(lift) of some of the points' walkers."""
    starts, ends, stiffness, load = (part[rows] for part in (walk.starts, walk.ends, walk.stiffness, walk.load))
    with torch.no_grad():
        here, lift = network.features(starts), network.lift(starts)  # (n, m), (n,)
        gained = network.features(ends) - here[:, None]  # (n, s, m)
        raised = network.lift(ends) - lift[:, None]  # (n, s)
        scaled = (gained * stiffness.sqrt()[..., None]).flatten(0, 1)
        right = load.sum(1) @ here - (stiffness * raised).flatten() @ gained.flatten(0, 1)
        constant = (0.5 * stiffness * raised**2).double().sum() - (load.sum(1) * lift).double().sum()
        return (scaled.T @ scaled).double().cpu().numpy(), right.double().cpu().numpy(), float(constant)


def _kept(stiffness: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues above the cut-off, and their eigenvectors, one a column."""
    values, vectors = np.linalg.eigh(stiffness)
    kept = values > cutoff * values[-1]
    return values[kept], vectors[:, kept]
