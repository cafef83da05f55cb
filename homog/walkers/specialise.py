"""Ordinary Python about vectors and walkers, written out as scalar code for one dimension, scheme and processor.

Numba and the processors want scalars, constants and straight loops. `homog.walkers.step` says what a walker does with
vectors (`b[i]`), choices (`if HEUN`) and a walker's state (`walker.d`). This pass over its syntax tree knows six rules:

1. A *static* name has a value now (AXES, HEUN, SPAN). What consists of static names and numbers alone is worked out; an
   `if` on it leaves one branch.
2. A loop over a static sequence (`for i in AXES`) is written out; one over `range(...)` stays a loop. So are
   `tuple(... for i in AXES)` and `sum(... for i in AXES)`.
3. A vector stands for its components, b1, b2: indexed by a static number for one of them, among the arguments,
   parameters or results of a function for all. The assignment of one vector to another is one for each component.
4. A walker's state lies where the processor keeps it: `walker.d[0]` in a variable d1, or in a lane's place of a buffer.
   A loop over a block is one over its lanes.
5. A function whose first parameter is a walker or a block is written where it is called, its parameters replaced. It
   may return at its end, and none of its own names may be one of the kernel's.
6. `Vector()`, `Thread()` and `Block()` declare: they become the lines that the processor needs for them, mostly none.
"""

import ast
import operator
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tree = ast.expr | list["Tree"]
"""An expression, or those of a vector's components, which may be vectors."""

PLACES = {"walker", "block"}  # a first parameter of this name has its function written where it is called
_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.Not: operator.not_, ast.Eq: operator.eq, ast.Gt: operator.gt, ast.Lt: operator.lt,
}  # fmt: skip


