"""References and evaluation."""

from dataclasses import dataclass

from homog.config.checks import at_least, positive, require


@dataclass(kw_only=True)
class ReferenceSettings:
    """Base of the references: what the network is held against."""


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

    def __post_init__(self) -> None:
        require(1 <= self.degree <= 8, "reference.degree", self.degree, "a polynomial degree from 1 to 8")
        positive("reference.cells_per_period", self.cells_per_period)
        at_least("reference.min_cells", self.min_cells, 1)
        at_least("reference.max_unknowns", self.max_unknowns, 1)


@dataclass(kw_only=True)
class HomogenizedReference(ReferenceSettings):
    """u_0 from the cell problem and u_mean alone: for an eps that no mesh resolves."""


@dataclass(kw_only=True)
class EvaluationSettings:
    """Where and how often errors are measured, and whether walkers put the fine scale back at the end.

    Errors are measured on `grid` equidistant points an axis, every `every` iterations (None: a hundredth of all). With
    `fine_scale`, `fine_scale_walkers` from each of these points walk `fine_scale_macro_factor` times the lower bound of
    Dt (23), in micro steps at the bound (21) of the time steps' eps and m0.
    """

    grid: int = 501
    every: int | None = None
    fine_scale: bool = False
    fine_scale_walkers: int = 128
    fine_scale_macro_factor: float = 0.5

    def __post_init__(self) -> None:
        at_least("evaluation.grid", self.grid, 3)
        if self.every is not None:
            at_least("evaluation.every", self.every, 1)
        walkers = self.fine_scale_walkers
        require(2 <= walkers <= 65536, "evaluation.fine_scale_walkers", walkers, "a number from 2 to 65536")
        factor = self.fine_scale_macro_factor
        require(0 < factor <= 1000, "evaluation.fine_scale_macro_factor", factor, "a positive number up to 1000")
