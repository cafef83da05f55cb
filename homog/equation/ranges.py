"""A box of parameters, polynomials over it, and a rule for means over it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from homog.errors import UserError

_NODES = {1: 12, 2: 5, 3: 3}  # of Gauss's rule, an axis
_DEGREE = {1: 6, 2: 4, 3: 2}  # the most in all: products of two are integrated exactly
_SLACK = 1e-9


@dataclass(frozen=True)
class Ranges:
    """Parameters that are drawn evenly, each from its range.

    A place is their values on [-1, 1], shape (..., p). The polynomials are products of Legendre's, orthonormal for the
    mean over the box, in the order of their total degree: the first is one.

    Attributes:
        ends: Least and largest value of each, by its name.
    """

    ends: Mapping[str, tuple[float, float]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(self.ends)

    @cached_property
    def nodes(self) -> Float64[np.ndarray, "q p"]:
        """Places of a rule for the mean over the box."""
        along, _ = np.polynomial.legendre.leggauss(_NODES[len(self.ends)])
        return np.array(list(itertools.product(along, repeat=len(self.ends))))

    @cached_property
    def shares(self) -> Float64[np.ndarray, " q"]:
        """Their weights, which add up to one."""
        _, along = np.polynomial.legendre.leggauss(_NODES[len(self.ends)])
        return np.array([np.prod(parts) for parts in itertools.product(along / 2, repeat=len(self.ends))])

    @cached_property
    def degrees(self) -> Int64[np.ndarray, "k p"]:
        """Of each polynomial along each parameter."""
        most = _DEGREE[len(self.ends)]
        found = [
            degrees for degrees in itertools.product(range(most + 1), repeat=len(self.ends)) if sum(degrees) <= most
        ]
        return np.array(sorted(found, key=lambda degrees: (sum(degrees), degrees)))

    def spaces(self) -> list[int]:
        """How many polynomials have at most the total degree 0, 1, 2, ..."""
        totals = self.degrees.sum(1)
        return [int((totals <= degree).sum()) for degree in range(int(totals.max()) + 1)]

    def polynomials(self, places: Float64[np.ndarray, "*batch p"]) -> Float64[np.ndarray, "*batch k"]:
        """Their values."""
        tables = np.polynomial.legendre.legvander(places, int(self.degrees.max()))
        tables = tables * np.sqrt(2 * np.arange(tables.shape[-1]) + 1)
        return np.prod([tables[..., axis, degree] for axis, degree in enumerate(self.degrees.T)], axis=0)

    def slopes(self, places: Float64[np.ndarray, "*batch p"], name: str) -> Float64[np.ndarray, "*batch k"]:
        """Their derivatives along a parameter, in its own unit."""
        which, most = self.names.index(name), int(self.degrees.max())
        tables = np.polynomial.legendre.legvander(places, most)
        slope = [np.polynomial.legendre.legval(places[..., which], np.polynomial.legendre.legder(one))
                 for one in np.eye(most + 1)]  # fmt: skip
        tables[..., which, :] = np.stack(slope, -1)
        tables = tables * np.sqrt(2 * np.arange(most + 1) + 1)
        low, high = self.ends[name]
        product = np.prod([tables[..., axis, degree] for axis, degree in enumerate(self.degrees.T)], axis=0)
        return product * 2 / (high - low)

    def place(self, values: Mapping[str, float]) -> Float64[np.ndarray, " p"]:
        """Where these values lie.

        Raises:
            UserError: If one is missing, unknown, or out of its range.
        """
        unknown = [name for name in values if name not in self.ends]
        missing = [name for name in self.ends if name not in values]
        if unknown or missing:
            names = ", ".join(f"{name}=..." for name in self.names)
            raise UserError(f"write a value for each of the parameters that are ranges, and for no other: {names}")
        found = []
        for name, (low, high) in self.ends.items():
            place = (2 * float(values[name]) - low - high) / (high - low)
            if not abs(place) <= 1 + _SLACK:
                raise UserError(f"{name}={values[name]:g} lies outside of its range, {low:g} to {high:g}")
            found.append(min(1.0, max(-1.0, place)))
        return np.array(found)

    def own_place(self, parameters: Mapping[str, float]) -> Float64[np.ndarray, " p"]:
        """Where a problem with these parameters lies: in the middle, but for an eps that is not."""
        return self.place({name: parameters[name] for name in self.names})

    def values(self, place: Float64[np.ndarray, " p"]) -> dict[str, float]:
        """The values at a place."""
        ends = self.ends.items()
        return {
            name: float(low + (high - low) * (at + 1) / 2) for (name, (low, high)), at in zip(ends, place, strict=True)
        }
