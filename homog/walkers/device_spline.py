"""A spline whose coefficients lie on a GPU, made there for the kernels that run there: the host reads none of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from homog.fields.splines import Spline


@dataclass(frozen=True, eq=False)
class DeviceSpline:
    """What a cubic `Spline` is, in a tensor. Nothing here makes the host wait but `on_host`.

    Attributes:
        lower: Lower corner of the box, d numbers.
        upper: Upper corner.
        coefficients: Coefficients of the B-splines, m + 3 along an axis of m intervals; float64.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    coefficients: Float64[Tensor, "..."]

    @property
    def intervals(self) -> tuple[int, ...]:
        """Number of intervals on each axis."""
        return tuple(count - 3 for count in self.coefficients.shape)

    def __call__(self, points: Float64[Tensor, "*batch d"]) -> Float64[Tensor, "*batch"]:
        """Values at points of the box, shape (..., d), on the same device."""
        index = torch.zeros_like(points[..., :1], dtype=torch.int64)
        weight = torch.ones_like(points[..., :1])
        corners = torch.arange(4, device=points.device)
        for axis, count in enumerate(self.intervals):
            low, high = self.lower[axis], self.upper[axis]
            t = (points[..., axis] - low) * (count / (high - low))
            first = t.floor().clamp(0, count - 1)
            own = (first.long()[..., None] + corners)[..., None, :]
            index = (index[..., None] * (count + 3) + own).flatten(-2)  # (..., 4^axes so far)
            weight = (weight[..., None] * _weights(t - first)[..., None, :]).flatten(-2)
        return (self.coefficients.flatten()[index] * weight).sum(-1)

    def on_host(self) -> Spline:
        """The same in NumPy's memory: the host waits for it."""
        return Spline(self.lower, self.upper, self.coefficients.cpu().numpy())


Lagged = Spline | DeviceSpline  # the u that walkers of a nonlinear problem read


def _weights(s: Float64[Tensor, "*batch"]) -> Float64[Tensor, "*batch 4"]:
    """The four B-splines that are not zero at the share s of an interval."""
    r = 1 - s
    middle = [4 - 3 * t**2 * (2 - t) for t in (s, r)]
    return torch.stack([r**3, *middle, s**3], dim=-1) / 6
