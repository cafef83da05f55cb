"""Confidence intervals of what groups of walkers say."""

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit


def half_width(
    standard_error: Float64[np.ndarray, "..."], bias: Float64[np.ndarray, "..."], freedom: int, level: float
) -> Float64[np.ndarray, "..."]:
    """Of the interval of each number: of the noise by Student's law, and the bias.

    Args:
        standard_error: From the spread between groups.
        bias: What may be off besides, at most.
        freedom: Degrees of freedom of the standard errors.
        level: Of confidence, such as 0.95.
    """
    return float(stdtrit(freedom, (1 + level) / 2)) * standard_error + bias
