"""A finished answer as walkers' measures read it: its values, where they arrive, and what its slopes foretell."""

from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from homog.config import WITH_A_GRID
from homog.domains import Box
from homog.fields.splines import Spline
from homog.losses.lagged import NODES, lagged_spline
from homog.networks import values_without_gradient
from homog.walkers import SplineValues, Walk

_AT_ONCE = 2**14  # points whose slopes are taken together


class SmoothAnswer(Protocol):
    """u, trained."""

    @property
    def lagged(self) -> Spline | None:
        """What walkers of a nonlinear problem read; None where it is no table."""
        ...

    def __call__(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """u at points."""
        ...

    def slopes(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        """grad u at points."""
        ...

    def after(
        self, points: Float64[np.ndarray, "n d"], displacement: Float32[np.ndarray, "d n s"]
    ) -> Float32[np.ndarray, "n s"]:
        """u where walkers from points are, by the same arithmetic for no displacement as for any."""
        ...

    def control(self, points: Float64[np.ndarray, "n d"], walk: Walk) -> Float32[np.ndarray, "n s"]:
        """What u foretells of the noise of each walker from its Brownian increments, of expectation zero."""
        ...

    def is_finite(self) -> bool:
        """Whether it has values."""
        ...


def smooth_answer(network: nn.Module, domain: Box, cache: Path) -> SmoothAnswer:
    """From a spline through its values on a grid; where there is none, by the network itself.

    Args:
        network: u.
        domain: The box.
        cache: Folder for compiled code.
    """
    if domain.dimension > WITH_A_GRID:
        return _Evaluated(network, domain)
    return _Tabulated(lagged_spline(network, domain, NODES[domain.dimension]), cache)


class _Tabulated:
    def __init__(self, spline: Spline, cache: Path) -> None:
        self.lagged = spline
        self._look_up = SplineValues(len(spline.lower), cache)

    def __call__(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        return self.lagged(points)

    def slopes(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        return self.lagged.gradient(points)

    def after(
        self, points: Float64[np.ndarray, "n d"], displacement: Float32[np.ndarray, "d n s"]
    ) -> Float32[np.ndarray, "n s"]:
        return self._look_up(self.lagged, points, displacement)

    def control(self, points: Float64[np.ndarray, "n d"], walk: Walk) -> Float32[np.ndarray, "n s"]:
        """grad u(x) . W + 1/2 (W W^T - Q) : Hess u(x), where Q is duration I, but for a matrix."""
        slope = self.lagged.gradient(points).astype(np.float32)
        bend = self.lagged.hessian(points).astype(np.float32)
        if walk.variance is None:
            control = -0.5 * np.trace(bend, axis1=1, axis2=2)[:, None] * walk.duration
        else:
            control = -0.5 * np.einsum("nij,ijns->ns", bend, walk.variance)
        for i, w in enumerate(walk.brownian):
            factor = slope[:, i, None] + 0.5 * bend[:, i, i, None] * w
            for j, other in enumerate(walk.brownian[:i]):
                factor += bend[:, i, j, None] * other
            factor *= w
            control += factor
        return control

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.lagged.coefficients).all())


class _Evaluated:
    lagged = None

    def __init__(self, network: nn.Module, domain: Box) -> None:
        self._network = network
        self._domain = domain

    @cached_property
    def _device(self) -> torch.device:
        return next(self._network.parameters()).device

    def __call__(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        return self._values(points).astype(np.float64)

    def slopes(self, points: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        found = []
        for first in range(0, len(points), _AT_ONCE):
            x = torch.as_tensor(points[first : first + _AT_ONCE], dtype=torch.float32, device=self._device)
            (slope,) = torch.autograd.grad(self._network(x.requires_grad_()).sum(), x)
            found.append(slope.double().cpu().numpy())
        return np.concatenate(found)

    def after(
        self, points: Float64[np.ndarray, "n d"], displacement: Float32[np.ndarray, "d n s"]
    ) -> Float32[np.ndarray, "n s"]:
        dimension, count, walkers = displacement.shape
        ends = points[:, None] + displacement.transpose(1, 2, 0)
        ends = np.clip(ends, self._domain.lower, self._domain.upper)
        return self._values(ends.reshape(-1, dimension)).reshape(count, walkers)

    def control(self, points: Float64[np.ndarray, "n d"], walk: Walk) -> Float32[np.ndarray, "n s"]:
        """grad u(x) . W: the Hessian of a network of many coordinates is dear."""
        return np.einsum("ni,ins->ns", self.slopes(points).astype(np.float32), walk.brownian)

    def is_finite(self) -> bool:
        return bool(np.isfinite(self._values(self._domain.spread(1024, np.random.default_rng(0)))).all())

    def _values(self, points: np.ndarray) -> np.ndarray:
        x = torch.as_tensor(points, dtype=torch.float32, device=self._device)
        return values_without_gradient(self._network, x).cpu().numpy()
