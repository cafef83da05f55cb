"""References and evaluation."""

from dataclasses import dataclass, replace

from homog.config.checks import at_least, positive, require
from homog.config.problem import WITH_A_GRID
from homog.errors import UserError


@dataclass(kw_only=True)
class ReferenceSettings:
    """Base of the references: what the network is held against."""

    def suited(self, dimension: int) -> "ReferenceSettings":
        """The same, or what takes its place where there is no mesh."""
        return self


@dataclass(kw_only=True)
class FEMReference(ReferenceSettings):
    """u_eps by dolfinx with a convergence estimate, and the homogenised and mean-coefficient solutions.

    Equal cells are refined to `min_cells` on the longest side (in one dimension to its square, in three to an eighth).
    Where they do not resolve the coefficient or the data, cells follow what varies along each axis, and with a field
    the degree comes down as far as the number of unknowns asks for.
    `max_unknowns` is meant for degree 4 in two dimensions, where an unknown takes 1.2 kB; elsewhere it bounds as many
    entries of the matrix.
    """

    degree: int = 4
    cells_per_period: float = 4.0
    min_cells: int = 120
    max_unknowns: int = 12_000_000

    def suited(self, dimension: int) -> ReferenceSettings:
        """Walks to the boundary from four dimensions on."""
        return self if dimension <= WITH_A_GRID else FeynmanKacReference()

    def __post_init__(self) -> None:
        require(1 <= self.degree <= 8, "reference.degree", self.degree, "a polynomial degree from 1 to 8")
        positive("reference.cells_per_period", self.cells_per_period)
        at_least("reference.min_cells", self.min_cells, 1)
        at_least("reference.max_unknowns", self.max_unknowns, 1)


@dataclass(kw_only=True)
class HomogenizedReference(ReferenceSettings):
    """u_0 from the cell problem and u_mean alone: for an eps that no mesh resolves."""


@dataclass(kw_only=True)
class FeynmanKacReference(ReferenceSettings):
    """u_eps and u_0 at some points by walks to the boundary: without a mesh, in any dimension.

    Attributes:
        points: At which the solutions are known, and answers held against them.
        walkers: From each point; fewer for u_eps where they would take more than `most_steps`.
        m0: Mean steps across the smallest scale, which make the bias small.
        most_steps: Micro steps of all walkers for u_eps; it is left out where less than 16 walkers a point are left.
    """

    points: int = 256
    walkers: int = 4096
    m0: float = 12.0
    most_steps: float = 1e9

    def __post_init__(self) -> None:
        require(16 <= self.points <= 10**6, "reference.points", self.points, "a number from 16 to 1,000,000")
        require(16 <= self.walkers <= 10**6, "reference.walkers", self.walkers, "a number from 16 to 1,000,000")
        at_least("reference.m0", self.m0, 1)
        at_least("reference.most_steps", self.most_steps, 0)


@dataclass(kw_only=True)
class ExactReference(ReferenceSettings):
    """Solutions that are known as formulas, for a problem that was made to have them.

    Attributes:
        fine: u_eps, a formula as those of the problem; None where it is not known.
        homogenized: u_0, likewise.
    """

    fine: str | None = None
    homogenized: str | None = None

    def __post_init__(self) -> None:
        if self.fine is None and self.homogenized is None:
            raise UserError("reference=exact needs a formula: write reference.fine=... or reference.homogenized=...")


@dataclass(kw_only=True)
class EvaluationSettings:
    """Where and how often errors are measured, and whether walkers put the fine scale back at the end.

    Errors are measured on `grid` equidistant points an axis (None: 501, and 61 in three dimensions), from four
    dimensions on at `points` points in all, every `every` iterations (None: a hundredth of all). With
    `fine_scale`, `fine_scale_walkers` from each of these points walk `fine_scale_macro_factor` times the lower bound of
    Dt (23), in micro steps at the bound (21) of the time steps' eps and m0.
    """

    grid: int | None = None
    points: int = 4096
    every: int | None = None
    fine_scale: bool = False
    fine_scale_walkers: int = 128
    fine_scale_macro_factor: float = 0.5

    def __post_init__(self) -> None:
        if self.grid is not None:
            at_least("evaluation.grid", self.grid, 3)
        require(16 <= self.points <= 10**7, "evaluation.points", self.points, "a number from 16 to 10,000,000")
        if self.every is not None:
            at_least("evaluation.every", self.every, 1)
        walkers = self.fine_scale_walkers
        require(2 <= walkers <= 65536, "evaluation.fine_scale_walkers", walkers, "a number from 2 to 65536")
        factor = self.fine_scale_macro_factor
        require(0 < factor <= 1000, "evaluation.fine_scale_macro_factor", factor, "a positive number up to 1000")

    def suited(self, dimension: int) -> "EvaluationSettings":
        """The same with the grid that suits a dimension, where none was chosen."""
        return self if self.grid is not None else replace(self, grid=501 if dimension < WITH_A_GRID else 61)

    def count(self, dimension: int) -> int:
        """Points an axis, or where there is no grid in all."""
        grid = self.suited(dimension).grid
        assert grid is not None
        return grid if dimension <= WITH_A_GRID else self.points
