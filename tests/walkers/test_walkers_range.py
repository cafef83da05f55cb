"""Formulas whose values leave single precision while V = grad a / (2a) and h = f / (2a) do not: drift and reward agree.

The lines run in NumPy's single precision, with the functions of the kernels; the last test compiles one.
"""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from simulated_gpu import CASES

from homog.domains import Box
from homog.equation import Operator, Problem
from homog.formula import parse
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, oracle, stream_key
from homog.walkers.medium import Medium, medium

F = np.float32
DT = 1e-6
POINTS = np.random.default_rng(0).uniform(0.01, 0.99, (400, 2)).astype(F).astype(float)
MOVES = np.random.default_rng(1).uniform(-0.005, 0.005, (400, 2)).astype(F).astype(float)
SHIFT = 5e-7  # single precision keeps the place to 6e-8, and an argument 500*x1 as if it were about so far off


def exp2(x):
    x = np.clip(x, F(-126), F(127))
    return np.exp2(x.astype(F) if isinstance(x, np.ndarray) else F(x))


def split(x):
    mantissa, exponent = np.frexp(x)
    return F(2) * mantissa, (exponent - 1).astype(F)


LOG2E, LN2 = F(1 / np.log(2)), F(np.log(2))
NAMES = {
    "F": F, "ZERO": F(0), "ONE": F(1), "HALF": F(0.5), "half_dt": F(DT / 2), "math": np, "LOG2E": LOG2E, "LN2": LN2,
    "max": np.maximum, "min": np.minimum, "abs": np.abs, "exp2": exp2, "log2": np.log2, "split": split,
    "exp": lambda x: exp2(x * LOG2E), "log": np.log, "power": np.power,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "atan": np.arctan, "erf": scipy.special.erf,
    "logistic": lambda x: F(1) / (F(1) + exp2(-x * LOG2E)),
    "sin_turns": lambda t: np.sin(F(2 * np.pi) * (t - np.rint(t))),
    "cos_turns": lambda t: np.cos(F(2 * np.pi) * (t - np.rint(t))),
}  # fmt: skip


def built(coefficient: str, forcing: str = "1") -> Problem:
    """The problem without the checks of its settings, which take most of a second."""
    a, f = (parse(text, 2, ("eps",)) for text in (coefficient, forcing))
    box = Box((0.0, 0.0), (1.0, 1.0))
    return Problem.of("p", Operator(a, f, {"eps": 0.1}), parse("0", 2), box, scale=0.1)


def run(lines: Medium, problem: Problem) -> np.ndarray:
    """V1 dt, V2 dt and h dt by the lines, shape (3, points)."""
    values = dict(NAMES)
    for name, array in (("d", MOVES), ("p", POINTS)):
        values |= {f"{name}{i + 1}": array[:, i].astype(F) for i in (0, 1)}
    values |= {f"t{i}": row for i, row in enumerate(lines.start_phases(POINTS, problem.parameters))}
    with warnings.catch_warnings(action="error"):
        constants = lines.constant_values(problem.parameters)
        assert np.isfinite(constants).all()
        values |= {f"k{i}": k for i, k in enumerate(constants)}
        with np.errstate(under="ignore"):
            exec("\n".join(lines.lines), values)
    found = [values[name] + 0 * MOVES[:, 0] for name in ("v1", "v2", "h")]
    assert all(np.asarray(values[name]).dtype == F for name in ("v1", "v2", "h"))
    return np.stack(found)


