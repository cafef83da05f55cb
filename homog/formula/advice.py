"""What to write instead of mathematics that formulas do not hold yet: jumps, tensors, values for each face."""

import ast
from collections.abc import Mapping

_STEP = "write a smooth step, such as 0.5*(1 + tanh((x1 - 0.5)/0.01)), 0.01 the width of the interface"
_CALLS: Mapping[str, str] = {
    **dict.fromkeys(("where", "select", "piecewise", "heaviside", "step", "conditional"), "{} jumps: " + _STEP),
    **dict.fromkeys(("sign", "sgn"), "{} jumps: write tanh(x/width) with a small number for width"),
    **dict.fromkeys(
        ("floor", "ceil", "round", "trunc", "mod", "fmod"),
        "{} jumps: write a smooth wave of steps, such as 0.5*(1 + tanh(sin(2*pi*x1/eps)/0.1))",
    ),
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
        case ast.Compare() | ast.IfExp() | ast.BoolOp():
            return f"comparisons jump: {_STEP}"
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() if where.endswith("boundary"):
            return "one formula holds on all faces: write for example x1 for 0 on the left and 1 on the right"
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
            return "write one scalar formula: tensors are not there yet"
    return None
