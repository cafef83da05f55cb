"""What stands for u: networks, and the ansatz that gives them their boundary values."""

from functools import singledispatch

import torch
from torch import nn

from homog.config import MLP, Cosines, FourierMLP, Legendre, NetworkSettings
from homog.domains import Box
from homog.networks.ansatz import BoundaryAnsatz, boundary_values, values_without_gradient
from homog.networks.linear import LinearInFeatures
from homog.networks.perceptron import FourierPerceptron, Perceptron
from homog.networks.products import ProductSum, cosines, legendre_slopes
from homog.networks.tangent import Tangent, tangent_in

__all__ = [
    "BoundaryAnsatz",
    "LinearInFeatures",
    "Tangent",
    "boundary_values",
    "build",
    "tangent_in",
    "values_without_gradient",
]


@singledispatch
def build(settings: NetworkSettings, domain: Box, seed: int) -> nn.Module:
    """The network that the settings describe, on the CPU, in float32."""
    raise NotImplementedError(f"no network for {type(settings).__name__}")


@build.register
def _(settings: MLP, domain: Box, seed: int) -> nn.Module:
    return Perceptron(domain, settings, torch.Generator().manual_seed(seed))


@build.register
def _(settings: FourierMLP, domain: Box, seed: int) -> nn.Module:
    return FourierPerceptron(domain, settings, torch.Generator().manual_seed(seed))


@build.register
def _(settings: Cosines, domain: Box, seed: int) -> nn.Module:
    return ProductSum(domain, cosines, settings.an_axis(domain.dimension), total=settings.total(domain.dimension))


@build.register
def _(settings: Legendre, domain: Box, seed: int) -> nn.Module:
    return ProductSum(
        domain, legendre_slopes, settings.an_axis(domain.dimension), total=settings.total(domain.dimension)
    )
