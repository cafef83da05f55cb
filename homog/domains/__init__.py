"""Where a problem lives."""

from homog.domains.box import Box, tensor_grid

__all__ = ["Box", "tensor_grid"]
