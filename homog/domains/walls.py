"""What the faces of a box do to walkers, and to functions on it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from homog.domains.box import Box

ABSORBING, REFLECTING, PERIODIC = "absorbing", "reflecting", "periodic"


@dataclass(frozen=True)
class Walls:
    """Of each axis the kind of its lower and of its upper face.

    A walker ends on an absorbing face, where u is known; it is pushed back from a reflecting one; through a periodic
    one it comes in again on the other side.

    Attributes:
        below, above: ABSORBING, REFLECTING or PERIODIC, for each axis.
    """

    below: tuple[str, ...]
    above: tuple[str, ...]

    @classmethod
    def absorbing(cls, dimension: int) -> "Walls":
        """All of them."""
        return cls((ABSORBING,) * dimension, (ABSORBING,) * dimension)

    @property
    def faces(self) -> tuple[str, ...]:
        """The kinds of x1-, x1+, x2-, ..."""
        return tuple(kind for pair in zip(self.below, self.above, strict=True) for kind in pair)

    @property
    def absorbs(self) -> tuple[bool, ...]:
        """Whether each of the faces does."""
        return tuple(kind == ABSORBING for kind in self.faces)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether an axis is."""
        return tuple(kind == PERIODIC for kind in self.below)

    def on_absorbing(self, points: Float[np.ndarray, "n d"], domain: Box) -> Bool[np.ndarray, " n"]:
        """Whether points of a closed box are on an absorbing face of it."""
        below = (points <= domain.lower) & np.equal(self.below, ABSORBING)
        above = (points >= domain.upper) & np.equal(self.above, ABSORBING)
        return np.any(below | above, axis=1)

    def lowest_wave(self, domain: Box) -> Float[np.ndarray, " d"]:
        """Wave numbers of the first sine along each axis that is zero where it is held; zero along a free axis."""
        ends = np.add(np.equal(self.below, ABSORBING).astype(float), np.equal(self.above, ABSORBING))
        return 0.5 * np.pi * ends / domain.sides

    @property
    def all_absorbing(self) -> bool:
        """Whether there are no others."""
        return set(self.faces) == {ABSORBING}
