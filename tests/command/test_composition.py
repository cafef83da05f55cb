"""The real conf/: every choice and every preset composes, to the values that were published."""

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from paper import paper_dflm

from homog import config
from homog.command import composition
from homog.errors import UserError
from homog.timesteps.timestep import macro_bound, micro_bound, time_steps

OPTIONS = [(group, option) for group, options in composition.groups().items() for option in options]
NEEDED = {
    "problem/field": ["problem=random_field"],
    "file": ["problem.field.path=a.npy"],
    "image": ["problem.field.path=a.npy"],
    "fixed": ["timestep.micro_step=1.0e-5", "timestep.macro_step=1.0e-3"],
    "ratio": ["timestep.ratio=0.25", "timestep.macro_step=1.0e-3"],
    "server": ["tracking.uri=http://127.0.0.1:1"],
    "exact": ["reference.fine=x1"],
}


@pytest.fixture(autouse=True)
def hydra():
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        yield


def settings(*overrides: str) -> config.RunSettings:
    return composition.settings_of(compose("run", composition.as_hydra_reads(overrides)))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_composes(group: str, option: str):
    needed = [*NEEDED.get(group, []), *NEEDED.get(option, [])]
    assert isinstance(settings(f"{group}={option}", *needed), config.RunSettings)


def test_a_group_within_a_group_is_one_of_its_own():
    assert set(composition.groups()["problem/field"]) == {"composite", "file", "gstools", "image", "spectral"}
    assert not any("field/" in option for option in composition.groups()["problem"])
    problem = settings("problem=random_field", "problem/field=file", "problem.field.path=my (1).npy").problem
    assert isinstance(problem, config.FieldProblem)
    assert problem.field == config.FileField(path="my (1).npy", periodic=False)
    problem = settings("problem=random_field", "problem/field=gstools", "problem.coefficient=exp(field)").problem
    assert isinstance(problem, config.FieldProblem)
    assert (problem.coefficient, problem.field) == ("exp(field)", config.GSToolsField())


def test_mappings_have_keys_of_the_users_own():
    image = "problem=image", "problem.field.path=a.png"
    field = settings(*image, "problem.field.values={0: 1, 255: 100}").problem.field  # type: ignore[attr-defined]
    assert field == config.ImageField(path="a.png", values={0: 1.0, 255: 100.0}, period="eps")
    assert settings("problem.parameters={b: 2}", "problem.coefficient=b").problem.parameters == {"b": 2.0}


def test_steps_suit_the_medium():
    """Whether the formula may jump, or the field; what is chosen stays."""
    smooth, jumps = settings().method, settings("problem.coefficient=where(x1<0.5,1,2)").method
    assert (smooth.step, jumps.step) == ("heun", "metropolis")  # type: ignore[attr-defined]
    assert settings("problem=composite", "method=dflm").method.step == "metropolis"  # type: ignore[attr-defined]
    assert settings("problem=composite", "method.step=euler").method.step == "euler"  # type: ignore[attr-defined]
    assert settings("method=dflm", "method.martingale=girsanov").method.step == "euler"  # type: ignore[attr-defined]


def test_dflm_takes_fewer_walkers_and_iterations_where_they_read_u():
    """Whether the formula names u, not which problem it belongs to; what is chosen on the command line stays."""
    linear, nonlinear, formula, chosen = (
        sizes(settings("method=dflm", *more))
        for more in (
            ["problem=random_field", "problem.coefficient=exp(field) + mu", "+problem.parameters.mu=1"],
            ["problem=nonlinear"],
            ["problem.coefficient=2 + exp(-u**2)*sin(2*pi*x1/eps)"],
            ["problem=nonlinear", "optimizer.iterations=7", "method.walkers=3"],
        )
    )
    assert (linear, nonlinear, formula, chosen) == ((1500, 8), (1200, 2), (1200, 2), (7, 3))


def sizes(run: config.RunSettings) -> tuple[int, int]:
    assert isinstance(run.method, config.DFLM)
    return run.optimizer.iterations, run.method.walkers


@pytest.mark.parametrize(
    ("eps", "micro", "iterations", "rate"), [(0.05, 1.10e-5, 5000, 1e-4), (0.01, 4.42e-7, 15000, 7e-5)]
)
def test_the_papers_presets_hold_its_settings_to_the_letter(eps, micro, iterations, rate):
    run = settings(f"experiment=paper/linear_{eps}")
    assert run.eps == eps
    assert isinstance(run.problem, config.FormulaProblem)
    assert run.problem.coefficient == "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    assert (run.problem.forcing, run.problem.boundary) == ("10", "0")
    steps = time_steps(run.timestep, 2, run.eps)
    assert (steps.micro_step, steps.count, steps.warnings()) == (micro, 72, [])
    assert run.method == paper_dflm(exit="clip")
    assert run.network == config.MLP(depth=4, width=200, activation="relu", scale=None, spread=0.0)
    assert run.optimizer == config.AdamExponential(iterations=iterations, learning_rate=rate, gamma=0.85)
    assert run.evaluation.grid == 501


@pytest.mark.parametrize(
    ("preset", "network"),
    [
        ("pinn_mlp", config.MLP(depth=4, width=200, activation="tanh", scale=None, spread=0.0)),
        (
            "pinn_fourier",
            config.FourierMLP(depth=4, width=200, activation="tanh", scale=None, spread=0.0, features=200, sigma=30.0),
        ),
    ],
)
def test_the_papers_pinn_presets_hold_what_it_says_of_them(preset: str, network: config.MLP):
    run = settings(f"experiment=paper/{preset}")
    assert run.problem == settings("problem=linear").problem
    assert isinstance(run.method, config.PINN)
    assert (run.method.points, run.method.boundary_points) == (12000, 400)
    assert (run.method.boundary, run.method.weights) == ("penalty", "ntk")
    assert run.network == network
    assert run.optimizer.iterations == 500_000


