"""Whether a coefficient is a product of functions of one coordinate each, which makes its effective tensor exact."""

from typing import Any

import sympy

from homog.equation.operator import FIELD
from homog.equation.problem import Problem


def axes_of_factors(problem: Problem) -> tuple[int, ...] | None:
    """The axes along which the coefficient varies, if it is a product of functions of one coordinate each, or None.

    Products, powers and the exponential of a sum are taken apart; a field counts as what it is, an array that may be
    constant along some axes.

    Args:
        problem: Its coefficient may depend on u, which is then the same number everywhere. A matrix is no product.
    """
    if problem.operator.tensor is not None:
        return None
    axes = problem.operator.coefficient.axes
    varying: set[str] = set()
    along_field = _axes_of_field(problem)
    for factor in _factors(problem.operator.coefficient.expression):
        names = {str(name) for name in factor.free_symbols}
        own = names & set(axes)
        if FIELD in names:
            own |= {axes[i] for i in along_field}
        if len(own) > 1:
            return None
        varying |= own
    return tuple(i for i, axis in enumerate(axes) if axis in varying)


def _factors(expression: Any) -> list[Any]:
    if isinstance(expression, sympy.Mul):
        return [factor for part in expression.args for factor in _factors(part)]
    if isinstance(expression, sympy.Pow) and expression.args[1].is_number:
        base, exponent = expression.args
        return [sympy.Pow(factor, exponent, evaluate=False) for factor in _factors(base)]
    if isinstance(expression, sympy.exp) and isinstance(expression.args[0], sympy.Add):
        return [sympy.exp(term, evaluate=False) for term in expression.args[0].args]
    return [expression]


def _axes_of_field(problem: Problem) -> tuple[int, ...]:
    if problem.operator.field is None:
        return ()
    return tuple(i for i in range(problem.dimension) if problem.operator.field.varies_along(i))
