"""How good an answer is: relative L2 errors against the references."""

import hashlib
import math
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


def values_at(network: nn.Module, points: np.ndarray) -> np.ndarray:
    """The network at points of shape (..., d); shape (...), float64."""
    device = next(network.parameters()).device
    values = values_without_gradient(network, torch.as_tensor(points, dtype=torch.float32, device=device))
    return values.double().cpu().numpy()


def values_on_grid(network: nn.Module, axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The network on the tensor grid of d axes, x1 along the first index; float64."""
    return values_at(network, tensor_grid(axes))


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
    """The errors of values at the reference's places; of one by walks without what its noise adds to them."""

    def error(answer: np.ndarray | None, truth: np.ndarray | None, *noises: np.ndarray | None) -> float | None:
        if answer is None or truth is None or not truth.any():
            return None
        noise = sum(float(np.sum(part**2)) for part in noises if part is not None)
        found = relative_l2(answer, truth)
        return found if noise == 0 else math.sqrt(max(0.0, found**2 - noise / float(np.sum(truth**2))))

    of_fine, of_limit = reference.fine_standard_error, reference.homogenized_standard_error
    return Errors(
        error(values, reference.fine, of_fine),
        error(values, reference.homogenized, of_limit),
        error(reference.homogenized, reference.fine, of_fine, of_limit),
        error(reference.mean_coefficient, best_reference(reference), of_fine),
    )


def best_reference(reference: Reference) -> np.ndarray | None:
    """u_eps, or u_0 where no mesh resolves u_eps, or nothing."""
    return reference.fine if reference.fine is not None else reference.homogenized


class ErrorMonitor:
    """The error during training, on every few points of the reference's grid, without what noise of that adds to it.

    Args:
        reference: What the network is held against: u_eps where there is one, else u_0.
        points: About this many points an axis are used; all where there is no grid.
    """

    def __init__(self, reference: Reference, points: int = 101) -> None:
        truth, noise = best_reference(reference), reference.fine_standard_error
        if reference.fine is None:
            noise = reference.homogenized_standard_error
        places, which = reference.places.thinned(points)
        self._grid = torch.as_tensor(places.points, dtype=torch.float32)
        thinned = None if truth is None else truth[which]
        self._truth = None if thinned is None or not thinned.any() else torch.as_tensor(thinned)
        self._noise = 0.0 if noise is None else float(np.sum(noise**2))

    def __call__(self, network: nn.Module) -> float | None:
        """The relative L2 error, found on the network's device; None without a reference, or with one that is zero."""
        if self._truth is None:
            return None
        device = next(network.parameters()).device
        self._grid, self._truth = self._grid.to(device), self._truth.to(device)
        values = values_without_gradient(network, self._grid).double()
        found, size = (float(torch.linalg.vector_norm(part)) for part in (values - self._truth, self._truth))
        return found / size if self._noise == 0 else math.sqrt(max(0.0, found**2 - self._noise)) / size


def weights_sha256(network: nn.Module) -> str:
    """A hash of all weights and buffers, in order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
