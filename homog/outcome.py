"""The numbers of a finished run, by the names that `metrics.json` and MLflow have for them."""

from collections.abc import Mapping

import numpy as np

from homog import evaluation, plots
from homog.effective import EffectiveTensor
from homog.fine_scale import FineScale
from homog.references import Reference

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
    """The entries of a* by walkers, with their standard errors."""
    if tensor is None:
        return {}
    metrics = {}
    for i, j in zip(*np.triu_indices(len(tensor.value)), strict=True):
        metrics[f"effective_{i + 1}{j + 1}"] = float(tensor.value[i, j])
        metrics[f"effective_{i + 1}{j + 1}_standard_error"] = float(tensor.standard_error[i, j])
    return metrics


def warnings(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line where the reference is too coarse to tell the error that was found, and where passes did not settle."""
    lines, error, estimate = [], metrics.get("rel_l2"), metrics.get("reference_error_estimate")
    if isinstance(error, float) and isinstance(estimate, float) and estimate > error:
        lines.append(
            f"the reference's own error is estimated at {estimate:.1e}, above the error of {error:.1e} that it"
            " measures: take more reference.cells_per_period or a larger reference.max_unknowns"
        )
    change = metrics.get("last_pass_change")
    if isinstance(change, float) and not change <= _MOST_CHANGE:
        lines.append(
            f"the last pass of the nonlinear iteration still changed the answer by {100 * change:.3g} %: it has not"
            " settled; write more optimizer.passes, and at least 2^(passes - 1) optimizer.iterations"
        )
    return lines
