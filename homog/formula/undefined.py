"""Why a formula has no finite value at a point."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from homog.formula.evaluate import NUMPY, evaluate


def reason(expression: Any, values: Mapping[str, Any]) -> str:
    """The innermost part that is not defined, as the end of a sentence; "" where each part is.

    Args:
        expression: A SymPy expression, from a Formula.
        values: A number for each name.
    """
    for part in sympy.postorder_traversal(expression):
        if isinstance(part, sympy.Pow):
            inner, exponent = part.base, float(part.exp)
        elif isinstance(part, sympy.log):
            inner, exponent = part.args[0], 0.0
        else:
            continue
        with np.errstate(all="ignore"):
            value = float(evaluate(inner, values, NUMPY))
        if isinstance(part, sympy.log) and not value > 0:
            return (
                f", where {inner} is {value:.4g}: what has a logarithm, or a formula for its exponent, must be positive"
            )
        if value < 0 and exponent != int(exponent):
            return f", where {inner} is {value:.4g}: the base of a power that is not whole must be positive"
        if value == 0 and exponent < 0:
            return f", where it is divided by {inner}, which is zero: it must be finite"
    return ""