@dataclass(frozen=True)
class Specialiser:
    """The pass, for one kernel.

    Attributes:
        static: Value of each static name; one that is an expression is written in its place.
        vectors: Components of each vector, as a tree of expressions.
        state: Where each part of a walker's state lies, likewise.
        functions: Functions that are written where they are called, by name.
        declared: Lines in place of `name = Block()` and the like, by what is called.
        lanes: Variable and number of a block's lanes.
    """

    static: Mapping[str, Any]
    vectors: Mapping[str, Tree]
    state: Mapping[str, Tree]
    functions: Mapping[str, ast.FunctionDef]
    declared: Mapping[str, str]
    lanes: tuple[str, int] = ("", 0)

    def function(self, definition: ast.FunctionDef, decorator: str, *, name: str = "", body: str = "") -> str:
        """The text of a function, specialised, under a decorator; perhaps with another name, or another body."""
        for inner in self._written_in(definition):
            if clash := (_set(inner) - _given(inner)) & (_set(definition) | _given(definition)):
                raise SyntaxError(f"{inner.name} and {definition.name} both set {', '.join(sorted(clash))}")
        lines = ast.parse(body).body if body else self._statements(definition.body, {})
        parameters = self._flat((ast.Name(argument.arg) for argument in definition.args.args), {})
        signature = ", ".join(map(ast.unparse, parameters))
        text = "\n".join(map(ast.unparse, lines))
        return f"{decorator}\ndef {name or definition.name}({signature}):\n{textwrap.indent(text, '    ')}"

    def _written_in(self, definition: ast.FunctionDef) -> list[ast.FunctionDef]:
        """The functions that are written in it, in turn."""
        called = {node.func.id for node in ast.walk(definition) if isinstance(node, ast.Call)
                  and isinstance(node.func, ast.Name)}  # fmt: skip
        own = [self.functions[name] for name in sorted(called & self.functions.keys())]
        return [*own, *(further for inner in own for further in self._written_in(inner))]

    # statements

    def _statements(self, lines: Iterable[ast.stmt], bound: Mapping[str, Tree]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for line in lines:
            made += self._statement(line, bound)
            if made and isinstance(made[-1], ast.Return):
                break
        return made

    def _statement(self, line: ast.stmt, bound: Mapping[str, Tree]) -> list[ast.stmt]:
        match line:
            case ast.Expr(ast.Constant()):
                return []  # a docstring
            case ast.Expr(ast.Call(ast.Name(name)) as call) if name in self.functions:
                return self._in_place(call, [], bound)
            case ast.Assign(targets, ast.Call(ast.Name(name)) as call) if name in self.functions:
                return self._in_place(call, targets, bound)
            case ast.Assign(_, ast.Call(ast.Name(name))) if name in self.declared:
                return ast.parse(self.declared[name]).body
            case ast.Assign(targets, value):
                places, values = [self._tree(target, bound) for target in targets], self._tree(value, bound)
                if not isinstance(values, list) or isinstance(value, ast.Tuple | ast.Call):
                    return self._assignment(places, values)
                rows = zip(*map(_leaves, places), _leaves(values), strict=True)
                return [made for *row, leaf in rows for made in self._assignment(row, leaf)]
            case ast.If(test, body, otherwise):
                decided, value = self._value(test, bound)
                if decided:
                    return self._statements(body if value else otherwise, bound)
                made = self._statements(body, bound), self._statements(otherwise, bound)
                return [ast.If(self._expression(test, bound), *made)]
            case ast.For(ast.Name(name), iterable, body):
                return self._loop(name, iterable, body, bound)
            case ast.While(test, body):
                return [ast.While(self._expression(test, bound), self._statements(body, bound), [])]
            case ast.Expr(ast.Call() as call):
                return [ast.Expr(self._expression(call, bound))]
            case ast.Return(None) | ast.Break():
                return [line]
            case ast.Return(ast.expr() as value):
                return [ast.Return(_together(self._tree(value, bound)))]
            case ast.AugAssign(target, operation, value):
                place: Any = self._expression(target, bound)
                return [ast.AugAssign(place, operation, self._expression(value, bound))]
        raise SyntaxError(f"no rule to specialise {ast.unparse(line)!r}")

    def _assignment(self, targets: Sequence[Tree], value: Tree) -> list[ast.stmt]:
        """Of a value, or of several at a time; what is assigned to itself is left out."""
        rows = [[_together(target) for target in targets] + [_together(value)]]
        if isinstance(value, list):
            rows = [list(row) for row in zip(*map(_leaves, targets), _leaves(value), strict=True)]
        rows = [row for row in rows if len(set(map(ast.unparse, row))) > 1]
        if not rows:
            return []
        *places, whole = [_together(list(column)) for column in zip(*rows, strict=True)] if len(rows) > 1 else rows[0]
        return [ast.Assign(places, whole, lineno=0)]

    def _loop(self, name: str, iterable: ast.expr, body: list[ast.stmt], bound: Mapping[str, Tree]) -> list[ast.stmt]:
        if isinstance(iterable, ast.Name) and iterable.id == "block":
            variable, number = self.lanes
            over = ast.parse(f"range({number})", mode="eval").body
            return [ast.For(ast.Name(variable), over, self._statements(body, bound), [], lineno=0)]
        if isinstance(iterable, ast.Call):
            over = ast.Call(iterable.func, self._flat(iterable.args, bound), [])
            return [ast.For(ast.Name(name), over, self._statements(body, bound), [], lineno=0)]
        known, values = self._value(iterable, bound)
        if not known:
            raise SyntaxError(f"{ast.unparse(iterable)}: over what is not known")
        return [made for value in values for made in self._statements(body, {**bound, name: ast.Constant(value)})]

    def _in_place(self, call: ast.Call, targets: list[ast.expr], bound: Mapping[str, Tree]) -> list[ast.stmt]:
        """The body of a function, where it is called."""
        definition = self.functions[ast.unparse(call.func)]
        given: list[Tree] = []
        for argument in call.args:
            tree = None if isinstance(argument, ast.Name) and argument.id in PLACES else self._tree(argument, bound)
            given += tree if isinstance(argument, ast.Starred) and isinstance(tree, list) else [tree or []]
        inside = dict(zip((argument.arg for argument in definition.args.args), given, strict=True))
        inside |= {str(word.arg): self._tree(word.value, bound) for word in call.keywords}
        *lines, last = definition.body
        if not isinstance(last, ast.Return):
            return self._statements(definition.body, inside)
        assert last.value is not None
        results = self._tree(last.value, inside)
        return [*self._statements(lines, inside), *self._assignment([self._tree(t, bound) for t in targets], results)]

    # expressions

    def _value(self, node: ast.expr, bound: Mapping[str, Tree]) -> tuple[bool, Any]:
        """Whether an expression consists of static names and numbers, and its value then."""
        try:
            return True, self._static_value(node, bound)
        except LookupError:
            return False, None

    def _static_value(self, node: ast.expr, bound: Mapping[str, Tree]) -> Any:
        """The value of an expression; LookupError where it has none yet."""

        def value(part: ast.expr) -> Any:
            return self._static_value(part, bound)

        match node:
            case ast.Constant(number):
                return number
            case ast.Name(name):
                known = bound.get(name)
                if known is None:
                    return self.static[name]
                if isinstance(known, ast.Constant):
                    return known.value
            case ast.Tuple(elements):
                return tuple(map(value, elements))
            case ast.BinOp(left, operation, right) if type(operation) in _OPERATIONS:
                return _OPERATIONS[type(operation)](value(left), value(right))
            case ast.Compare(left, [operation], [right]) if type(operation) in _OPERATIONS:
                return _OPERATIONS[type(operation)](value(left), value(right))
            case ast.UnaryOp(operation, operand) if type(operation) in _OPERATIONS:
                return _OPERATIONS[type(operation)](value(operand))
            case ast.BoolOp(ast.And(), parts):
                return all(map(value, parts))
            case ast.BoolOp(ast.Or(), parts):
                return any(map(value, parts))
            case ast.Subscript(whole, ast.Slice() as cut):
                ends = (None if end is None else value(end) for end in (cut.lower, cut.upper, cut.step))
                return value(whole)[slice(*ends)]
            case ast.Subscript(whole, index):
                return value(whole)[value(index)]
            case ast.Call(ast.Name("len"), [of]):
                return len(value(of))
        raise LookupError(ast.unparse(node))

    def _tree(self, node: ast.expr, bound: Mapping[str, Tree]) -> Tree:
        """An expression with everything static worked out and every vector in components."""
        known, value = self._value(node, bound)
        if known and not isinstance(node, ast.Constant | ast.Tuple):
            return value if isinstance(value, ast.expr) else ast.Constant(value)
        match node:
            case ast.Name(name) if name in bound:
                return bound[name]
            case ast.Name(name) if name in self.vectors:
                return self.vectors[name]
            case ast.Attribute(ast.Name("walker"), name):
                return self.state[name]
            case ast.Subscript(value, index):
                whole = self._tree(value, bound)
                if not isinstance(whole, list):
                    return ast.Subscript(whole, self._expression(index, bound))
                known, number = self._value(index, bound)
                if not known:
                    raise SyntaxError(f"{ast.unparse(node)}: which component is not known")
                return whole[number]
            case ast.Tuple(elements):
                return [self._tree(element, bound) for element in elements]
            case ast.Starred(value):
                return self._tree(value, bound)
            case ast.GeneratorExp(element, [ast.comprehension(ast.Name(name), iterable)]):
                return [self._tree(element, {**bound, name: ast.Constant(i)}) for i in self._value(iterable, bound)[1]]
            case ast.Call(ast.Name("tuple" | "sum" as name), [ast.GeneratorExp() as generator]):
                terms = self._tree(generator, bound)
                return terms if name == "tuple" else _sum(terms)
            case ast.Call(function, arguments):
                called = self._tree(function, bound)
                assert isinstance(called, ast.expr)
                return ast.Call(called, self._flat(arguments, bound), [])
            case ast.IfExp(test, body, otherwise):
                decided, value = self._value(test, bound)
                if decided:
                    return self._tree(body if value else otherwise, bound)
        return self._parts(node, bound)

    def _parts(self, node: ast.expr, bound: Mapping[str, Tree]) -> ast.expr:
        """The same kind of expression, of specialised parts."""

        def made(part: Any) -> Any:
            if isinstance(part, list):
                return [made(one) for one in part]
            return self._expression(part, bound) if isinstance(part, ast.expr) else part

        return type(node)(**{name: made(part) for name, part in ast.iter_fields(node)})

    def _expression(self, node: ast.expr, bound: Mapping[str, Tree]) -> ast.expr:
        tree = self._tree(node, bound)
        if isinstance(tree, list) and not isinstance(node, ast.Tuple):
            raise SyntaxError(f"{ast.unparse(node)} is a vector where a number should be")
        return _together(tree)

    def _flat(self, nodes: Iterable[ast.expr], bound: Mapping[str, Tree]) -> list[ast.expr]:
        return [leaf for node in nodes for leaf in _leaves(self._tree(node, bound))]


def _given(definition: ast.FunctionDef) -> set[str]:
    """The names of a function's parameters."""
    return {argument.arg for argument in (*definition.args.args, *definition.args.kwonlyargs)}


def _set(definition: ast.FunctionDef) -> set[str]:
    """The names that a function assigns to, but for loops' names."""
    loops = {node.target.id for node in ast.walk(definition) if isinstance(node, ast.For | ast.comprehension)
             and isinstance(node.target, ast.Name)}  # fmt: skip
    stored = (node for node in ast.walk(definition) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return {node.id for node in stored} - loops


def _leaves(tree: Tree) -> list[ast.expr]:
    return [leaf for part in tree for leaf in _leaves(part)] if isinstance(tree, list) else [tree]


def _together(tree: Tree) -> ast.expr:
    """A vector as one expression."""
    return ast.Tuple(_leaves(tree)) if isinstance(tree, list) else tree


def _sum(terms: Tree) -> ast.expr:
    first, *rest = _leaves(terms)
    for term in rest:
        first = ast.BinOp(first, ast.Add(), term)
    return first
