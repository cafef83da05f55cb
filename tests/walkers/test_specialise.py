"""Each rule by which ordinary code about vectors becomes scalar code, and what it refuses."""

import ast
import textwrap

import pytest

from homog.walkers.specialise import Specialiser


def specialised(code: str, dimension: int = 2, **static: object) -> str:
    """The function `kernel` of some code, specialised: walkers lie in lanes, but for what they call `v`."""

    def leaves(name: str) -> list:
        return [ast.parse(f"{name}{i + 1}", mode="eval").body for i in range(dimension)]

    def lane(name: str) -> ast.expr:
        return ast.parse(f"lanes[{name} + i]", mode="eval").body

    body = ast.parse(textwrap.dedent(code)).body
    definitions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    specialiser = Specialiser(
        {"AXES": tuple(range(dimension)), "DIMENSION": dimension, **static},
        {**{name: leaves(name) for name in "abv"}, "none": []},
        {"d": [lane(f"D{i + 1}") for i in range(dimension)], "v": leaves("v"), "age": lane("AGE")},
        {name: made for name, made in definitions.items() if made.args.args and made.args.args[0].arg == "walker"},
        {"Vector": "", "Block": "lanes = zeros()"},
        ("i", 64),
    )
    _, _, *lines = specialiser.function(definitions["kernel"], "@decorated").splitlines()
    return textwrap.dedent("\n".join(lines))


def text(code: str) -> str:
    return ast.unparse(ast.parse(textwrap.dedent(code)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("for i in AXES:\n        a[i] = b[i] * x", "a1 = b1 * x\na2 = b2 * x"),
        ("for i in AXES[1:]:\n        x = i + 1", "x = 2"),
        ("for n in range(DIMENSION):\n        x = n", "for n in range(2):\n    x = n"),
        ("x = sum(a[i] * b[i] for i in AXES)", "x = a1 * b1 + a2 * b2"),
        ("a = tuple(2 * b[i] for i in AXES)", "a1, a2 = (2 * b1, 2 * b2)"),
        ("a = b", "a1 = b1\na2 = b2"),
        ("a = a", ""),
        ("a, x = b, y", "a1, a2, x = (b1, b2, y)"),
        ("a, x = a, y", "x = y"),
        ("x, y = y, x", "x, y = (y, x)"),
        ("a, *b, x = f(*a, b, *none, x)", "a1, a2, b1, b2, x = f(a1, a2, b1, b2, x)"),
        ("if DIMENSION > 1 and not FAST:\n        x = 1\n    else:\n        x = 2", "x = 1"),
        ("if x > DIMENSION:\n        a[0] = ONE", "if x > 2:\n    a1 = ONE"),
        ("x = y if FAST else z[0, 1e-30]", "x = z[0, 1e-30]"),
        ("a = Vector()\n    block = Block()\n    x = 1", "lanes = zeros()\nx = 1"),
        ("if FAST:\n        return a\n    return b\n    x = 1", "return (b1, b2)"),
    ],
)  # fmt: skip
def test_vectors_choices_and_loops_are_written_out(code: str, expected: str):
    assert specialised(f"def kernel():\n    {code}", FAST=False) == text(expected)


def test_a_walkers_code_is_written_where_it_is_called():
    code = """
    def add(walker, b, times, *, slow):
        "Text for readers."
        c = times * 2
        for i in AXES:
            walker.d[i] += b[i] if slow else c
        return c, walker.v

    def count(walker):
        walker.age += 1

    def kernel():
        for walker in block:
            x, a = add(walker, walker.v, y + 1, slow=True)
            count(walker)
    """
    expected = """
    for i in range(64):
        c = (y + 1) * 2
        lanes[D1 + i] += v1
        lanes[D2 + i] += v2
        x, a1, a2 = (c, v1, v2)
        lanes[AGE + i] += 1
    """
    assert specialised(code) == text(expected)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x = a + 1", "a is a vector where a number should be"),
        ("x = a[n]", "which component is not known"),
        ("for n in numbers:\n        pass", "over what is not known"),
        ("with open(x):\n        pass", "no rule to specialise"),
    ],
)
def test_what_has_no_rule_is_refused(line: str, reason: str):
    with pytest.raises(SyntaxError, match=reason):
        specialised(f"def kernel():\n    {line}")


def test_a_walkers_code_keeps_its_hands_off_the_kernels_names():
    code = """
    def inner(walker):
        left = 1

    def kernel(left):
        inner(walker)
    """
    with pytest.raises(SyntaxError, match="inner and kernel both set left"):
        specialised(code)
