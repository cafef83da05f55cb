"""Where functions are compared."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from homog.config import WITH_A_GRID
from homog.domains.box import Box, tensor_grid


@dataclass(frozen=True, eq=False)
class Places:
    """A tensor grid, or points in no order that all count alike.

    Attributes:
        axes: Coordinates of the grid on each axis, d arrays; none of points in no order.
        scattered: These points, shape (n, d); None of a grid.
    """

    axes: tuple[np.ndarray, ...] = ()
    scattered: Float64[np.ndarray, "n d"] | None = None

    @classmethod
    def of(cls, domain: Box, count: int) -> "Places":
        """An equidistant grid with `count` points an axis; from four dimensions on `count` points in all."""
        if domain.dimension <= WITH_A_GRID:
            return cls(axes=domain.axes(count))
        return cls(scattered=domain.spread(count, np.random.default_rng(0)))

    @property
    def points(self) -> Float64[np.ndarray, "*shape d"]:
        """All of them, of a grid with x1 along the first index."""
        return tensor_grid(self.axes) if self.scattered is None else self.scattered

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of values there."""
        return tuple(map(len, self.axes)) if self.scattered is None else (len(self.scattered),)

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.axes) if self.scattered is None else self.scattered.shape[1]

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file has of them: x1, x2, ... of a grid, else `points`."""
        if self.scattered is not None:
            return {"points": self.scattered}
        return {f"x{i + 1}": axis for i, axis in enumerate(self.axes)}

    def thinned(self, count: int) -> tuple["Places", tuple[slice, ...]]:
        """Some of them: of a grid about `count` an axis, of others all; and which they are."""
        if self.scattered is not None:
            return self, (slice(None),)
        stride = slice(None, None, max(1, (len(self.axes[0]) - 1) // (count - 1)))
        return Places(axes=tuple(axis[stride] for axis in self.axes)), (stride,) * len(self.axes)
