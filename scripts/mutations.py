"""The changes of a source file by which `mutate.py` tries the tests: one operator, number, condition or statement."""

import ast
import difflib
import itertools
import re
from dataclasses import dataclass

KERNELS = "walkers/"  # here strings are code too

PERFORMANCE = {"LANES", "SPAN", "ROWS", "_BLOCK"}  # sizes of blocks: no answer depends on them
HARMLESS = {"strict", "exist_ok"}  # keywords that check and do not compute
OPERATORS = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "*", ast.Pow: "*",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&", ast.BitXor: "&",
}  # fmt: skip
COMPARISONS = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
         "ceil": "floor", "sin": "cos", "cos": "sin"}  # fmt: skip
IN_KERNELS = {
    r" \+ ": " - ", r" - ": " + ", r" \* ": " / ", r" / ": " * ", r" < ": " >= ", r" > ": " <= ", r" \+= ": " = ",
    r"\bmin\(": "max(", r"\bmax\(": "min(", r"\bHALF\b": "ONE", r"\bZERO\b": "ONE", r"\bONE\b": "ZERO",
    r"\bcos_turn\b": "sin_turn", r"\bsin_turn\b": "cos_turn", r" >> ": " << ", r" \^ ": " & ",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the characters from `start` to `end` of a file become `new`."""

    room: str
    file: str
    line: int
    start: int
    end: int
    new: str

    @property
    def path(self) -> str:
        """From the root of the repository."""
        return f"homog/{self.file}"

    def applied(self, source: str) -> str:
        """The mutated source."""
        return source[: self.start] + self.new + source[self.end :]

    def diff(self, source: str) -> str:
        """The change as a reader wants it."""
        before, after = (text.splitlines(keepends=True) for text in (source, self.applied(source)))
        return "".join(difflib.unified_diff(before, after, self.path, self.path, n=2))


class Mutator(ast.NodeVisitor):
    """Collects the changes of one file."""

    def __init__(self, room: str, file: str, source: str) -> None:
        self.room, self.file, self.source = room, file, source
        self.kernels = file.startswith(KERNELS)
        self.found: list[Mutant] = []
        lengths = [len(line.encode()) for line in source.splitlines(keepends=True)]
        self.lines = [0, *itertools.accumulate(lengths)]  # in bytes, as ast counts columns
        self.bytes = source.encode()
        self.visit(ast.parse(source))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First character and the one behind the last."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        start, end = (len(self.bytes[: self.lines[line - 1] + column].decode()) for line, column in ends)
        return start, end

    def add(self, start: int, end: int, new: str) -> None:
        if self.source[start:end] != new:
            line = self.source.count("\n", 0, start) + 1
            self.found.append(Mutant(self.room, self.file, line, start, end, new))

    def between(self, left: ast.expr, right: ast.expr, new: str) -> None:
        """Another operator between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        operator = re.search(r"[^\s()\[\]]+(?: not| in)?", self.source[start:end])
        assert operator is not None
        self.add(start + operator.start(), start + operator.end(), new)

    def negate(self, condition: ast.expr) -> None:
        if not isinstance(condition, ast.Compare | ast.BoolOp):  # these have changes of their own
            start, end = self.span(condition)
            self.add(start, end, f"(not {self.source[start:end]})")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in OPERATORS:
            self.between(node.left, node.right, OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            for new in COMPARISONS[type(operator)]:
                self.between(left, right, new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in itertools.pairwise(node.values):
            self.between(left, right, "or" if isinstance(node.op, ast.And) else "and")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            start = self.span(node)[0]
            self.add(start, start + (3 if isinstance(node.op, ast.Not) else 1), "")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self.negate(condition)
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self.negate(node.guard)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self.span(node)
        if isinstance(node.value, bool):
            self.add(start, end, str(not node.value))
        elif isinstance(node.value, int):
            self.add(start, end, str(node.value + 1))
        elif isinstance(node.value, float):
            self.add(start, end, repr(1.25 * node.value))
        elif isinstance(node.value, str) and self.kernels:
            for pattern, new in IN_KERNELS.items():
                for match in re.finditer(pattern, self.source[start:end]):
                    self.add(start + match.start(), start + match.end(), new)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in NAMES:
            end = self.span(node.func)[1]
            self.add(end - len(name), end, NAMES[name])
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.add(*self.span(node), "pass")
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.add(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id in PERFORMANCE for target in node.targets):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        if self.kernels:
            for value in node.values:
                self.visit(value.value if isinstance(value, ast.FormattedValue) else value)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in HARMLESS:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            self.visit(default)
        for statement in node.body:  # neither decorators nor annotations
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def skip(self, node: ast.AST) -> None:
        """What is only read, or only checked."""

    visit_Raise = visit_Assert = visit_Import = visit_ImportFrom = skip
