"""An equation on its domain."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from homog.domains.box import Box
from homog.equation.boundary import Dirichlet
from homog.equation.operator import Operator


@dataclass(frozen=True, eq=False)
class Statement:
    """-div(a grad u) + c u = f in a box, u = g on its boundary (equation 15, with a reaction).

    Attributes:
        operator: The equation, -div(a grad u) + c u = f.
        boundary: What holds on the boundary, u = g.
        domain: The box.
        scale: The length that the time steps have to resolve: eps, or the correlation length of a field.
        cell: A cell of the coefficient's period, in the lower corner of the domain; None where it has none.
        field_origin: A text that fixes the field up to rounding; without one its coefficients do.
        metrics: Numbers for the record of a run: the correlation length and the largest wave number of a field.
    """

    operator: Operator
    boundary: Dirichlet
    domain: Box
    scale: float
    cell: Box | None = None
    field_origin: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def dimension(self) -> int:
        """Number of space dimensions."""
        return self.domain.dimension

    @property
    def data_names(self) -> frozenset[str]:
        """The names that occur in f, c and g."""
        return frozenset[str]().union(self.boundary.value.names, *(formula.names for formula in self.operator.data))

    @property
    def parameters(self) -> Mapping[str, float]:
        """Value of each parameter, eps among them."""
        return self.operator.parameters
