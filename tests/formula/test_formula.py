"""One formula, every consumer; and what no consumer may ever see."""

import builtins
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from homog.errors import UserError
from homog.formula import NAMES, parse
from homog.formula.evaluate import at_points, torch_at_points

PARAMETERS = {"eps": 0.1, "b": 1.5}
FORMULAS = [
    "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
    "exp(b*sin(x1)) / (2 + x2**3)",
    "sqrt(1 + x1**2) - tanh(x1*x2) + log(3 + x2)",
    "-x1**-2 + cosh(x1) - sinh(x2) + tan(0.3*x2)",
    "(1 + x1)**1.5 * b",
    "sqrt(eps)*x1 + sin(b)*cos(b)**2 + b**1.5",
    "3 + tan(pi/2 - x1/2 - 0.2)",
    "2 + atan(3*x1 - x2) + erf(x2 - 4*x1) + atan(b)*erf(0.5)",
    "10**(x1 - x2) + x1**x2 + (1 + x1**2)**(b*x2) + b**x1 + 2.0**(x1/eps)",
    "(x1 - 0.5)**2.0 + (x2 + 0.5)**-3.0",
    "1 + 99/(1 + exp(-5*(x1 - 0.4)))",
    "(1 + 10*exp(3*x1))*exp(3*x1)/(2 + 3*exp(3*x1))**2",
    "sinh(x1)**2/cosh(x1)**3 + 1/(1 + exp(x2))**2.5",
    "abs(x1 - x2) + abs(-3)*abs(b*x1 - 0.4)**3",
    "max(x1, x2, 0.5) - min(1, x1*x2)*max(2, 3)",
    "sqrt((x1 - x2)**2) + min(abs(x1 - 0.5), exp(-abs(x2)))",
    "where(x1 < 0.4, 10, x2) + where(0.2 < x1 <= x2 < 0.8, x1, 3)*where(1 < 2, b, 0)",
    "1 + (x1 > 0.3)*x2 + (x1 < 0.5 and x2 < 0.5 or not x1 > x2) + (x1 >= 0.5 or x2 >= 0.5 and not x1 >= x2)",
    "mod(x1, eps) + floor(7*x2) + x1 % 0.3 + x2 // 0.2 - mod(-x1, b) + floor(-x1) + mod(7, 2.5)",
    "2 if x1 < x2 else 3*x1 if x1 >= 0.7 else sin(x1)",
    "where((mod(x1, eps) - eps/2)**2 + (mod(x2, eps) - eps/2)**2 < (0.35*eps)**2, 10, 1)",
    "7",
]
POINTS = np.random.default_rng(0).uniform(0.1, 0.9, (50, 2))


def python_value(text: str, x1: float, x2: float) -> float:
    """What Python itself makes of the text: the meaning of a formula."""
    own = {"where": lambda holds, a, b: a if holds else b, "mod": lambda z, period: z % period}
    names = {name: own.get(name) or getattr(math, name, None) or getattr(builtins, name) for name in NAMES}
    return eval(text, {"__builtins__": {}}, {**names, **PARAMETERS, "pi": math.pi, "x1": x1, "x2": x2})


@pytest.mark.parametrize("text", FORMULAS)
def test_numpy_and_torch_agree_with_python(text: str):
    formula = parse(text, 2, PARAMETERS)
    expected = [python_value(text, *point) for point in POINTS]
    np.testing.assert_allclose(at_points(formula, POINTS, PARAMETERS), expected, rtol=1e-13)
    tensor = torch_at_points(formula, torch.from_numpy(POINTS), PARAMETERS)
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("text", FORMULAS)
def test_the_symbolic_gradient_is_the_slope(text: str):
    formula = parse(text, 2, PARAMETERS)
    h = 1e-5  # central differences: error h^2 f'''/6, at most about 1e-10 * (20 pi)^3 here
    for axis, derivative in enumerate(formula.gradient()):
        shift = h * np.eye(2)[axis]
        ahead, behind = (at_points(formula, POINTS + s * shift, PARAMETERS) for s in (1, -1))
        np.testing.assert_allclose(
            at_points(derivative, POINTS, PARAMETERS), (ahead - behind) / (2 * h), atol=1e-4, rtol=1e-6
        )


