"""The numbers of a finished run, by the names that `metrics.json` and MLflow have for them."""

from collections.abc import Mapping

import numpy as np

from homog import plots
from homog.measures import evaluation
from homog.measures.fine_scale import FineScale, Microscale
from homog.measures.longer_walk import LEAST_ERROR, SIGNIFICANT, LongerWalk
from homog.measures.spreading import EffectiveTensor
from homog.references import Reference
from homog.run import budget

_WELL_BELOW = 0.1
_NO_ANSWER, _ABOVE_FLOOR = 0.03, 2.0  # an error, and times that of u_0, from which on it is warned of
_HELD_AGAINST = (
    (
        *("rel_l2", "reference_error_estimate", "u_eps (FEM)"),
        "take more reference.cells_per_period or a larger reference.max_unknowns",
    ),
    (
        *("rel_l2_homogenized", "homogenized_error_estimate", "u_0"),
        "the forcing, the boundary value or the cell problem is not resolved",
    ),
)
_NOTHING = 0.2  # an estimated error of the smooth part, from which on there is no answer
_MOST_CHANGE = 0.1  # that a settled answer still has in its last pass: noise of the pass before, mostly


def error_metrics(found: evaluation.Errors, truth: Reference, curve: plots.Curve) -> dict[str, float | None]:
    """Final errors, and the best, the mean and the spread of the last tenth of the training curve."""
    last = [error for _, error in curve[-max(1, len(curve) // 10) :]]
    return {
        "rel_l2": found.fine,
        "rel_l2_homogenized": found.homogenized,
        "rel_l2_mean_coefficient": found.mean_coefficient,
        "rel_l2_floor": found.floor,
        "rel_l2_best": min((error for _, error in curve), default=None),
        "rel_l2_last_tenth_mean": float(np.mean(last)) if last else None,
        "rel_l2_last_tenth_std": float(np.std(last)) if last else None,
        "reference_error_estimate": truth.error_estimate,
        "homogenized_error_estimate": truth.homogenized_error_estimate,
        "mean_coefficient_error_estimate": truth.mean_coefficient_error_estimate,
        "cell_problem_error_estimate": truth.cell_problem_error_estimate,
    }


def fine_scale_metrics(fine: FineScale | None, seconds: float, truth: Reference) -> dict[str, float | None]:
    """The metrics of the fine scale; none where it was not asked for."""
    if fine is None:
        return {}
    return {
        "rel_l2_fine_scale": evaluation.errors(fine.values, truth).fine,
        "fine_scale_standard_error": fine.standard_error,
        "fine_scale_seconds": seconds,
    }


def effective_metrics(tensor: EffectiveTensor | None) -> dict[str, float]:
    """The entries of a* by walkers, with their standard errors and biases."""
    if tensor is None:
        return {}
    metrics = {}
    for i, j in zip(*np.triu_indices(len(tensor.value)), strict=True):
        metrics[f"effective_{i + 1}{j + 1}"] = float(tensor.value[i, j])
        metrics[f"effective_{i + 1}{j + 1}_standard_error"] = float(tensor.standard_error[i, j])
        metrics[f"effective_{i + 1}{j + 1}_bias"] = float(tensor.bias[i, j])
    return metrics


def longer_walk_metrics(checked: LongerWalk | None) -> dict[str, float]:
    """What a longer walk says of the error."""
    if checked is None:
        return {}
    return {"longer_walk_error": checked.error, "longer_walk_standard_error": checked.standard_error}


def microscale_metrics(found: Microscale | None) -> dict[str, float]:
    """What a smooth answer cannot show."""
    if found is None:
        return {}
    return {"rel_l2_microscale": found.size, "rel_l2_microscale_standard_error": found.standard_error}


def warnings(metrics: Mapping[str, float | int | str | None], by: str = "FEM") -> list[str]:
    """A line for each number that puts the answer, or what it is held against, in doubt.

    Args:
        metrics: The numbers.
        by: What the reference is by, where there is one.
    """
    of_all = (_of_budget, _of_truth, _of_longer_walk, _of_passes)
    lines = [line for part in of_all for line in part(metrics)]
    return [*lines, *(_of_walks(metrics) if by == "walks" else _of_references(metrics))]


def _of_budget(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where the run's own estimate says that it has no answer."""
    smooth = metrics.get("rel_l2_smooth_error_estimate")
    if not isinstance(smooth, float) or smooth <= _NOTHING:
        return []
    parts = [f"{what} {100 * part:.2g} %" for name, what in budget.NAMES.items()
             if name != "rel_l2_microscale" and (part := budget.number(metrics, name)) is not None]  # fmt: skip
    longer = metrics.get("longer_walk_error")
    if isinstance(longer, float) and (not parts or smooth == longer):
        parts.append(f"{'but ' if parts else ''}a longer walk {100 * longer:.2g} %")
    return [f"this is no answer: by the run's own estimate it is {100 * smooth:.2g} % off ({', '.join(parts)})"]


def _of_truth(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where u_eps shows an error that neither the microscale nor the sampling noise accounts for."""
    error, estimate, floor, sampling = (
        value if isinstance(value := metrics.get(name), float) else None
        for name in ("rel_l2", "reference_error_estimate", "rel_l2_floor", "rel_l2_standard_error")
    )
    if error is None or estimate is None or estimate > _WELL_BELOW * error:
        return []
    if error < max(_NO_ANSWER, _ABOVE_FLOOR * (floor or 0.0), SIGNIFICANT * (sampling or 0.0)):
        return []
    beside = [f"u_0 itself {100 * floor:.2g} %"] if floor else []
    beside += [f"its sampling noise is {100 * sampling:.2g} %"] if sampling else []
    return [f"the answer is {100 * error:.2g} % off u_eps{': ' if beside else ''}{', '.join(beside)}"]


def _of_longer_walk(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where a longer walk finds an error that the sampling noise does not account for."""
    error, noise = metrics.get("longer_walk_error"), metrics.get("longer_walk_standard_error")
    sampling = metrics.get("rel_l2_standard_error")
    if not isinstance(error, float) or not isinstance(noise, float):
        return []
    stated = sampling if isinstance(sampling, float) else 0.0
    if error < SIGNIFICANT * noise or error < max(LEAST_ERROR, SIGNIFICANT * stated) or _u_eps_tells(metrics):
        return []
    beside = f", and not the {100 * stated:.2g} % that its sampling noise is" if stated else ""
    return [
        f"a longer walk finds the answer {100 * error:.2g} +- {100 * noise:.1g} % off{beside}: the functions of the"
        " network cannot follow this medium, or Dt or the number of walkers is too small for it"
    ]


def _u_eps_tells(metrics: Mapping[str, float | int | str | None]) -> bool:
    """Whether u_eps tells the error to a tenth, or to a tenth of what would be warned of."""
    error, estimate = metrics.get("rel_l2"), metrics.get("reference_error_estimate")
    if not isinstance(error, float) or not isinstance(estimate, float):
        return False
    return estimate <= _WELL_BELOW * max(error, LEAST_ERROR)


def _of_passes(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where the passes of a nonlinear problem did not settle."""
    change = metrics.get("last_pass_change")
    if not isinstance(change, float) or change <= _MOST_CHANGE:  # not a number is worse than any
        return []
    return [
        f"the last pass of the nonlinear iteration still changed the answer by {100 * change:.3g} %: it has not"
        " settled; write more optimizer.passes, and at least 2^(passes - 1) optimizer.iterations"
    ]


def _of_walks(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where no reference by walks shows as small an error as the answer's own estimate."""
    smooth = metrics.get("rel_l2_smooth_error_estimate")
    seen = [found for _, name, _, _ in _HELD_AGAINST if isinstance(found := metrics.get(name), float)]
    if not seen or not isinstance(smooth, float) or min(seen) <= smooth:
        return []
    return [
        f"the noise of the reference hides errors below {min(seen):.1e}, and the answer's is estimated at {smooth:.1e}:"
        " write more reference.walkers"
    ]


def _of_references(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line for each reference that may be to blame for the error that was found: its own is no tenth of it."""
    lines = []
    for error_name, estimate_name, what, remedy in _HELD_AGAINST:
        error, estimate = metrics.get(error_name), metrics.get(estimate_name)
        if not isinstance(error, float) or not isinstance(estimate, float) or estimate <= _WELL_BELOW * error:
            continue
        blame = "of which it may be a part" if estimate <= error else "so that this says nothing of the network"
        lines.append(
            f"the error of {what} itself is estimated at {estimate:.1e}, that of the network against it is"
            f" {error:.1e}, {blame}: {remedy}"
        )
    return lines
