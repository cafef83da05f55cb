"""The numbers of a run: each name, what it is, its unit, and its row in the closing table, once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number of `metrics.json`, of `metrics.jsonl` and of MLflow.

    Attributes:
        name: Its key.
        what: What it is, in a line.
        unit: Its unit; empty for a ratio, a count or a text.
        row: Answer and what it is held against, where the closing table has a row for it.
        noise: Name of its standard deviation, where the row shows it.
    """

    name: str
    what: str
    unit: str = ""
    row: tuple[str, str] | None = None
    noise: str | None = None


_U_EPS, _U_0 = "u_eps (FEM)", "u_0 (homogenised)"

METRICS = (
    Metric("rel_l2", "relative L2 error of the network against u_eps", row=("network", _U_EPS)),
    Metric("rel_l2_homogenized", "relative L2 error of the network against u_0", row=("network", _U_0)),
    Metric(
        "rel_l2_standard_error",
        "standard deviation of the answer by sampling, in the L2 norm and relative to the answer's",
        row=("sampling", "groups of walkers"),
    ),
    Metric(
        "rel_l2_features",
        "what the network's functions cannot hold of the smooth solution, from the answers in fewer functions",
        row=("functions", "fewer of them"),
    ),
    Metric(
        "rel_l2_macro_step",
        "what the macro step moves in the smooth part of the answer, or what its correction may lack",
        row=("macro step", "an earlier look"),
        noise="rel_l2_macro_step_standard_error",
    ),
    Metric("rel_l2_macro_step_standard_error", "standard deviation of rel_l2_macro_step"),
    Metric(
        "rel_l2_micro_step",
        "what the micro step moves in the smooth part of the answer, or what its correction may lack",
        row=("micro step", "other steps on the same paths"),
        noise="rel_l2_micro_step_standard_error",
    ),
    Metric("rel_l2_micro_step_standard_error", "standard deviation of rel_l2_micro_step"),
    Metric(
        "rel_l2_microscale",
        "what the solution has within a period and a smooth answer cannot show, from the fine scale at some points",
        row=("microscale", "walkers from some points"),
        noise="rel_l2_microscale_standard_error",
    ),
    Metric("rel_l2_microscale_standard_error", "standard deviation of rel_l2_microscale"),
    Metric(
        "rel_l2_smooth_error_estimate",
        "estimate of the relative L2 error of the smooth part: the root of the squares of noise, functions and steps",
        row=("smooth part in all", "all but the microscale"),
    ),
    Metric(
        "rel_l2_error_estimate",
        "estimate of rel_l2: the same with the microscale",
        row=("in all", "an estimate of the error against u_eps"),
    ),
    Metric("target", "the error that was asked for, which rel_l2_error_estimate stays below where it was reached"),
    Metric(
        "rel_l2_fine_scale",
        "relative L2 error of the network with the microscale put back, against u_eps",
        row=("network and walkers (fine scale)", _U_EPS),
    ),
    Metric(
        "rel_l2_floor",
        "relative L2 distance of u_0 from u_eps: an answer equal to u_0 still has this error",
        row=("u_0, the homogenised limit itself", _U_EPS),
    ),
    Metric(
        "rel_l2_mean_coefficient",
        "relative L2 error of the answer for the mean of the coefficient",
        row=("u_mean, the coefficient replaced by its mean", "the reference"),
    ),
    Metric(
        "reference_error_estimate",
        "relative L2 error of u_eps, estimated",
        row=("u_eps (FEM), its own estimate", "coarser meshes"),
    ),
    Metric(
        "homogenized_error_estimate",
        "relative L2 error of u_0, estimated",
        row=("u_0, its own estimate", "a second mesh, bounds of a*"),
    ),
    Metric(
        "mean_coefficient_error_estimate",
        "relative L2 error of u_mean, estimated",
        row=("u_mean, its own estimate", "a second mesh"),
    ),
    Metric(
        "cell_problem_error_estimate",
        "relative error of a* by the cell problem: half the distance of its bounds, of a flow that of two grids",
        row=("a* by the cell problem, its own estimate", "two bounds, or two grids"),
    ),
    Metric(
        "longer_walk_error",
        "smooth part of the network's error, in the L2 norm and relative, that walkers of one long macro step find",
        row=("network, its smooth error", "a longer walk"),
        noise="longer_walk_standard_error",
    ),
    Metric("longer_walk_standard_error", "standard deviation of longer_walk_error"),
    Metric("rel_l2_best", "least error of the training curve"),
    Metric("rel_l2_last_tenth_mean", "mean error over the last tenth of the training curve"),
    Metric("rel_l2_last_tenth_std", "standard deviation of the error over the last tenth of the training curve"),
    Metric("fine_scale_standard_error", "standard error of the values with the microscale, as a relative L2 norm"),
    Metric("fine_scale_seconds", "time that the fine scale took", "s"),
    Metric("effective_ij", "entry a*_ij by walkers, for i, j = 1, ..., d", "that of a"),
    Metric("effective_ij_standard_error", "its standard error", "that of a"),
    Metric("effective_ij_bias", "what its extrapolation in the micro step may lack", "that of a"),
    Metric("eigenvalue_i", "eigenvalue by walkers, ascending (problem.eigenvalues)", "that of a over squared length"),
    Metric("eigenvalue_i_standard_error", "its standard error", "that of a over squared length"),
    Metric("eigenvalue_i_bias", "what functions and micro steps leave of it, about", "that of a over squared length"),
    Metric("eigenvalue_i_homogenized", "the same of a* by the cell problem", "that of a over squared length"),
    Metric("eigenvalue_i_fine", "the same of u_eps by finite elements", "that of a over squared length"),
    Metric("time_i", "a time at which u(x, t) is wanted (problem.time)", "squared length over that of a"),
    Metric("time_i_rel_l2", "relative L2 error of u(x, t) then against u_eps over time"),
    Metric("time_i_rel_l2_homogenized", "the same against u_0 over time"),
    Metric("time_i_rel_l2_standard_error", "standard deviation of u(x, t) by sampling, relative to it"),
    Metric("time_i_rel_l2_smooth_error_estimate", "estimate of time_i_rel_l2_homogenized: noise, functions and steps"),
    Metric("time_i_reference_error_estimate", "relative L2 error of u_eps over time, by another mesh and time steps"),
    Metric("member_i_v", "value of the parameter v of a member of a family (problem.parameters with a range)"),
    Metric("member_i_rel_l2", "relative L2 error of u for these values against u_eps"),
    Metric("member_i_rel_l2_homogenized", "the same against u_0"),
    Metric("member_i_rel_l2_smooth_error_estimate", "estimate of that: noise, functions and steps"),
    Metric(
        "family_rel_l2_smooth_error_estimate", "root mean square of such estimates over all values of the parameters"
    ),
    Metric("family_relative_deviation", "L2 norm of the standard deviation of u over the parameters, over the mean's"),
    Metric("samples", "samples of the medium (problem.field.samples)"),
    Metric("ensemble_standard_error", "L2 norm of the standard error of the mean of u over samples, over the mean's"),
    Metric("ensemble_deviation", "the same of the standard deviation of u over the law of the medium"),
    Metric("ensemble_deviation_standard_error", "the same of the standard error of that"),
    Metric(
        "cell_problem_ij",
        "entry a*_ij by the cell problem (this and the next nine: task=effective_tensor)",
        "that of a",
    ),
    Metric("cell_problem_ij_spread", "its standard deviation between samples of a random composite", "that of a"),
    Metric("principal_value_i", "eigenvalue of a* by the cell problem, ascending", "that of a"),
    Metric("reuss", "harmonic mean of a: no a* is below it", "that of a"),
    Metric("voigt", "arithmetic mean of a: no a* is above it", "that of a"),
    Metric("hashin_shtrikman_lower", "bound of an isotropic a* by the shares of the phases", "that of a"),
    Metric("hashin_shtrikman_upper", "the other bound", "that of a"),
    Metric("tortuosity_i", "share of what conducts times a / a*_ii, of one phase that conducts among holes"),
    Metric("cell_problem_seconds", "time that the cell problem took", "s"),
    Metric("effective_tensor_seconds", "time that walkers took for a*", "s"),
    Metric("share_of_phase_v", "share of the label v in an image; share_of_v of the value v of a"),
    Metric("share_of_inclusions", "share of the inclusions of a composite in the volume"),
    Metric("correlation_length", "length at which the correlation of a field has fallen to 1/e", "length"),
    Metric("longest_wave_number", "largest wave number in a spectral field", "1/length"),
    Metric("left_share", "share of the walkers that left the domain"),
    Metric("effective_sample_share", "Kish's effective sample size per walker: 1 for walkers without weights"),
    Metric("features", "how many of the network's functions the answer of the solve is made of"),
    Metric("damping", "of a step of natural gradient, in mean diagonals of its matrix"),
    Metric("rel_l2_fitted", "distance of the network from the linearised one that its weights are fitted to"),
    Metric("control_coefficient", "coefficient of the control variate of the solve, by regression"),
    Metric("last_pass_change", "relative L2 change of the answer in the last pass of a nonlinear solve"),
    Metric(
        "walker_steps",
        "micro steps of all walkers of the training, without those for the error budget, almost half as many",
    ),
    Metric("iterations", "iterations of the training"),
    Metric("train_seconds", "time of the training, without errors, checkpoints and records", "s"),
    Metric("wall_seconds", "time of the run, of all processes that it was resumed in", "s"),
    Metric("checkpoint_seconds", "time that saving checkpoints took", "s"),
    Metric("device", "device that the network was trained on"),
    Metric("weights_sha256", "SHA-256 of all weights: equal for equal answers, bit for bit"),
    Metric("loss", "loss of an iteration (in metrics.jsonl)"),
    Metric("error", "error of an iteration on a coarser grid (in metrics.jsonl)"),
)
"""Every number of a run, those of the closing table first, in its order."""
