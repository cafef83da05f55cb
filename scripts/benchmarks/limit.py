"""This processor's limit of single-precision arithmetic, and how much arithmetic a walker's step is.

The limit is measured: chains of fused multiply-adds in registers, many enough to fill the pipes, each counted as two
operations. The arithmetic of a step is counted in the source that homog generates: every +, -, *, / and square root of
floating-point numbers that one lane goes through in one step far from the boundary, with the functions that it calls
written out. Comparisons, choices, minima, rounding, conversions and the integers of the random numbers are left out,
and a compiler may find an operation twice and do it once. A share of 1 would mean that the processor did nothing but
multiply and add.
"""

import ast
import inspect
import time
from collections.abc import Callable, Mapping
from functools import cache

import numba
import numpy as np

from benchmarks.timing import use_threads
from homog.equation import Problem
from homog.machine.pieces import in_pieces
from homog.walkers import Scheme, arithmetic
from homog.walkers.kernel import cpu_source
from homog.walkers.medium import medium

_CHAINS, _LANES, _LENGTH = 8, 64, 16
_INTEGER_CALLS = {"int32", "uint32", "uint64"}
_BITWISE = (ast.RShift, ast.LShift, ast.BitXor, ast.BitOr, ast.BitAnd)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)


def peak_rate(threads: int, times: int = 200_000) -> float:
    """Operations a second that so many threads reach in fused multiply-adds."""
    chains = _chains()
    use_threads(threads)
    lanes = np.ones((threads, _CHAINS * _LANES), dtype=np.float32)
    start = time.perf_counter()
    in_pieces(lambda first, last: chains(lanes[first:last], np.float32(0.999), np.float32(0.5), times), threads, 1)
    return 2 * lanes.size * _LENGTH * times / (time.perf_counter() - start)


@cache
def _chains() -> Callable[..., None]:
    """Each lane's numbers stay in registers for `_LENGTH` operations, `_CHAINS` of them independent of each other."""
    each = range(_CHAINS)
    lines = [
        "def chains(lanes, factor, term, times):",
        "    for thread in range(lanes.shape[0]):",
        "        own = lanes[thread]",
        "        for _ in range(times):",
        f"            for i in range({_LANES}):",
        *(f"                x{n} = own[{n * _LANES} + i]" for n in each),
        *(f"                x{n} = x{n} * factor + term" for _ in range(_LENGTH) for n in each),
        *(f"                own[{n * _LANES} + i] = x{n}" for n in each),
    ]
    names: dict = {}
    exec("\n".join(lines), names)
    compiled = numba.njit(fastmath=True, nogil=True)(names["chains"])
    compiled(np.ones((1, _CHAINS * _LANES), dtype=np.float32), np.float32(0.999), np.float32(0.5), 1)
    return compiled


def operations_a_step(problem: Problem, scheme: Scheme) -> int:
    """Floating-point operations of one lane in one step far from the boundary."""
    functions = _functions(inspect.getsource(arithmetic))
    functions |= _functions(cpu_source(medium(problem), problem.dimension, scheme))
    for node in ast.walk(functions["walk"]):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "distance > safe":
            steps = next(
                one for one in node.body if isinstance(one, ast.For) and ast.unparse(one.iter) == "range(steps)"
            )
            return sum(_operations(line, functions) for line in steps.body)
    raise ValueError("the walkers' source has no loop over steps far from the boundary")


def _functions(source: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def _operations(node: ast.AST, functions: Mapping[str, ast.FunctionDef]) -> int:
    """Of a piece of source that is walked through once."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, _BITWISE):
        return 0
    if isinstance(node, ast.Subscript):
        return 0  # its index
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in _INTEGER_CALLS:
            return 0
        inside = sum(_operations(part, functions) for part in node.args)
        called = functions.get(name)
        return inside + (name == "sqrt") + (sum(_operations(line, functions) for line in called.body) if called else 0)
    own = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, _ARITHMETIC)
    return own + sum(_operations(part, functions) for part in ast.iter_child_nodes(node))
