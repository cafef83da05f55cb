"""What to write instead of mathematics that formulas call otherwise, or do not hold yet."""

import ast
from collections.abc import Mapping

_CALLS: Mapping[str, str] = {
    **dict.fromkeys(("select", "piecewise", "conditional"), "write where(x1 < 0.5, a, b) for {}"),
    **dict.fromkeys(("heaviside", "step"), "write where(z > 0, 1, 0) for {}(z)"),
    **dict.fromkeys(("sign", "sgn"), "write where(z > 0, 1, -1) for {}(z)"),
    "ceil": "write -floor(-z) for ceil(z)",
    "round": "write floor(z + 0.5) for round(z)",
    "fmod": "write mod(z, period) for fmod(z, period)",
    "trunc": "write floor(z) for trunc(z)",
    "pow": "write a**b for pow(a, b)",
    "ln": "write log(x) for ln(x)",
    "log10": "write log(x)/log(10) for log10(x)",
    "log2": "write log(x)/log(2) for log2(x)",
    "arctan": "write atan(x) for arctan(x)",
    **dict.fromkeys(("atan2", "arctan2"), "write atan(y/x) for {}(y, x)"),
}


def for_call(name: str) -> str | None:
    """What to write in place of a function that formulas do not have; None where nothing is known."""
    advice = _CALLS.get(name.lower())
    return None if advice is None else advice.replace("{}", name)


def for_node(node: ast.AST, where: str) -> str | None:
    """What to write in place of a piece of Python that is no formula; None where nothing is known.

    Args:
        node: Node of the syntax tree.
        where: The setting that holds it.
    """
    match node:
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() if where.endswith("boundary"):
            return "write one formula for all faces, or what holds on each: {x1: {value: 0}, x2: {flux: 1}}"
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return "write one formula here; the entries of a matrix are a list of them: [[a11, a12], [a21, a22]]"
    return None