NESTS = [  # an opening and a closing for each level around x1
    ("-", ""),
    ("+", ""),
    ("(2 + ", ")"),
    ("", "*x2"),
]


@pytest.mark.parametrize(("opening", "closing"), NESTS)
def test_formulas_are_nested_up_to_60_levels(opening: str, closing: str):
    parse(opening * 60 + "x1" + closing * 60, 2)
    with pytest.raises(UserError, match="nested too deeply"):
        parse(opening * 61 + "x1" + closing * 61, 2)


@pytest.mark.parametrize(
    ("allowed", "refused", "reason"),
    [
        ("x1".ljust(1000), "x1".ljust(1001), "at most 1000"),
        ("tanh(" * 6 + "x1" + ")" * 6, "tanh(" * 7 + "x1" + ")" * 7, "at most 6 functions and powers"),
        ("x1**16", "x1**17", "at most 16"),
        ("x1**-16", "x1**-16.5", "at most 16"),
        ("9.99e29", "1e30", "too large"),
        ("1e15*9.99e14", "1e15*1e15", "too large"),
        ("x1", "x\N{FULLWIDTH DIGIT ONE}", "ASCII"),  # for Python the same name
        ("sin(x1)", "sin(x1, x2)", "sin takes one argument"),
        ("sqrt(exp(x1))", "sqrt(-exp(x1))", "no real value"),
        ("x1" + "<x2" * 60, "x1" + "<x2" * 61, "nested too deeply"),
        ("x1<x2" + " and x1<x2" * 59, "x1<x2" + " or x1<x2" * 61, "nested too deeply"),
    ],
)
def test_each_limit_is_where_it_is_said_to_be(allowed: str, refused: str, reason: str):
    parse(allowed, 2)
    with pytest.raises(UserError, match=reason):
        parse(refused, 2)


def test_a_message_quotes_the_whole_of_a_short_text_and_the_beginning_of_a_long_one():
    with pytest.raises(UserError, match=r"formula='x1 \+': "):
        parse("x1 +", 2)
    with pytest.raises(UserError, match=r"formula='(x1\+){19}\.\.\.': "):  # 57 characters
        parse("x1+" * 100, 2)


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "x1.real",
    "open('f')",
    "eval('1')",
    "lambda: 1",
    "[x1 for x1 in (1,)]",
    "x1 if x1 else x2",
    "x1 and x2",
    "x1 == x2",
    "where(x1 < x2, 1)",
    "where(x1 == x2, 1, 2)",
    "mod(x1)",
    "mod(x1, 0)",
    "x1 % 0",
    "x1 // 0",
    "x1 in x2",
    "not",
    "x1 < x2 < ",
    "x1 := 2",
    "f'{x1}'",
    "'x1'",
    "b'1'",
    "1j",
    "True",
    "None",
    "...",
    "sin(x1, x2)",
    "sin(x=1)",
    "sin(*x1)",
    "sin",
    "9**9**9",
    "x1**99",
    "(-2)**x1",
    "0**x1",
    "exp(999*log(x1))",
    "x1**x2**x1**x2**x1",
    "[[1, 0], [0, 2]]",
    "{left: 0, right: 1}",
    "where(x1, 1, 2)",
    "max(x1)",
    "min()",
    "max",
    "abs(x1, x2)",
    "max(x1, key=x2)",
    "max(*x1)",
    "min(1, log(0))",
    "((10**16)**16)**16",
    "exp(exp(exp(10)))",
    "1e999",
    "1/0",
    "sqrt(-1)",
    "log(0)",
    "(-1)**0.5",
    "x4",
    "log(-x1**2 - 1) + sqrt(-4)*x1",
    "u",
    "\N{GREEK SMALL LETTER PI}",
    "x1 ^ 2",
    "",
    "1 +",
    "(" * 500 + "x1" + ")" * 500,
    "-" * 500 + "x1",
    "x1+" * 900 + "x1",
    "x1;x2",
    "x1\nx2",
    "import os",
    "x1 @ x2",
    "~x1",
    "not x1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_refused_in_one_line(text: str):
    with pytest.raises(UserError) as refused:
        parse(text, 3, PARAMETERS, where="problem.coefficient")
    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith("problem.coefficient=")


