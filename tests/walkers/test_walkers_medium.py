"""The medium's source lines, run by NumPy in place of Numba: many formulas in little time."""

import numpy as np
import pytest

from homog.domains import Box
from homog.fields.splines import interpolate
from homog.walkers.medium import medium

EPS, DT = 0.1, 1e-3
POINTS = np.random.default_rng(0).uniform(0.1, 0.9, (100, 2))
MOVES = EPS * np.random.default_rng(1).uniform(-1, 1, (100, 2))
NAMES = {
    "F": float, "ZERO": 0.0, "ONE": 1.0, "half_dt": DT / 2, "math": np,
    "exp": np.exp, "log": np.log, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "power": np.power,
    "logistic": lambda x: 1 / (1 + np.exp(-x)), "exp2": np.exp2, "LOG2E": 1 / np.log(2),
    "max": np.maximum, "min": np.minimum, "select": lambda z, a, b: np.where(z > 0, a, b),
    "split": lambda x: (2 * np.frexp(x)[0], np.frexp(x)[1] - 1),
    "sin_turns": lambda turns: np.sin(2 * np.pi * turns), "cos_turns": lambda turns: np.cos(2 * np.pi * turns),
}  # fmt: skip


@pytest.mark.parametrize(
    ("coefficient", "forcing"),
    [
        ("1", "-1"),
        ("3", "0"),
        ("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "x1 - x2"),
        ("1/(1 + x1)**2", "x1/(2 + x2)/(1 + x1**2)"),
        ("(2 + x1)**-1.5 + (1 + x2)**2.5", "1/x1 - 2/x2**3"),
        ("2 + x1**2*x2**3/eps", "-x1*(x2 - 1)"),
        ("sqrt(1 + x1) + sqrt(eps)*x2", "1/sqrt(1 + x2)"),
        ("2 + tanh(x1/eps)*x2", "tan(x1 + x2/2)"),
        ("3 + sinh(x1)*cosh(x2) + log(2 + x1)", "tan(sin(x2/eps))"),
        ("2 + sin(x1**2/eps)/(1 + x2)", "cos(x1*x2/eps)"),
        ("2 + cos(sin(x1/eps) + x2) + sin(exp(x1))", "exp(-((x1 - 0.5)/eps)**2)"),
        ("exp(-x1/eps)*(2 + sin(x2/eps))", "sin(x2/eps) - cos(x2/eps)"),
        ("exp(0.5*sin(2*pi*x1/eps)*x2) + x1**2", "sin(4*pi*x1 + 6*pi*x1**2)"),
        ("1 + u**2*(1 + x1) + sin(u/eps)", "1"),
        ("exp(u*x2)", "x1**2"),
        ("1 + abs(x1 - 0.5) + max(x1, x2)**2*min(x1/eps, 2)", "abs(sin(x1/eps)) - max(x2, 0.5)"),
        ("1.1 + abs(sin(x1/eps))*max(cos(x2/eps), -0.3)", "min(x1, x2, 0.4)"),
        ("1 + max(u, 0)**2 + abs(u - x1)", "1"),
        ("max(exp(600*x1 - 300), 1e-3)*(2 + sin(x2/eps))", "abs(exp(300*x1) - exp(290*x2))"),
        ("min(exp(400*x2), 1e12) + exp(-300*abs(x1 - 0.3))*abs(x2 - x1) + 1e-25", "min(1e20*x1, exp(200*x2))"),
    ],
)
def test_the_lines_give_drift_and_reward_of_a_step(make_problem, coefficient: str, forcing: str):
    """V dt and f / (2a) dt; constants and phases are rounded to 6e-8, and a slope over eps has a tenfold of that."""
    problem = make_problem(coefficient, EPS, forcing=forcing)
    lines = medium(problem)
    there = POINTS + MOVES
    values = dict(NAMES)
    values |= {f"{name}{i + 1}": array[:, i] for name, array in (("d", MOVES), ("p", POINTS)) for i in (0, 1)}
    phases = lines.start_phases(POINTS, problem.parameters)
    assert np.abs(phases).max() <= 0.5
    values |= {f"t{i}": row.astype(float) for i, row in enumerate(phases)}
    values |= {f"k{i}": float(k) for i, k in enumerate(lines.constant_values(problem.parameters))}
    solution = None
    if problem.operator.nonlinear:
        box = Box((-0.5, -0.5), (1.5, 1.5))
        solution = interpolate(np.sin(box.grid(33)).sum(-1), box.lower, box.upper)
        slope = solution.gradient(there)
        values |= {"u": solution(there), "u1": slope[:, 0], "u2": slope[:, 1]}
    assert lines.tables == ({"u": 3} if problem.operator.nonlinear else {})
    assert lines.reads_start == any(name in "\n".join(lines.lines) for name in ("p1", "p2"))
    exec("\n".join(lines.lines), values)
    drift = problem.process.drift_at(there, solution) * DT
    for i in (0, 1):
        np.testing.assert_allclose(values[f"v{i + 1}"] + 0 * MOVES[:, 0], drift[:, i], atol=1e-5 * np.abs(drift).max())
    a = problem.operator.coefficient_at(there, 0.0 if solution is None else solution(there))
    reward = problem.operator.forcing_at(there) / (2 * a) * DT
    np.testing.assert_allclose(values["h"] + 0 * a, reward, atol=1e-5 * np.abs(reward).max())
