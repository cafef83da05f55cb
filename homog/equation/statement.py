"""An equation on its domain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from homog.domains.box import Box
from homog.equation.boundary import Boundary
from homog.equation.evolution import Evolution
from homog.equation.operator import Operator
from homog.equation.ranges import Ranges
from homog.formula import Formula


@dataclass(frozen=True, eq=False)
class Statement:
    """-div(a grad u) + c u = f in a box, with a condition on each face (equation 15, with a reaction).

    Attributes:
        operator: The equation, -div(a grad u) + c u = f.
        boundary: What holds on each face.
        domain: The box.
        scale: The length that the time steps have to resolve: eps, or the correlation length of a field.
        cell: A cell of the coefficient's period, in the lower corner of the domain; None where it has none.
        field_origin: A text that fixes the field up to rounding; without one its coefficients do.
        eigenvalues: How many are wanted.
        evolution: What depends on time; None where nothing does. The equation is then that of the steady state with f
            at the end; where all data are zero, with the initial value for f.
        ranges: Parameters for all values of which u is wanted, besides those of this problem; None for none.
        metrics: Numbers for the record of a run: the correlation length and the largest wave number of a field.
    """

    operator: Operator
    boundary: Boundary
    domain: Box
    scale: float
    cell: Box | None = None
    field_origin: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    eigenvalues: int = 0
    evolution: Evolution | None = None
    ranges: Ranges | None = None

    @property
    def dimension(self) -> int:
        """Number of space dimensions."""
        return self.domain.dimension

    @property
    def data_names(self) -> frozenset[str]:
        """The names that occur in f, c and on the boundary."""
        return frozenset[str]().union(*(formula.names for formula in self.data))

    @property
    def data(self) -> tuple[Formula, ...]:
        """f, c where there is one, and what is given on the boundary."""
        return (*self.operator.data, *self.boundary.formulas())

    @property
    def kills(self) -> bool:
        """Whether walkers have weights, by a reaction or by walls that let something out."""
        return self.operator.reaction is not None or bool(self.boundary.factors)

    @property
    def parameters(self) -> Mapping[str, float]:
        """Value of each parameter, eps among them."""
        return self.operator.parameters
