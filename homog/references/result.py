"""The result of a reference computation."""

from dataclasses import dataclass

import numpy as np

from homog.domains import Places


@dataclass(frozen=True, eq=False)
class Reference:
    """Solutions at the places of evaluation; None where there is none, and `notes` say why.

    Attributes:
        places: A grid; or points, where the solutions are known there alone and from four dimensions on.
        fine: u_eps, of the places' shape: (count, ..., count) on a grid, x1 along the first index; float64.
        homogenized: u_0, the solution with the effective tensor a*, same shape.
        mean_coefficient: u_mean, the solution with the mean of the coefficient, same shape.
        effective_tensor: a*, shape (d, d), of a linear problem.
        mean: The mean of a over the domain; of a nonlinear problem that of a(x, u_eps(x)), or its limit with u_0. Of a
            matrix A with the mean <A> that is tr <A> / d, while u_mean is the solution with <A>.
        error_estimate: Relative L2 error of u_eps, estimated: its distance from a second, less accurate discretisation,
            more where the two do not converge fast, and no less than what cells hide that resolve too little. Of walks
            the least error of an answer that their noise lets be seen.
        unknowns: Number of unknowns of the largest system solved.
        seconds: What computing it took.
        notes: What is missing and why, a plain sentence each.
        effective_values: Equidistant values of u over the range of u_0, for a nonlinear problem; shape (n,).
        effective_tensors: a*(u) at these, shape (n, d, d).
        homogenized_error_estimate: Relative L2 error of u_0: by a second mesh, and by the estimate of a*.
        mean_coefficient_error_estimate: Relative L2 error of u_mean: by a second mesh, and by the mean's quadrature.
        cell_problem_error_estimate: Relative error of a*: half the distance of its bounds; see `effective_tensor`.
        by: What u_eps comes from: FEM, walks, or a formula.
        fine_standard_error: Of u_eps by walks, at each place; None where it has no noise.
        homogenized_standard_error: Of u_0 by walks, likewise.
        fine_over_time: u_eps(x, t) at the times of the problem's evolution, shape (times, *places); None without one.
        homogenized_over_time: u_0(x, t), likewise.
        fine_over_time_error_estimate: Relative L2 error of u_eps at each time, estimated as `error_estimate`, from a
            second discretisation of space and time; shape (times,).
        homogenized_over_time_error_estimate: Of u_0, by that and by the estimate of a*.
        eigenvalues: The first eigenvalues of -div(a grad u) + c u = l u with conditions without g and q, ascending,
            shape (n,); None where the problem asks for none.
        homogenized_eigenvalues: With a* in a's place.
        eigenvalues_error_estimate: Error of `eigenvalues`, absolute, by a second discretisation; shape (n,).
    """

    places: Places
    fine: np.ndarray | None
    homogenized: np.ndarray | None
    mean_coefficient: np.ndarray | None
    effective_tensor: np.ndarray | None
    mean: float | None
    error_estimate: float | None
    unknowns: int
    seconds: float
    notes: tuple[str, ...]
    effective_values: np.ndarray | None = None
    effective_tensors: np.ndarray | None = None
    homogenized_error_estimate: float | None = None
    mean_coefficient_error_estimate: float | None = None
    cell_problem_error_estimate: float | None = None
    by: str = "FEM"
    fine_standard_error: np.ndarray | None = None
    homogenized_standard_error: np.ndarray | None = None
    fine_over_time: np.ndarray | None = None
    homogenized_over_time: np.ndarray | None = None
    fine_over_time_error_estimate: np.ndarray | None = None
    homogenized_over_time_error_estimate: np.ndarray | None = None
    eigenvalues: np.ndarray | None = None
    homogenized_eigenvalues: np.ndarray | None = None
    eigenvalues_error_estimate: np.ndarray | None = None

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Coordinates of the grid on each axis, d arrays of shape (count,); none where the places are points."""
        return self.places.axes
