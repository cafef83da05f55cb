"""Where a problem lives."""

from homog.domains.box import Box, tensor_grid
from homog.domains.places import Places
from homog.domains.walls import ABSORBING, PERIODIC, REFLECTING, Walls

__all__ = ["ABSORBING", "PERIODIC", "REFLECTING", "Box", "Places", "Walls", "tensor_grid"]
