"""The neural tangent kernel's trace: how fast gradient descent moves a quantity of the network."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

_BLOCK = 16  # points whose gradients are taken at once: the work grows like block^2, the overhead like 1 / block


def mean_trace(
    quantity: Callable[[Float64[np.ndarray, "n d"]], Float[Tensor, " n"]],
    points: Float64[np.ndarray, "n d"],
    network: nn.Module,
) -> float:
    """tr(K) / n of K_ij = d q(x_i)/d theta . d q(x_j)/d theta: the mean over points of a squared gradient.

    Args:
        quantity: q at points, with a graph to the weights theta; each value depends on its own point alone.
        points: Where, shape (n, d).
        network: Whose weights.
    """
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    total = 0.0
    for block in np.array_split(points, -(-len(points) // _BLOCK)):
        values = quantity(block)
        rows = torch.eye(len(block), dtype=values.dtype, device=values.device)
        # one gradient for each value, by a batched backward pass; a weight that does not enter gets None
        gradients = torch.autograd.grad(values, weights, rows, is_grads_batched=True, allow_unused=True)
        total += sum(float(part.square().sum()) for part in gradients if part is not None)
    return total / len(points)
