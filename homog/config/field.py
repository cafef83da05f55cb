"""Fields on a grid: what a coefficient without a formula is made of."""

from dataclasses import dataclass, field
from math import isfinite

from homog.config.checks import MISSING, at_least, one_of, positive, require

COVARIANCES = ("Gaussian", "Matern", "Exponential", "Spherical")  # of gstools; all are valid in one to three dimensions

DEGREES = {"cubic": 3, "linear": 1}  # of the spline through the nodes


@dataclass(kw_only=True)
class FieldSettings:
    """Base of the fields."""

    @property
    def jumps(self) -> bool:
        """Whether it jumps from one constant to another."""
        return False


@dataclass(kw_only=True)
class SpectralField(FieldSettings):
    """Amplitudes |k|^-decay with random phases on the periodic box, mapped affinely onto [lower, upper].

    The wave numbers k run from `shortest` to `longest` periods a unit length; without `longest` it is calibrated so
    that the correlation length is `correlation`. `grid` counts the nodes along the longest side. Of several
    `samples` those after the first have the seeds that follow.
    """

    seed: int = 0
    samples: int = field(default=1, repr=False)  # no part of the field's own name
    decay: float = 1.0
    shortest: float = 4.0
    longest: float | None = None
    correlation: float = 0.0135
    lower: float = 0.1
    upper: float = 1.9
    grid: int = 1024

    def __post_init__(self) -> None:
        _seed(self.seed)
        at_least("problem.field.samples", self.samples, 1)
        require(0 <= self.decay <= 20, "problem.field.decay", self.decay, "a number from 0 to 20")
        positive("problem.field.shortest", self.shortest)
        if self.longest is not None:
            at_least("problem.field.longest", self.longest, self.shortest)
        positive("problem.field.correlation", self.correlation)
        require(
            isfinite(self.upper - self.lower) and self.lower < self.upper,
            "problem.field.upper",
            self.upper,
            f"a number above lower ({self.lower})",
        )
        at_least("problem.field.grid", self.grid, 16)


@dataclass(kw_only=True)
class FileField(FieldSettings):
    """An array of the user's own in a .npy file, x1 along the first index, spread over the whole domain.

    Of a periodic field the upper end is left out, as that is the lower end again; otherwise both ends are nodes.
    Between the nodes it is a `cubic` spline, smooth but beyond the values on the nodes where they jump, or `linear`
    along each axis, between the values on the nodes, with kinks. A periodic one may be repeated: `period`, a formula
    such as eps, is the side along x1 of the cell that it fills then, with intervals of equal width along all axes.
    """

    path: str = MISSING
    periodic: bool = False
    interpolation: str = "cubic"
    period: str | None = None

    def __post_init__(self) -> None:
        one_of("problem.field.interpolation", self.interpolation, DEGREES)
        around = "null, or problem.field.periodic=true: what is repeated goes on over the faces of its cell"
        require(self.periodic or self.period is None, "problem.field.period", self.period, around)


@dataclass(kw_only=True)
class ImageField(FieldSettings):
    """An image of the user's own: .npy (x1 along the first index), PNG, or TIFF, also a stack of pages.

    Of a picture x1 is to the right and x2 upwards; x3 is the page. With `interpolation=constant` its numbers are labels
    of phases, and the field has on each voxel what `values` says of its label, or the number itself. With linear and
    cubic they are values on nodes, as those of a file.

    Attributes:
        path: Path of the image.
        values: The value of each label; none for the labels themselves.
        interpolation: constant, linear or cubic.
        period: A formula such as eps for the side along x1 of the cell that the image fills, and that is repeated from
            the lower corner of the domain on; None for the whole domain, once.
        spacing: Widths of a voxel along the axes, in proportion, which give the cell its other sides; none for equal.
    """

    path: str = MISSING
    values: dict[int, float] = field(default_factory=dict)
    interpolation: str = "constant"
    period: str | None = None
    spacing: list[float] = field(default_factory=list)

    @property
    def jumps(self) -> bool:
        return self.interpolation == "constant"

    def __post_init__(self) -> None:
        one_of("problem.field.interpolation", self.interpolation, ("constant", *DEGREES))
        for width in self.spacing:
            positive("problem.field.spacing", width)
        once = "nothing: without problem.field.period the image fills the domain"
        require(not self.spacing or self.period is not None, "problem.field.spacing", self.spacing, once)
        for label, value in self.values.items():
            require(isfinite(value), f"problem.field.values.{label}", value, "a finite number")