def exact(problem: Problem, places: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        forcing = problem.operator.forcing_at(places)
        h = forcing / (2 * problem.operator.coefficient_at(places))
        return DT * np.concatenate([problem.process.drift_at(places).T, h[None]])


def check(problem: Problem) -> None:
    """Within 1e-4 of the largest value, and what a rounded place changes."""
    places = POINTS + MOVES
    truth = exact(problem, places)
    moved = [exact(problem, places + SHIFT * np.array(shift)) for shift in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    conditioning = np.sum([np.abs(one - truth) for one in moved], axis=0)
    error = np.abs(run(medium(problem), problem) - truth)
    assert np.isfinite(error).all()
    scale = np.abs(truth)
    scale[:2] = np.linalg.norm(truth[:2], axis=0)
    # V may be a difference of two large slopes: the largest around stands for them
    allowed = 1e-4 * scale + conditioning + 2e-6 * np.abs(truth).max(axis=1, keepdims=True)
    assert (error <= allowed).all(), float((error / allowed).max())


FORMULAS = [
    ("1+99/(1+exp(-500*(x1-0.4321)))", "10"),
    ("1+99/(1+exp(-5e4*(x1-0.4321)))", "10"),
    ("(1+100*exp(700*(x1-0.5)))/(1+exp(700*(x1-0.5)))", "1"),
    ("1+49.5*(1+tanh((x1-0.4321)/1e-4))", "x1"),
    ("1e-6+0.5*(1+tanh((x1-0.4321)/1e-2))", "1"),
    ("1e-6+0.5*(1-tanh((x1-0.4321)/1e-2))", "1"),
    ("exp(8*(5*x1+sin(9*x2)))", "exp(40*x1)"),
    ("exp(700*x1-200*x2)", "exp(700*x1-200*x2)*(1+x2)"),
    ("exp(300*x1)+exp(-250*x2)", "exp(300*x1)"),
    ("exp(-600*x1)+exp(-650*x1)*x2", "exp(-620*x1)"),
    ("1e-30*(2+sin(7*x1))", "1e-30"),
    ("1e25*(2+sin(7*x1)*x2)", "1e25*x2"),
    ("(1e-3+x1)**16*(1e-3+x2)**16*1e-20", "(1e-3+x1)**16*(2e-3+x2)**16"),
    ("cosh(300*(x1-0.5))*(2+sin(3*x2))", "1"),
    ("1/cosh(300*(x1-0.5))", "1/cosh(300*(x1-0.5))"),
    ("1+1/cosh(900*(x1-0.5))**2", "1"),
    ("sqrt(exp(300*x1)+exp(500*x2))", "exp(100*x1)"),
    ("(1+exp(200*x1))**-1.5", "exp(-300*x1)"),
    ("log(1+exp(300*x1))", "1"),
    ("(0.01+x1)**(30*x2)", "1"),
    ("10**(60*x1)*(1+x2**2)**(40*x1)", "1"),
    ("2+sinh(600*(x1-x2))/cosh(600*(x1-x2))", "1"),
    ("2+atan((x1-x2)/1e-3)+erf((x1-0.5)/1e-3)*0.4", "1"),
    ("exp(exp(6*x1))", "1"),
    ("exp(-((x1-0.5)/0.01)**2)+1e-40*1e10*x1**2+1e-20", "1"),
]


@pytest.mark.parametrize(("coefficient", "forcing"), FORMULAS)
def test_drift_and_reward_are_those_of_double_precision(coefficient: str, forcing: str):
    check(built(coefficient, forcing))


def factor(chance: random.Random) -> str:
    """Positive, smooth on the square, of any size."""
    c, w = chance.choice((0.3, 2, 17, 130)), chance.choice(("x1", "x2", "(x1-x2)", "(x1-0.4)", "(sin(5*x1)*x2)"))
    return chance.choice(
        (f"exp({c}*{w})", f"exp(-{c}*{w})", f"(1.5+tanh({c}*{w}))", f"(1+1/(1+exp({c}*{w})))", f"cosh({c}*{w})",
         f"(0.01+{w}**2)**{chance.choice((3, 8, -5, 1.5))}", f"1e{chance.randrange(-20, 20)}", f"(2+sin({c}*{w}))",
         f"10**({c}*{w}/2)", f"(1+atan({w})**2)", f"(1.2+erf({c}*{w}))", f"1/(1+exp({c}*{w}))", f"sqrt(1e-6+{w}**2)",
         f"log(2+exp({c}*{w}))")
    )  # fmt: skip


def formula(chance: random.Random) -> str:
    terms = ["*".join(factor(chance) for _ in range(chance.randrange(1, 4))) for _ in range(chance.randrange(1, 4))]
    text = " + ".join(terms)
    return f"({text})**{chance.choice((-1, 0.5, 2, -0.3))}" if chance.random() < 0.2 else text


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_formulas_that_are_finite_in_double_precision(first: int):
    walked = 0
    for seed in range(first, first + 20):
        chance = random.Random(seed)
        coefficient, forcing = formula(chance), chance.choice(("1", factor(chance)))
        problem = built(coefficient, forcing)
        truth = exact(problem, POINTS + MOVES)
        if not (np.isfinite(truth).all() and np.abs(truth).max() < 1e30):
            continue  # it overflows in double precision too
        try:
            check(problem)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {coefficient}, {forcing}: {error}") from error
        walked += 1
    assert walked > 14


STEPS = TimeSteps(micro_step=1e-5, count=24, micro_bound=1.0, macro_bound=0.0)


def test_a_kernel_walks_beyond_single_precision_as_double_precision_does(kernels: Path):
    """Path by path; where the drift is steepest, two paths that are 6e-8 apart part by some per cent of it."""
    problem, scheme = CASES["beyond single precision"].problem, Scheme("drift", "heun", "bridge")
    points = np.random.default_rng(0).uniform(0.3, 0.7, (40, 2))
    with warnings.catch_warnings(action="error"):
        found = Walkers(problem, scheme, kernels).walk(points, 8, STEPS, stream_key(1, 0))
    truth = oracle.walk(problem, scheme, points, 8, STEPS, stream_key(1, 0))
    length = np.sqrt(STEPS.count * STEPS.micro_step)
    error = np.abs(found.displacement - truth.displacement) / length
    assert np.quantile(error, 0.99) < 1e-4
    assert error.max() < 0.02
    np.testing.assert_allclose(found.reward.mean(), truth.reward.mean(), rtol=1e-3)
