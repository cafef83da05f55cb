"""What stands for u: networks, and the ansatz that gives them their boundary values."""

from collections.abc import Sequence
from functools import singledispatch

import torch
from torch import nn

from homog.config import MLP, Cosines, FourierMLP, Legendre, NetworkSettings
from homog.config.network import Products
from homog.domains import REFLECTING, Box, Walls
from homog.errors import UserError
from homog.networks.ansatz import BoundaryAnsatz, boundary_values, values_without_gradient
from homog.networks.linear import LinearInFeatures
from homog.networks.perceptron import FourierPerceptron, Perceptron
from homog.networks.products import Functions, ProductSum, cosines, fourier, of_walls
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


def build(settings: NetworkSettings, domain: Box, seed: int, walls: Walls | None = None) -> nn.Module:
    """The network that the settings describe, on the CPU, in float32.

    Args:
        settings: Its kind and size.
        domain: Where it is evaluated.
        seed: Of its weights.
        walls: The kinds of the faces, u given on all of them where they are not said.

    Raises:
        UserError: If it cannot have the slopes that walls ask for.
    """
    return _built(settings, domain, seed, walls or Walls.absorbing(domain.dimension))


@singledispatch
def _built(settings: NetworkSettings, domain: Box, seed: int, walls: Walls) -> nn.Module:
    raise NotImplementedError(f"no network for {type(settings).__name__}")


@_built.register
def _(settings: MLP, domain: Box, seed: int, walls: Walls) -> nn.Module:
    return Perceptron(domain, settings, torch.Generator().manual_seed(seed), periodic=walls.periodic)


@_built.register
def _(settings: FourierMLP, domain: Box, seed: int, walls: Walls) -> nn.Module:
    return FourierPerceptron(domain, settings, torch.Generator().manual_seed(seed), periodic=walls.periodic)


@_built.register
def _(settings: Cosines, domain: Box, seed: int, walls: Walls) -> nn.Module:
    if REFLECTING in walls.faces:
        raise UserError(
            "network=cosines has no slope at its ends, and flux and robin faces ask for one: write network=legendre"
        )
    functions = [fourier if periodic else cosines for periodic in walls.periodic]
    return _products(settings, domain, functions)


@_built.register
def _(settings: Legendre, domain: Box, seed: int, walls: Walls) -> nn.Module:
    return _products(settings, domain, [of_walls(*ends) for ends in zip(walls.below, walls.above, strict=True)])


def _products(settings: Products, domain: Box, functions: Sequence[Functions]) -> nn.Module:
    return ProductSum(domain, functions, settings.an_axis(domain.dimension), total=settings.total(domain.dimension))
