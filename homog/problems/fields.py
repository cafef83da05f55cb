"""Random fields and fields of the user's own, on a grid."""

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from jaxtyping import Float64

from homog.config import FieldSettings
from homog.problems.domain import Box
from homog.splines import CubicSpline


@dataclass(frozen=True, eq=False)
class TabulatedField:
    """A field and the length on which it varies.

    Attributes:
        spline: Through its values.
        correlation_length: Mean over the axes of the distance at which the autocorrelation falls to 1/e.
    """

    spline: CubicSpline
    correlation_length: float


@singledispatch
def build(settings: FieldSettings, domain: Box) -> TabulatedField:
    """The field that the settings describe, on the domain.

    Raises:
        UserError: If it cannot be had, in one line.
    """
    raise NotImplementedError(f"no field for {type(settings).__name__}")
