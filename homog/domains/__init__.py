"""Where a problem lives."""

from homog.domains.box import Box, tensor_grid
from homog.domains.places import Places

__all__ = ["Box", "Places", "tensor_grid"]
