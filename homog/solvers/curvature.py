"""The local quadratic model of what is minimised, over changes of a network's weights: by a matrix, or by products."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from homog.losses import LinearSystem
from homog.losses.walking import Forms, Value
from homog.machine import ranks
from homog.networks import Tangent

_MOST_PRODUCTS = 60  # a step; more of them fit the noise of its batch
_CLOSE = 1e-2  # residual of the damped equations, relative
_PROBES = 4  # of the mean of the diagonal

Weights = Float64[np.ndarray, " p"]


class Curvature(Protocol):
    """q(w) = 1/2 w . S w - right . w, what a change w of the weights adds to first order in the network."""

    def step(self, damping: float) -> Weights:
        """The minimum of q with `damping` mean diagonals of S times |w|^2 / 2 more."""
        ...

    def predicted(self, step: Weights) -> float:
        """q of a step."""
        ...

    def plain(self, step: Weights) -> float:
        """The same without the control variate: what the walkers themselves foretell."""
        ...


class ByMatrix:
    """From the equations of a batch.

    Args:
        system: The equations.
        variate: Coefficient of the control variate.
    """

    def __init__(self, system: LinearSystem, variate: float) -> None:
        with_control = system.matrix + variate * system.control
        (self._matrix, self._right), (self._plain, self._plain_right) = (
            (part[:-1, :-1], system.load[:-1] - part[:-1, -1]) for part in (with_control, system.matrix)
        )
        self._size, self._identity = float(np.mean(np.diag(self._matrix))), np.eye(len(self._matrix))
        self.start = float(0.5 * with_control[-1, -1] - system.load[-1])  # q of the network as it is, a constant

    def step(self, damping: float) -> Weights:
        return np.linalg.solve(self._matrix + damping * self._size * self._identity, self._right)

    def predicted(self, step: Weights) -> float:
        return float(step @ (0.5 * self._matrix @ step - self._right))

    def plain(self, step: Weights) -> float:
        return float(step @ (0.5 * self._plain @ step - self._plain_right))


class ByProducts:
    """From slopes of the forms of a batch, without a matrix: S v is their slope at v less that at zero.

    Every product costs two passes of the walkers through the network, forwards and backwards, so that its price grows
    with the number of weights and not with its square.

    Args:
        network: With a tangent space in it.
        tangent: That; its change is zero.
        forms: Of a batch.
        variate: Coefficient of the control variate.
    """

    def __init__(self, network: nn.Module, tangent: Tangent, forms: Forms, variate: float) -> None:
        self._network, self._tangent, self._forms, self._variate = network, tangent, forms, variate
        self._count = len(tangent.change)
        self._slope, self._plain_slope = self._slopes(np.zeros(self._count))
        random = np.random.default_rng(0)
        probes = [random.choice([-1.0, 1.0], self._count) for _ in range(_PROBES)]
        self._size = float(np.mean([probe @ self._product(probe) for probe in probes])) / self._count

    def step(self, damping: float) -> Weights:
        """By conjugate gradients, for the equations closely enough."""
        more = damping * self._size
        found, residual = np.zeros(self._count), -self._slope
        direction, square = residual.copy(), float(residual @ residual)
        least = _CLOSE**2 * square
        for _ in range(_MOST_PRODUCTS):
            if square <= least:
                break
            image = self._product(direction) + more * direction
            bend = float(direction @ image)
            if bend <= 0:  # the control variate may make it so
                break
            found += square / bend * direction
            residual -= square / bend * image
            before, square = square, float(residual @ residual)
            direction = residual + square / before * direction
        return found

    def predicted(self, step: Weights) -> float:
        return float(step @ (0.5 * self._product(step) + self._slope))

    def plain(self, step: Weights) -> float:
        # a quadratic form: the mean of the slopes at both ends, along the way
        return float(step @ (0.5 * (self._slopes(step)[1] + self._plain_slope)))

    def _product(self, change: Weights) -> Weights:
        return self._slopes(change)[0] - self._slope

    def _slopes(self, change: Weights) -> tuple[Weights, Weights]:
        """Of the forms with the control variate, and without; at a change."""
        tangent = self._tangent
        kept = tangent.change
        at = torch.as_tensor(change, dtype=kept.dtype, device=kept.device).requires_grad_()
        tangent.change = at
        try:
            plain, control = (self._sum(forms, at) for forms in (self._forms.values, self._forms.controls))
        finally:
            tangent.change = kept
        both = torch.stack([plain, control])
        ranks.add([both])
        first, second = both.double().cpu().numpy()
        return first + self._variate * second, first

    def _sum(self, forms: Sequence[Value], at: torch.Tensor) -> torch.Tensor:
        """The slope of a sum of forms."""
        total = torch.zeros_like(at)
        for form in forms:
            total += torch.autograd.grad(form(self._network), at)[0]
        return total.detach()
