"""The error budget of a run: its parts, the estimates made of them, and what is said of them."""

import math
from collections.abc import Mapping

from homog.measures.longer_walk import LEAST_ERROR, SIGNIFICANT

_LARGE, _SEEN = 0.05, 0.02  # an error of the smooth part, and a microscale, of which something is said
_KINKS = 2.0
_TELLS = 0.1  # noise of a longer walk that is the only estimate

PARTS = (
    *("rel_l2_standard_error", "rel_l2_features", "rel_l2_macro_step", "rel_l2_micro_step", "rel_l2_microscale"),
    *("rel_l2_smooth_error_estimate", "rel_l2_error_estimate"),
)
"""The parts of the error budget, and the estimates made of them."""


NAMES = {
    "rel_l2_standard_error": "sampling",
    "rel_l2_features": "functions",
    "rel_l2_macro_step": "macro step",
    "rel_l2_micro_step": "micro step",
    "rel_l2_microscale": "microscale",
}
"""What the parts are called."""


def line(metrics: Mapping[str, float | int | str | None]) -> str:
    """The estimate and its parts for a figure; empty where nothing is known."""
    whole, longer = number(metrics, "rel_l2_error_estimate"), number(metrics, "longer_walk_error")
    if whole is None:
        return ""
    parts = [
        f"{what} {100 * part:.2g} %" for name, what in NAMES.items() if (part := number(metrics, name)) is not None
    ]
    if longer is not None and (len(parts) < 2 or longer == number(metrics, "rel_l2_smooth_error_estimate")):
        parts.append(f"a longer walk {100 * longer:.2g} %")
    return f"estimated error {100 * whole:.2g} %: {', '.join(parts)}"


def title(what: str, seed: int, metrics: Mapping[str, float | int | str | None]) -> str:
    """Title of a run's figure, with the estimate below it where there is one."""
    return "\n".join(filter(None, [f"{what}, seed {seed}", line(metrics)]))


def estimates(metrics: Mapping[str, float | int | str | None]) -> dict[str, float]:
    """The error estimates, from their parts: the roots of sums of squares; none where nothing is known.

    A longer walk that finds more of the smooth part counts instead. Where the method knows no parts, what a longer walk
    finds and its noise are all there is, if that noise is small enough to tell anything.
    """
    sampling, *others = (
        number(metrics, f"rel_l2_{name}") for name in ("standard_error", "features", "macro_step", "micro_step")
    )
    longer, noise = number(metrics, "longer_walk_error"), number(metrics, "longer_walk_standard_error")
    if sampling is not None:
        smooth = math.hypot(sampling, *(part or 0.0 for part in others))
        if longer is not None and noise is not None and finds_more(longer, noise, smooth):
            smooth = longer
    elif longer is not None and noise is not None and noise <= _TELLS:
        smooth = math.hypot(longer, noise)
    else:
        return {}
    whole = math.hypot(smooth, number(metrics, "rel_l2_microscale") or 0.0)
    return {"rel_l2_smooth_error_estimate": smooth, "rel_l2_error_estimate": whole}


def finds_more(longer: float, noise: float, smooth: float) -> bool:
    """Whether a longer walk contradicts the estimate of the smooth part, beyond doubt.

    Where the solution has kinks it finds up to twice what there is: less than that is no contradiction.
    """
    return longer > max(_KINKS * smooth, SIGNIFICANT * noise, LEAST_ERROR)


def number(metrics: Mapping[str, float | int | str | None], name: str) -> float | None:
    """A metric; None where it is none or not known."""
    value = metrics.get(name)
    return value if isinstance(value, float) else None


def advice(metrics: Mapping[str, float | int | str | None]) -> list[str]:
    """A line for each part of the error that another setting makes smaller, where it is large."""
    smooth, microscale = number(metrics, "rel_l2_smooth_error_estimate"), number(metrics, "rel_l2_microscale")
    functions = number(metrics, "rel_l2_features")
    lines = []
    if smooth is not None and functions is not None and smooth > _LARGE:
        lines.append(
            f"the functions end here ({100 * functions:.2g} %): a larger network.count, or target=..., which tries more"
            " of them and longer macro steps; where a mesh resolves the medium, its u_eps is the better answer"
            if functions > 0.5 * smooth
            else "target=... looks for functions, time steps and walkers that make this error smaller"
        )
    shown = number(metrics, "rel_l2_fine_scale") is not None
    if microscale is not None and microscale > max(_SEEN, smooth or 0.0) and not shown:
        lines.append(
            f"{100 * microscale:.2g} % of the solution lie within a period, and no smooth answer shows them:"
            " evaluation.fine_scale=true puts them back"
        )
    return lines
