"""What holds on the boundary: a condition for each face."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float, Float64

from homog.domains.box import Box
from homog.domains.walls import ABSORBING, PERIODIC, REFLECTING, Walls
from homog.formula import Formula
from homog.formula.evaluate import at_points
from homog.formula.parse import symbol


@dataclass(frozen=True, eq=False)
class Dirichlet:
    """u = g.

    Attributes:
        value: g(x).
    """

    value: Formula


@dataclass(frozen=True, eq=False)
class Neumann:
    """n.a grad u = q: what flows in through the face, n the outward normal.

    Attributes:
        flux: q(x).
    """

    flux: Formula


@dataclass(frozen=True, eq=False)
class Robin:
    """n.a grad u + k u = q: what flows out is k u - q.

    Attributes:
        factor: k(x), nowhere negative.
        flux: q(x).
    """

    factor: Formula
    flux: Formula


@dataclass(frozen=True)
class Periodic:
    """The face and the one across are one."""


Condition = Dirichlet | Neumann | Robin | Periodic
_KINDS: Mapping[type, str] = {
    Dirichlet: ABSORBING, Neumann: REFLECTING, Robin: REFLECTING, Periodic: PERIODIC,
}  # fmt: skip


_NAMES: Mapping[type, str] = {Dirichlet: "value", Neumann: "flux", Robin: "robin", Periodic: "periodic"}


@dataclass(frozen=True, eq=False)
class Boundary:
    """The conditions on the faces of a box.

    Attributes:
        faces: That on x1-, x1+, x2-, and so on.
        value: A function on the whole box that is g on each face where u is given, and zero where there is none: what
            networks add to.
        parameters: Value of each parameter of the formulas.
    """

    faces: tuple[Condition, ...]
    value: Formula
    parameters: Mapping[str, float]

    @classmethod
    def given(cls, value: Formula, parameters: Mapping[str, float]) -> "Boundary":
        """u = g on all faces."""
        return cls((Dirichlet(value),) * (2 * len(value.axes)), value, parameters)

    @classmethod
    def of(cls, faces: Sequence[Condition], domain: Box, parameters: Mapping[str, float]) -> "Boundary":
        """From the conditions on the faces; their values have to meet where faces do."""
        return cls(tuple(faces), _extended(faces, domain), parameters)

    def at(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch"]:
        """The function that is g, at points of shape (..., d)."""
        return at_points(self.value, points, self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """What holds on each face: value, flux, robin or periodic."""
        return tuple(_NAMES[type(face)] for face in self.faces)

    @property
    def walls(self) -> Walls:
        """What the faces do to walkers."""
        kinds = tuple(_KINDS[type(face)] for face in self.faces)
        return Walls(kinds[::2], kinds[1::2])

    @property
    def factors(self) -> dict[int, Formula]:
        """k, by the number of the face, where there is one."""
        return {
            number: face.factor
            for number, face in enumerate(self.faces)
            if isinstance(face, Robin) and face.factor.expression != 0
        }

    @property
    def fluxes(self) -> dict[int, Formula]:
        """q, by the number of the face, where it is not zero."""
        return {
            number: face.flux
            for number, face in enumerate(self.faces)
            if isinstance(face, Neumann | Robin) and face.flux.expression != 0
        }

    def rates_at(self, face: int, points: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "2 n"]:
        """q and k at points of a face, by its number; zero where there is none."""
        rates = np.zeros((2, len(points)))
        for row, given in zip(rates, (self.fluxes, self.factors), strict=True):
            if face in given:
                row[:] = at_points(given[face], points, self.parameters)
        return rates

    def formulas(self) -> tuple[Formula, ...]:
        """All of them."""
        return (self.value, *self.factors.values(), *self.fluxes.values())

    def without_flux(self) -> "Boundary":
        """The same with q = 0."""
        faces = list[Condition]()
        for face in self.faces:
            match face:
                case Neumann(flux):
                    faces.append(Neumann(_zero(flux.axes)))
                case Robin(factor, flux):
                    faces.append(Robin(factor, _zero(flux.axes)))
                case _:
                    faces.append(face)
        return Boundary(tuple(faces), self.value, self.parameters)

    def with_outflow(self, velocity: Sequence[Formula], domain: Box) -> "Boundary":
        """With k + n.b in place of k, and without q."""
        faces = list[Condition](self.without_flux().faces)
        for number, face in enumerate(faces):
            if isinstance(face, Neumann | Robin):
                axis, axes = number // 2, face.flux.axes
                end = (domain.lower, domain.upper)[number % 2][axis]
                out: Any = velocity[axis].expression.xreplace({symbol(axes[axis]): sympy.Float(end)})
                factor = (face.factor.expression if isinstance(face, Robin) else 0) + (out if number % 2 else -out)
                faces[number] = Robin(Formula(f"k + n.b = {factor}", factor, axes), face.flux)
        return Boundary(tuple(faces), self.value, self.parameters)

    def mapped(self, rate: Callable[[int, Formula], Formula], value: Callable[[Formula], Formula]) -> "Boundary":
        """With other formulas: k and q by the number of their face, and g."""
        faces = list[Condition]()
        for number, face in enumerate(self.faces):
            match face:
                case Dirichlet(given):
                    faces.append(Dirichlet(value(given)))
                case Neumann(flux):
                    faces.append(Neumann(rate(number, flux)))
                case Robin(factor, flux):
                    faces.append(Robin(rate(number, factor), rate(number, flux)))
                case Periodic():
                    faces.append(face)
        return Boundary(tuple(faces), value(self.value), self.parameters)

    def content(self) -> str | list[str]:
        """A canonical text: of one formula for all faces its own."""
        if self.walls.all_absorbing and len({face.value.expression for face in self.faces}) == 1:  # type: ignore[union-attr]
            return str(self.value.expression)
        return [_text(face) for face in self.faces]


def _text(face: Condition) -> str:
    match face:
        case Dirichlet(value):
            return f"u = {value.expression}"
        case Neumann(flux):
            return f"flux = {flux.expression}"
        case Robin(factor, flux):
            return f"flux = {flux.expression} - ({factor.expression}) u"
    return "periodic"


def _zero(axes: tuple[str, ...]) -> Formula:
    return Formula("0", sympy.Integer(0), axes)


def _extended(faces: Sequence[Condition], domain: Box) -> Formula:
    """The values on the faces, extended into the box.

    One formula for all of them is taken as it is. Others are blended along each axis, linearly from face to face, and
    the blends of the axes are joined by their Boolean sum P1 + P2 - P1 P2, which interpolates on all faces where the
    values of faces meet at their edges (transfinite interpolation; Gordon and Hall 1973).
    """
    axes = tuple(f"x{axis + 1}" for axis in range(domain.dimension))
    values = [face.value.expression if isinstance(face, Dirichlet) else None for face in faces]
    known = [value for value in values if value is not None]
    if len(set(known)) <= 1:
        first = next((face.value for face in faces if isinstance(face, Dirichlet)), None)
        return _zero(axes) if first is None else first
    whole: sympy.Expr = sympy.Integer(0)
    for axis, (low, high) in enumerate(zip(domain.lower, domain.upper, strict=True)):
        x, missing = symbol(axes[axis]), list[sympy.Expr]()  # from g on this axis' faces, extended along it
        for value, end in zip(values[2 * axis : 2 * axis + 2], (low, high), strict=True):
            if value is not None:
                apart: Any = value - whole
                missing.append(apart.xreplace({x: sympy.Float(end)}))
        share = (x - sympy.Float(low)) / sympy.Float(high - low)
        match missing:
            case [one]:
                whole += one
            case [one, other]:
                whole += (1 - share) * one + share * other
    text = "; ".join(dict.fromkeys(face.value.text for face in faces if isinstance(face, Dirichlet)))
    return Formula(text, whole, axes)