def test_the_papers_preset_of_the_random_field_holds_its_settings_to_the_letter():
    run = settings("experiment=paper/random_field")
    assert isinstance(run.problem, config.FieldProblem)
    assert (run.problem.coefficient, run.problem.boundary) == ("field", "0")
    assert run.problem.forcing == "100*sin(4*pi*x1 + 6*pi*x2**2)"
    assert run.problem.field == config.SpectralField()
    steps = time_steps(run.timestep, 2, scale=0.0135)
    assert (steps.micro_step, steps.count, steps.warnings()) == (8.05e-7, 288, [])
    assert steps.macro_step == pytest.approx(macro_bound(2 * 0.0135, 2), rel=2e-3)
    assert run.method == paper_dflm(points=1600, walkers=600, exit="clip")
    assert run.network == config.MLP(depth=5, width=300, activation="relu", scale=None, spread=0.0)
    assert run.optimizer == config.AdamExponential(iterations=10_000, learning_rate=5e-4, gamma=0.8)
    assert run.evaluation.grid == 501


def test_the_scale_of_the_problem_enters_the_bounds_where_no_other_is_given():
    steps = time_steps(settings("eps=0.2").timestep, 2, scale=0.2)
    assert steps.micro_bound == pytest.approx(micro_bound(0.2, 12, 2))
    steps = time_steps(settings("eps=0.2", "timestep.eps=0.1").timestep, 2, scale=0.2)
    assert steps.micro_bound == pytest.approx(micro_bound(0.1, 12, 2))


@pytest.mark.parametrize("formula", ["2+sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "exp(x1) - 'x2'"])
def test_a_formula_comes_through_the_command_line_unchanged(formula: str):
    problem = settings(f"problem.coefficient={formula}").problem
    assert isinstance(problem, config.FormulaProblem)
    assert problem.coefficient == formula


def test_the_fine_scale_is_put_back_on_request():
    assert not settings().evaluation.fine_scale
    asked = settings("evaluation.fine_scale=true", "evaluation.fine_scale_walkers=64").evaluation
    assert (asked.fine_scale, asked.fine_scale_walkers, asked.fine_scale_macro_factor) == (True, 64, 0.5)


def test_a_parameter_of_ones_own():
    problem = settings("+problem.parameters.contrast=0.9").problem
    assert isinstance(problem, config.FormulaProblem)
    assert problem.parameters == {"contrast": 0.9}


@pytest.mark.parametrize(
    "override",
    ["+extra=1", "+method.extra=1", "method.step=heun method.martingale=girsanov", "optimizer.average=1 method=dflm",
     "network.spread=-1 method=dflm", "network.count=0", "optimizer.groups=1", "evaluation.every=0",
     "optimizer.last_layer=-1 method=dflm", "method.sampling=walkers", "evaluation.fine_scale_walkers=1",
     "evaluation.fine_scale_macro_factor=0", "reference.degree=9", "problem.domain.upper=[0,1]", "timestep.count=0",
     "seed=-1"],
)  # fmt: skip
def test_what_the_schema_refuses(override: str):
    with pytest.raises(UserError):
        settings(*override.split())


def test_a_run_folder_stays_in_its_place_whatever_the_name():
    name = composition._run_id("../../etc/passwd", 0.1)
    assert "/" not in name
    assert composition._run_id("a") != composition._run_id("a")


_PROBLEMS = {"problem/formula", "problem/field", "problem/drift"}  # whose files say more than their dataclasses
KINDS = {path: kind for path, kind in config.KINDS.items() if path not in _PROBLEMS}


@pytest.mark.parametrize("path", KINDS)
def test_each_kind_composes_to_the_defaults_of_its_dataclass(path: str):
    """`homog.DFLM()` is `method=dflm`: YAML has no second default."""
    group, _, option = path.rpartition("/")
    needed = [*NEEDED.get(group, []), *NEEDED.get(option, [])]
    given = {
        name.rpartition(".")[2]: yaml.safe_load(value) for name, _, value in (one.partition("=") for one in needed)
    }
    known = {name: value for name, value in given.items() if name in KINDS[path].__dataclass_fields__}
    found = settings(f"{group}={option}", *needed)
    for name in group.split("/"):
        found = getattr(found, name)
    expected = KINDS[path](**known)
    assert found == (
        expected.suited(nonlinear=False, jumps=False, dimension=2)
        if isinstance(expected, config.MethodSettings)
        else expected
    )


@pytest.mark.parametrize("nonlinear", [False, True])
@pytest.mark.parametrize("method", [path.rpartition("/")[2] for path in KINDS if path.startswith("method/")])
def test_what_is_not_chosen_is_what_suits_the_method(method: str, nonlinear: bool):
    found = settings(f"method={method}", *(["problem=nonlinear"] if nonlinear else []))
    assert (found.network, found.optimizer, found.timestep) == type(found.method).companions(nonlinear=nonlinear)
    chosen = settings(f"method={method}", "network=fourier", "timestep=bounds", "optimizer=adam_cosine")
    assert (chosen.network, chosen.optimizer) == (config.FourierMLP(), config.AdamCosine())
    assert chosen.timestep == config.BoundsTimeStep()


def test_a_run_without_any_choice_has_the_defaults_of_the_schema():
    found = settings()
    for name in ("eps", "device", "seed", "name", "force", "resume", "checkpoint"):
        assert getattr(found, name) == config.RunSettings.__dataclass_fields__[name].default
    assert found.evaluation == config.EvaluationSettings().suited(2)
