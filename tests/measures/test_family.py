"""u(x; mu) for all values of its parameters from one solve, against exact families."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from small_solve import FamilySolves, prepared

import homog
from homog.equation import Problem
from homog.equation.ranges import Ranges
from homog.errors import UserError
from homog.measures.assembled import features_at, gauss, gram
from homog.measures.family import Family
from homog.solvers.family import FamilyEquations
from homog.timesteps.timestep import TimeSteps

LINE = homog.Box((0.0,), (1.0,))
POINTS, SHARES = gauss(LINE)
STEPS = TimeSteps(1e-4, 40, 1, 1)
LAMINATE_STEPS = TimeSteps((0.05 / 12) ** 2, 576, 1, 1)  # 16 of the least macro steps

# --------------------------------------------------------------------------------- the box


BOXES = [{"c": (0.1, 0.9)}, {"k": (-1.0, 2.0), "s": (1.0, 3.0)}, {"a": (0.0, 1.0), "b": (2.0, 5.0), "c": (-3.0, -1.0)}]


@pytest.mark.parametrize("ends", BOXES, ids=len)
def test_the_polynomials_are_orthonormal_for_the_mean_over_the_box(ends: dict[str, tuple[float, float]]):
    ranges = Ranges(ends)
    values = ranges.polynomials(ranges.nodes)
    assert ranges.shares.sum() == pytest.approx(1)
    assert_allclose((values * ranges.shares[:, None]).T @ values, np.eye(len(ranges.degrees)), atol=1e-12)
    assert_allclose(values[:, 0], 1)
    totals = ranges.degrees.sum(1)
    assert (np.diff(totals) >= 0).all()
    assert ranges.spaces() == [int((totals <= degree).sum()) for degree in range(totals.max() + 1)]


@pytest.mark.parametrize("ends", BOXES, ids=len)
def test_the_rule_is_exact_for_products_of_two_polynomials(ends: dict[str, tuple[float, float]]):
    """For monomials of the values themselves: the mean of v^n is (b^(n+1) - a^(n+1)) / ((n+1)(b-a))."""
    ranges = Ranges(ends)
    most = int(ranges.degrees.sum(1).max())
    values = np.array([list(ranges.values(place).values()) for place in ranges.nodes])
    for powers in itertools.product(range(2 * most + 1), repeat=len(ends)):
        if sum(powers) <= 2 * most:
            parts = zip(ends.values(), powers, strict=True)
            exact = np.prod([(b ** (n + 1) - a ** (n + 1)) / ((n + 1) * (b - a)) for (a, b), n in parts])
            assert ranges.shares @ (values**powers).prod(1) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("ends", BOXES, ids=len)
def test_slopes_are_those_of_differences(ends: dict[str, tuple[float, float]]):
    ranges, step = Ranges(ends), 1e-6
    middle = {name: 0.3 * low + 0.7 * high for name, (low, high) in ends.items()}
    for name in ends:
        up, down = (ranges.polynomials(ranges.place({**middle, name: middle[name] + move})) for move in (step, -step))
        slopes = ranges.slopes(ranges.place(middle), name)
        assert_allclose(slopes, (up - down) / (2 * step), atol=1e-6 * np.abs(slopes).max())


def test_places_and_values_are_inverse_to_each_other():
    ranges = Ranges(BOXES[1])
    assert_allclose(ranges.place({"s": 1.0, "k": 2.0}), [1, -1])
    for place in ranges.nodes:
        assert_allclose(ranges.place(ranges.values(place)), place, atol=1e-14)
    assert ranges.place({"k": 2.0 + 1e-10, "s": 3.0}).max() == 1.0


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"k": 0.0}, "write a value for each of the parameters that are ranges, and for no other: k=..., s=..."),
        ({"k": 0.0, "s": 2.0, "c": 1.0}, "and for no other: k=..., s=..."),
        ({"k": 2.1, "s": 2.0}, "k=2.1 lies outside of its range, -1 to 2"),
        ({"k": 0.0, "s": float("nan")}, "s=nan lies outside of its range, 1 to 3"),
    ],
)
def test_other_values_are_refused(values: dict[str, float], line: str):
    with pytest.raises(UserError) as refused:
        Ranges(BOXES[1]).place(values)
    assert line in str(refused.value)


# ------------------------------------------------------------------------- exact equations


def exact_family(
    problem: Problem, u: Callable[..., np.ndarray], lift: Callable[..., np.ndarray], kernels: Path
) -> Family:
    """The polynomials of mu and of x that are closest to an exact family at the nodes of the rule."""
    assert problem.ranges is not None
    ranges, (_, network) = problem.ranges, prepared(problem, STEPS, 0, kernels, count=8)
    points, shares = gauss(problem.domain)
    features = features_at(network, points)
    mass = gram(features, features, shares)
    of_nodes = [ranges.values(place) for place in ranges.nodes]
    above = np.stack([u(points[:, 0], **values) - lift(points[:, 0], **values) for values in of_nodes], 1)
    held = np.linalg.solve(mass, features.T @ (shares[:, None] * above))
    weights = (held * ranges.shares) @ ranges.polynomials(ranges.nodes)
    equations = FamilyEquations(
        ranges, weights, np.stack([weights, weights]), weights[None], np.zeros((1, *weights.shape, 1)), 0, 1, 0.0,
        0.0, mass,
    )  # fmt: skip
    return Family(problem, equations, network)


def of_drops(x: np.ndarray, k: float, s: float) -> np.ndarray:
    """-(e^k u')' = s with u = k x1 on the boundary."""
    return s * np.exp(-k) * x * (1 - x) / 2 + k * x


DROPS = {"k": {"from": 0.1, "to": 0.7}, "s": {"from": 1.0, "to": 3.0}}


@pytest.fixture(scope="module")
def drops(kernels: Path) -> Family:
    problem = homog.Problem("exp(k)", forcing="s", boundary="k*x1", eps=0.5, domain=LINE, parameters=DROPS)
    return exact_family(problem, of_drops, lambda x, k, s: k * x, kernels)


X = np.linspace(0, 1, 21)


def test_u_and_its_sensitivities_are_exact_for_any_values(drops: Family):
    """Of s e^-k on a range of 0.6, degree three in k leaves 4e-5 of half the range of s, and of the slope 2e-3."""
    for k, s in itertools.product((0.1, 0.33, 0.7), (1.0, 2.2, 3.0)):
        values = {"k": k, "s": s}
        assert_allclose(drops(X[:, None], **values), of_drops(X, k, s), atol=1e-5)
        parts = X * (1 - X) / 2 * np.exp(-k)
        assert_allclose(drops.sensitivity(X[:, None], "s", **values), parts, atol=1e-5)
        assert_allclose(drops.sensitivity(X[:, None], "k", **values), X - s * parts, atol=5e-4)
    assert drops(np.full((3, 2, 1), 0.5), k=0.5, s=1.0).shape == (3, 2)


def test_mean_deviation_and_quantiles_are_those_of_the_law(drops: Family):
    """By quadrature of the exact family; quantiles by draws, of which the noise is a few percent of the deviation."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    k, s = 0.4 + 0.3 * nodes, 2 + nodes
    u = of_drops(X[:, None, None], k[:, None], s)
    shares = np.multiply.outer(weights, weights) / 4
    mean = (u * shares).sum((1, 2))
    deviation = np.sqrt(((u - mean[:, None, None]) ** 2 * shares).sum((1, 2)))
    assert_allclose(drops.mean(X[:, None]), mean, atol=1e-6)
    assert_allclose(drops.standard_deviation(X[:, None]), deviation, atol=1e-6)
    levels = (0.05, 0.5, 0.95)
    random = np.random.default_rng(1)
    drawn = of_drops(X[:, None], random.uniform(0.1, 0.7, 100_000), random.uniform(1, 3, 100_000))
    found = drops.quantiles(X[:, None], levels)
    assert found.shape == (3, len(X))
    assert (np.abs(found - np.quantile(drawn, levels, axis=1)) < 0.08 * deviation + 1e-9).all()


def test_a_member_is_the_problem_with_these_values(drops: Family):
    member = drops.problem.member({"k": 0.3, "s": 2.5})
    assert member.ranges is None
    assert (member.parameters["k"], member.parameters["s"], member.eps) == (0.3, 2.5, 0.5)
    assert (drops.problem.parameters["k"], drops.problem.parameters["s"]) == (0.4, 2.0)
    with pytest.raises(UserError, match=r"k=0\.8 lies outside of its range"):
        drops.problem.member({"k": 0.8, "s": 2.5})


# ------------------------------------------------------------------------------ by walkers

type Exact = Callable[..., np.ndarray]


def sine(x: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * x)


def of_laminate(x: np.ndarray, c: float | np.ndarray) -> np.ndarray:
    """The harmonic mean of 1 + c sin is sqrt(1 - c^2)."""
    return x * (1 - x) / (2 * np.sqrt(1 - c**2))


CASES: dict[str, tuple[Mapping[str, Any], Exact]] = {
    "constants": (
        {
            "coefficient": "exp(k)", "forcing": "s",
            "parameters": {"k": {"from": -0.5, "to": 0.5}, "s": {"from": 1.0, "to": 2.0}},
        },
        lambda x, k, s: s * np.exp(-k) * x * (1 - x) / 2,
    ),
    "boundary values": (
        {
            "coefficient": "1 + x1", "forcing": "0", "boundary": "c*x1",
            "parameters": {"c": {"from": 1.0, "to": 3.0}},
        },
        lambda x, c: c * np.log1p(x) / np.log(2),
    ),
    "a reaction": (
        {
            "coefficient": "1", "forcing": "sin(pi*x1)", "reaction": "c",
            "parameters": {"c": {"from": 0.0, "to": 20.0}},
        },
        lambda x, c: sine(x) / (np.pi**2 + c),
    ),
    "all alike": (
        {
            "coefficient": "1", "forcing": "(pi**2 + c)*sin(pi*x1)", "reaction": "c",
            "parameters": {"c": {"from": 0.0, "to": 20.0}},
        },
        lambda x, c: sine(x),
    ),
    "laminates": (
        {
            "coefficient": "1 + c*sin(2*pi*x1/eps)", "forcing": "1", "eps": 0.05,
            "parameters": {"c": {"from": 0.1, "to": 0.8}},
        },
        of_laminate,
    ),
}  # fmt: skip


def problem_of(given: Mapping[str, Any]) -> Problem:
    return homog.Problem(**{"eps": 0.5, "domain": LINE, **given})


@pytest.fixture(scope="module")
def by_walkers(kernels: Path) -> Callable[[str, int], Family]:
    """The family of a case by the walkers of a seed, which walk once."""

    @cache
    def solves(case: str) -> FamilySolves:
        return FamilySolves(problem_of(CASES[case][0]), LAMINATE_STEPS if case == "laminates" else STEPS, kernels)

    @cache
    def found(case: str, seed: int) -> Family:
        solver = solves(case).solved(seed)
        return Family(problem_of(CASES[case][0]), solver.equations(), solver.network)

    return found


def off(family: Family, exact: Exact, values: Mapping[str, float]) -> tuple[float, float]:
    """The relative L2 error, and what is told of it."""
    truth = exact(POINTS[:, 0], **values)
    error = np.sqrt(SHARES @ (family(POINTS, **values) - truth) ** 2) / np.sqrt(SHARES @ truth**2)
    return float(error), family.error(**values)


PLACES = (-1.0, -0.4, 0.0, 0.7, 1.0)  # from corner to corner
SEEDS = 6


def at(family: Family, place: float) -> dict[str, float]:
    ranges = family.equations.ranges
    return ranges.values(np.full(len(ranges.names), place))


@pytest.mark.parametrize("case", CASES)
def test_u_by_walkers_is_off_by_about_what_it_tells(by_walkers, case: str):
    """The root mean square of the ratio, over six seeds with a few independent functions each: one, about."""
    exact, ratios, largest = CASES[case][1], [], 0.0
    for family in (by_walkers(case, seed) for seed in range(SEEDS)):
        each = [off(family, exact, at(family, place)) for place in PLACES]
        ratios.append([error / told for error, told in each])
        largest = max(largest, *(told for _, told in each))
    assert largest < 0.3  # at a corner, where few walkers tell little of what polynomials lack
    assert np.sqrt(np.mean(np.square(ratios))) < 1.6


@pytest.mark.parametrize("case", ["constants", "a reaction"])
def test_the_correction_for_the_time_steps_adds_little_noise(by_walkers, case: str):
    """Where time steps leave 1e-3 and less, what corrects for them is noise.

    Root mean square errors over seeds, corrected and not, at the middle and both ends.
    """
    errors = []
    for family in (by_walkers(case, seed) for seed in range(SEEDS)):
        equations = family.equations
        plain = replace(family, equations=replace(equations, weights=equations.by_degree[equations.index]))
        errors.append([[off(one, CASES[case][1], at(family, place))[0] for place in (-1.0, 0.0, 1.0)]
                       for one in (family, plain)])  # fmt: skip
    corrected, uncorrected = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (corrected < 1.5 * uncorrected).all(), (corrected, uncorrected)


def moments(exact: Exact, family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the exact family at Gauss's points, by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    ends = family.equations.ranges.ends
    names, count = list(ends), len(ends)
    places = np.array(list(itertools.product(nodes, repeat=count)))
    law = np.array([np.prod(part) for part in itertools.product(weights / 2, repeat=count)])
    values = {name: (low + (high - low) * (places[:, names.index(name)] + 1) / 2) for name, (low, high) in ends.items()}
    u = exact(POINTS, **values)
    mean = u @ law
    return mean, np.sqrt((u - mean[:, None]) ** 2 @ law)


@pytest.mark.parametrize("case", ["constants", "laminates"])
def test_moments_and_sensitivities_by_walkers(by_walkers, case: str):
    """Root mean squares over seeds, over the L2 norm of the mean: told errors are 2 % for 6000 walkers a node."""
    exact, step, errors = CASES[case][1], 1e-6, []
    for family in (by_walkers(case, seed) for seed in range(SEEDS)):
        name, values = family.equations.ranges.names[0], at(family, 0.2)
        (up, down) = (exact(POINTS[:, 0], **{**values, name: values[name] + move}) for move in (step, -step))
        mean, deviation = moments(exact, family)
        off_by = (
            family.mean(POINTS) - mean,
            family.standard_deviation(POINTS) - deviation,
            family.sensitivity(POINTS, name, **values) - (up - down) / (2 * step),
        )
        errors.append([np.sqrt(SHARES @ part**2) / np.sqrt(SHARES @ mean**2) for part in off_by])
    of_mean, of_deviation, of_slope = np.sqrt(np.mean(np.square(errors), axis=0))
    assert of_mean < 0.02
    assert of_deviation < 0.03
    assert of_slope < 0.25


def test_halves_have_no_noise_in_common(by_walkers):
    """-u'' + c u = (pi^2 + c) sin(pi x1) has the solution sin(pi x1) for all c: what varies with c is noise.

    What both halves have alike to the bit, but for zeros, makes the told variance too large.
    """
    for seed in range(SEEDS):
        one, other = (half[:, 1:] for half in by_walkers("all alike", seed).equations.halves)
        assert not ((one == other) & (one != 0)).any(), seed


def test_products_of_halves_have_the_variance_of_the_law_without_that_of_the_walkers(kernels: Path, drops: Family):
    """Halves with noise of their own, four times the deviation, 400 times: the products' mean is the variance."""
    random, equations = np.random.default_rng(0), drops.equations
    x = np.array([[0.3], [0.6]])
    exact = drops.standard_deviation(x) ** 2
    noise = np.zeros((400, 2, *equations.weights.shape))
    noise[:, :, 0, 1] = 0.3 * random.standard_normal((400, 2))
    products, naive = [], []
    for moved in noise:
        one, other = (drops._coefficients(x, half + move) for half, move in zip(equations.halves, moved, strict=True))
        products.append((one[..., 1:] * other[..., 1:]).sum(-1))
        naive.append((((one + other) / 2)[..., 1:] ** 2).sum(-1))
    error = np.std(products, axis=0) / np.sqrt(400)
    assert (np.abs(np.mean(products, 0) - exact) < 4 * error).all()
    assert (np.mean(naive, 0) > 2 * exact).all()


# ---------------------------------------------------------------------------------- resumed


def test_a_family_that_is_taken_up_by_another_process_has_the_same_bits(kernels: Path):
    """Within the second round of nodes."""
    solves, until = FamilySolves(problem_of(CASES["a reaction"][0]), STEPS, kernels), 17
    whole, begun, after = solves.solved(3), solves.begun(3), solves.begun(3)
    for iteration in range(until):
        begun.step(iteration)
    after.load_state(begun.state())
    for iteration in range(until, solves.batches):
        after.step(iteration)
    for name, array in whole.equations().arrays().items():
        np.testing.assert_array_equal(after.equations().arrays()[name], array)
    assert whole.metrics() == after.metrics()


def test_what_a_family_leaves_is_read_back(by_walkers):
    family = by_walkers("a reaction", 0)
    again = FamilyEquations.of(family.equations.ranges, family.equations.arrays())
    twin = replace(family, equations=again)
    x = X[:, None]
    np.testing.assert_array_equal(family(x, c=3.0), twin(x, c=3.0))
    np.testing.assert_array_equal(family.standard_deviation(x), twin.standard_deviation(x))
    assert family.error(c=3.0) == twin.error(c=3.0)
