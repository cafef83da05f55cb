"""How good an answer is: relative L2 errors against the references."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from homog.domains import tensor_grid
from homog.networks import values_without_gradient
from homog.references import Reference


def relative_l2(values: np.ndarray, reference: np.ndarray) -> float:
    """||values - reference|| / ||reference|| over equidistant grid points, as the paper measures it (section 4)."""
    return float(np.linalg.norm(values - reference) / np.linalg.norm(reference))


def values_on_grid(network: nn.Module, axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The network on the tensor grid of d axes, x1 along the first index; float64."""
    grid = tensor_grid(axes)
    device = next(network.parameters()).device
    values = values_without_gradient(network, torch.as_tensor(grid, dtype=torch.float32, device=device))
    return values.double().cpu().numpy()


@dataclass(frozen=True)
class Errors:
    """Relative L2 errors; None where a reference is missing or zero.

    Attributes:
        fine: Error of the network against u_eps.
        homogenized: Error of the network against u_0.
        floor: Error of u_0 against u_eps; an answer equal to u_0 still has this error.
        mean_coefficient: Error of u_mean, the naive baseline, against u_eps, or u_0 where there is no u_eps.
    """

    fine: float | None
    homogenized: float | None
    floor: float | None
    mean_coefficient: float | None


def errors(values: np.ndarray, reference: Reference) -> Errors:
    """The errors of values on the reference's grid."""

    def error(answer: np.ndarray | None, truth: np.ndarray | None) -> float | None:
        return None if answer is None or truth is None or not truth.any() else relative_l2(answer, truth)

    truth = best_reference(reference)
    return Errors(
        error(values, reference.fine),
        error(values, reference.homogenized),
        error(reference.homogenized, reference.fine),
        error(reference.mean_coefficient, truth),
    )


def best_reference(reference: Reference) -> np.ndarray | None:
    """u_eps, or u_0 where no mesh resolves u_eps, or nothing."""
    return reference.fine if reference.fine is not None else reference.homogenized


class ErrorMonitor:
    """The error during training, on every few points of the reference's grid.

    Args:
        reference: What the network is held against: u_eps where there is one, else u_0.
        points: About this many points an axis are used.
    """

    def __init__(self, reference: Reference, points: int = 101) -> None:
        truth = best_reference(reference)
        stride = max(1, (len(reference.axes[0]) - 1) // (points - 1))
        axes = tuple(axis[::stride] for axis in reference.axes)
        self._grid = torch.as_tensor(tensor_grid(axes), dtype=torch.float32)
        thinned = None if truth is None else truth[(slice(None, None, stride),) * len(axes)]
        self._truth = None if thinned is None or not thinned.any() else torch.as_tensor(thinned)

    def __call__(self, network: nn.Module) -> float | None:
        """The relative L2 error, found on the network's device; None without a reference, or with one that is zero."""
        if self._truth is None:
            return None
        device = next(network.parameters()).device
        self._grid, self._truth = self._grid.to(device), self._truth.to(device)
        values = values_without_gradient(network, self._grid).double()
        return float(torch.linalg.vector_norm(values - self._truth) / torch.linalg.vector_norm(self._truth))


def weights_sha256(network: nn.Module) -> str:
    """A hash of all weights and buffers, in order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
