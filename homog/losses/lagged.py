"""The lagged u: the current network on equidistant nodes of the domain, as walkers of a nonlinear problem read it."""

import numpy as np
import torch
from torch import nn

from homog.domains import Box
from homog.fields.splines import Spline, interpolate, not_a_knot
from homog.networks import values_without_gradient
from homog.walkers import DeviceSpline, placed

NODES = {1: 1025, 2: 257, 3: 65}
"""Nodes an axis of the table of a finished answer, by the dimension: more do not show (`measures.fine_scale`)."""


def lagged_spline(network: nn.Module, domain: Box, count: int) -> Spline:
    """The spline through a network's values on `count` equidistant nodes an axis of the domain, without gradient."""
    device = next(network.parameters()).device
    grid = torch.as_tensor(domain.grid(count), dtype=torch.float32, device=device)
    values = values_without_gradient(network, grid).double().cpu().numpy()
    return interpolate(values, domain.lower, domain.upper)


class LaggedOnDevice:
    """The same spline, made on the network's device without making the host wait.

    Args:
        domain: The box.
        count: Nodes an axis.
        device: The network's.
    """

    def __init__(self, domain: Box, count: int, device: torch.device) -> None:
        self._domain = domain
        self._nodes = placed(domain.grid(count).astype(np.float32), device)
        self._matrix = placed(not_a_knot(count), device)  # float64, as on the host

    def __call__(self, network: nn.Module) -> DeviceSpline:
        """The spline through the network's values as they are now."""
        coefficients = values_without_gradient(network, self._nodes).double()
        for _ in range(coefficients.ndim):  # each product puts the first axis behind the others
            coefficients = torch.einsum("i...,ki->...k", coefficients, self._matrix)
        return DeviceSpline(self._domain.lower, self._domain.upper, coefficients.contiguous())
