"""Fields on a grid: what a coefficient without a formula is made of."""

from dataclasses import dataclass
from math import isfinite

from homog.config.checks import MISSING, at_least, positive, require


@dataclass
class FieldSettings:
    """Base of the fields."""


@dataclass
class SpectralField(FieldSettings):
    """Amplitudes |k|^-decay with random phases on the periodic box, mapped affinely onto [lower, upper].

    The wave numbers k run from `shortest` to `longest` periods a unit length; without `longest` it is calibrated so
    that the correlation length is `correlation`.
    """

    seed: int = 0
    decay: float = 1.0
    shortest: float = 4.0
    longest: float | None = None
    correlation: float = 0.0135
    lower: float = 0.1
    upper: float = 1.9
    grid: int = 1024