@given(st.text(alphabet="x123.e+-*/() sincoslgqrtpab_[]{}'\",:=<>%", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_formula_or_a_user_error(text: str):
    try:
        formula = parse(text, 2, PARAMETERS)
    except UserError:
        return
    assert formula.names <= {"x1", "x2", *PARAMETERS}


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("where(x1, 1, 2)", r"a comparison first, such as x1 < 0\.5"),
        ("where(x1 < 0.5, 1)", r"two values, such as where\(x1 < 0\.5, 1, 100\)"),
        ("where(x1 == 0.5, 1, 2)", "compare by <, <=, > or >="),
        ("1 + (x1 and x2)", r"join comparisons, such as x1 < 0\.5"),
        ("mod(x1)", r"such as mod\(x1, eps\)"),
        ("piecewise(x1)", r"where\(x1 < 0\.5, a, b\)"),
        ("heaviside(x1)", r"where\(z > 0, 1, 0\)"),
        ("max(x1)", "max takes two arguments or more"),
        ("mx(x1, x2)", "did you mean max"),
        ("sign(x1)", r"where\(z > 0, 1, -1\)"),
        ("ceil(x1)", r"-floor\(-z\)"),
        ("arctan(x1)", r"atan\(x\)"),
        ("[[1, 0], [0, 2]]", "write one formula here"),
        ("x1**20", r"\(x1\*\*10\)\*\*2"),
        ("z + 1", "the axes x1, x2"),
        ("x3", "the axes x1, x2"),
        ("time + 1", "write one of x1, x2, eps, b, pi"),
        ("(-1)**x1", "must be positive"),
    ],
)
def test_what_is_not_there_is_answered_with_a_way_out(text: str, way_out: str):
    with pytest.raises(UserError, match=way_out):
        parse(text, 2, PARAMETERS)
    with pytest.raises(UserError, match="write one formula for all faces"):
        parse("{left: 0, right: 1}", 2, PARAMETERS, where="problem.boundary")


def test_x_y_and_z_are_the_coordinates_unless_a_parameter_has_the_name():
    assert parse("x*y + z", 3).expression == parse("x1*x2 + x3", 3).expression
    assert parse("x*y", 2, ("x",)).names == {"x", "x2"}


def test_quotients_of_large_exponentials_have_finite_slopes():
    """Also where exp is beyond double precision; away from the front the slopes are zero."""
    for text in (
        "1 + 99/(1 + exp(-5e4*(x1 - 0.4321)))",
        "exp(2000*x1)/(3 + exp(2000*x1))",
        "(1 + 100*exp(3e3*(x1 - 0.5)))/(1 + exp(3e3*(x1 - 0.5)))",
        "1 + 1/cosh(2000*(x1 - 0.5))**2",
        "sinh(900*x1)/cosh(900*x1)",
    ):
        slope = parse(text, 1).gradient()[0]
        x = np.linspace(0, 1, 1001)[:, None]
        values = at_points(slope, x, {})
        assert np.isfinite(values).all(), text
        whole = np.diff(at_points(parse(text, 1), x[[0, -1]], {}))[0]
        fine = np.concatenate([np.linspace(0, 1, 400_001), 0.4321 + np.linspace(-1e-3, 1e-3, 40_001)])
        fine = np.unique(fine)
        total = np.trapezoid(at_points(slope, fine[:, None], {}), fine)
        np.testing.assert_allclose(total, whole, atol=2e-3 * max(1, abs(whole)), err_msg=text)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean eps"):
        parse("1 + sin(x1/epz)", 2, PARAMETERS)
    with pytest.raises(UserError, match="did you mean sin"):
        parse("1 + sn(x1)", 2, PARAMETERS)
