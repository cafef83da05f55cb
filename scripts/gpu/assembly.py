"""Instructions of a walker's step, counted in the PTX or the SASS of its kernel."""

import re
from collections import Counter
from dataclasses import dataclass

_LABEL = re.compile(r"^\s*(\$L\w+|\.L_x_\d+):")
_BRANCH = re.compile(r"\b(?:bra|BRA)\b.*?(\$L\w+|\.L_x_\d+)")
_SASS = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
_PTX = re.compile(r"^\s+(?:@!?%p\d+\s+)?([a-z][a-z0-9_.]*)")
_NO_WORK = ("mov.", "bra.uni")  # in PTX: names of registers, which have no place in machine code
_KINDS = {  # the first that fits
    "special": r"MUFU|(sqrt|rcp|rsqrt|div|sin|cos|ex2|lg2)\.approx",
    "conversion": r"I2F|F2I|FRND|F2F|I2I|cvt\.",
    "memory": r"U?LD|ST[GLS]?\b|ATOM|ld\.|st\.|atom\.",
    "control": r"BRA|BS|BREAK|CALL|RET|EXIT|NOP|WARPSYNC|YIELD|bra|call|ret",
    "float": r"F(ADD|MUL|FMA|MNMX|SEL|SET|CHK|SWZ)|\w+(\.\w+)*\.f32|copysign",
    "integer": r".",
}
_LEAST_FMAS = 10  # of a loop that walks


@dataclass(frozen=True)
class Step:
    """Instructions of one micro step.

    Attributes:
        language: sass, which is what runs, or ptx, from which it was made: an estimate.
        instructions: All of them.
        kinds: The same by kind; memory counts loads of constants too.
    """

    language: str
    instructions: float
    kinds: dict[str, float]


def count_step(code: str, dimension: int) -> Step:
    """The instructions of a micro step far from the boundary, where nearly all of them are.

    Of a kernel's innermost loops with floating-point work the one with the fewest instructions a step is that without
    the exit test. A step takes one square root for each pair of normal numbers, which tells into how many steps a
    loop was unrolled; so this is for coefficients without roots of their own.

    Args:
        code: PTX or SASS of one kernel that `homog.walkers.kernel` wrote.
        dimension: Dimension of the problem.

    Raises:
        ValueError: If there is no such loop.
    """
    roots = -(-dimension // 2)
    language = "ptx" if ".target sm_" in code and "MUFU" not in code else "sass"
    counted = []
    for operations in loops(code):
        fmas = sum(operation.startswith(("FFMA", "fma.")) for operation in operations)
        taken = sum(operation.startswith(("MUFU.SQRT", "MUFU.RSQ", "sqrt.", "rsqrt.")) for operation in operations)
        if fmas >= _LEAST_FMAS and taken:
            kinds = Counter(kind_of(operation) for operation in operations)
            steps = taken / roots
            counted.append(Step(language, len(operations) / steps, {kind: n / steps for kind, n in kinds.items()}))
    if not counted:
        raise ValueError("there is no loop of a walker's steps in this code")
    return min(counted, key=lambda step: step.instructions)


def loops(code: str) -> list[list[str]]:
    """The operations of each innermost loop: from the target of a branch backwards to the branch."""
    is_sass = "MUFU" in code or "/*0000*/" in code
    operations: list[str] = []
    labels: dict[str, int] = {}
    found: list[tuple[int, int]] = []
    for line in code.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(operations)
            continue
        operation = (_SASS if is_sass else _PTX).match(line)
        if operation is None or (not is_sass and operation[1].startswith(_NO_WORK)):
            continue
        operations.append(operation[1])
        target = _BRANCH.search(line)
        if target and target[1] in labels:
            found.append((labels[target[1]], len(operations)))
    inner = [(a, b) for a, b in found if not any((c, d) != (a, b) and a <= c and d <= b for c, d in found)]
    return [operations[a:b] for a, b in dict.fromkeys(inner)]


def kind_of(operation: str) -> str:
    """What unit an operation is for, roughly."""
    return next(kind for kind, pattern in _KINDS.items() if re.match(pattern, operation))