SHAPES = ("ball", "ellipsoid", "cube", "laminate", "checkerboard")


@dataclass(kw_only=True)
class CompositeField(FieldSettings):
    """Inclusions in a matrix, in one cell that is repeated; lengths are in units of its side.

    Attributes:
        shape: ball, a disc in two dimensions; ellipsoid; cube; laminate, layers of the inclusions' material; or
            checkerboard.
        fraction: Share of the inclusions in the volume, or of the layers of a laminate.
        radius: Radius of a ball, longest semi-axis of an ellipsoid, or half the side of a cube; where it is given, the
            fraction is what follows from it.
        aspect: Semi-axes of an ellipsoid along x1, x2, x3, in proportion.
        turned: Whether each ellipsoid is turned at random.
        count: Balls, ellipsoids or cubes in a cell: one in the middle, or several at random without overlap.
        seed: Seed of the random places.
        samples: Number of samples, of this seed and the following ones.
        normal: Normal of the layers of a laminate, whole numbers: [1, 1] is across the diagonal.
        inclusion: Coefficient of the inclusions; zero makes them holes.
        matrix: Coefficient around them.
        period: A formula for the side of the cell; None for the whole domain, once.
    """

    shape: str = "ball"
    fraction: float = 0.3
    radius: float | None = None
    aspect: list[float] = field(default_factory=lambda: [2.0, 1.0, 1.0])
    turned: bool = False
    count: int = 1
    seed: int = 0
    samples: int = 1
    normal: list[int] = field(default_factory=lambda: [1, 0, 0])
    inclusion: float = 100.0
    matrix: float = 1.0
    period: str | None = "eps"

    @property
    def jumps(self) -> bool:
        return True

    def __post_init__(self) -> None:
        one_of("problem.field.shape", self.shape, SHAPES)
        if self.radius is not None:
            positive("problem.field.radius", self.radius)
        require(0 < self.fraction < 1, "problem.field.fraction", self.fraction, "a share between 0 and 1")
        at_least("problem.field.count", self.count, 1)
        at_least("problem.field.samples", self.samples, 1)
        drawn = self.samples == 1 or (self.count > 1 and self.shape not in ("laminate", "checkerboard"))
        require(drawn, "problem.field.samples", self.samples, "1, or problem.field.count above 1: else all are alike")
        for part in self.aspect:
            positive("problem.field.aspect", part)
        require(any(self.normal), "problem.field.normal", self.normal, "whole numbers that are not all zero")
        for name, value in (("inclusion", self.inclusion), ("matrix", self.matrix)):
            require(isfinite(value) and value >= 0, f"problem.field.{name}", value, "a number that is not negative")
        require(self.inclusion + self.matrix > 0, "problem.field.matrix", self.matrix, "one phase above zero")
        _seed(self.seed)


@dataclass(kw_only=True)
class GSToolsField(FieldSettings):
    """A Gaussian random field drawn with gstools; `correlation` is the distance of autocorrelation 1/e.

    `smoothness` is nu of the Matern covariance and means nothing to the others. `grid` counts the nodes along the
    longest side, both ends among them. Of several `samples` those after the first have the seeds that follow.
    """

    covariance: str = "Gaussian"
    correlation: float = 0.05
    variance: float = 1.0
    mean: float = 0.0
    smoothness: float = 1.5
    seed: int = 0
    samples: int = field(default=1, repr=False)  # no part of the field's own name
    grid: int = 257

    def __post_init__(self) -> None:
        one_of("problem.field.covariance", self.covariance, COVARIANCES)
        positive("problem.field.correlation", self.correlation)
        positive("problem.field.variance", self.variance)
        require(isfinite(self.mean), "problem.field.mean", self.mean, "a finite number")
        require(0.2 <= self.smoothness <= 50, "problem.field.smoothness", self.smoothness, "a number from 0.2 to 50")
        _seed(self.seed, 2**31)
        at_least("problem.field.samples", self.samples, 1)
        at_least("problem.field.grid", self.grid, 16)


def _seed(seed: int, end: int = 2**63) -> None:
    require(0 <= seed < end, "problem.field.seed", seed, f"a whole number from 0 to {end - 1}")
