"""Every preset composes and runs, shrunk: three iterations of few walkers with a small network, all at one eps.

One eps lets presets share references and kernels; `tests/command/test_composition.py` has the published values.
"""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from homog.command import composition
from homog.run import answer, runner

PRESETS = composition.groups()["experiment"]
SHRUNK = [
    "eps=0.05",
    "optimizer.iterations=3", "method.points=20", "evaluation.grid=21",
    "evaluation.every=1", "tracking=off",
]  # fmt: skip
NETWORK = ["network.depth=2", "network.width=8"]
WALKERS = ["method.walkers=2", "method.boundary_points=10"]
OTHERS = {  # what is shrunk where the preset's name has this word
    "pinn": NETWORK,
    "energy_adam": [*NETWORK, "method.walkers=2", "optimizer.last_layer=2"],
    "interior_layer": ["network.depth=1", "network.width=6", "method.walkers=2", "optimizer.steps=2"],
    "natural_gradient": ["network.depth=1", "network.width=6", "method.walkers=2", "optimizer.steps=2"],
    "dimensions": ["network.count=2", "evaluation.points=64", "method.walkers=2"],
    "reaction_diffusion": ["network.count=3", "method.walkers=2"],
    "mixed_walls": ["network.count=3", "method.walkers=2"],
    "anisotropic": ["network.count=3", "method.walkers=2"],
    "cellular_flow": ["network.count=3", "method.walkers=2"],
    "channel": ["network.count=3", "method.walkers=2"],
    "drift": ["network.count=3", "method.walkers=2"],
    "dflm_galerkin": ["network.count=3", "method.walkers=2"],
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs(preset: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answer, "checked", lambda network, plan, walker_steps: None)  # at least 1e8 steps each
    if "dimensions" in preset:  # 1e9 steps each
        monkeypatch.setattr(answer, "effective_tensor_by_walkers", lambda problem, seed, cache: None)
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        walkers = next((more for word, more in OTHERS.items() if word in preset), NETWORK + WALKERS)
        own = any(word in preset for word in ("dimensions", "layer", "channel", "drift"))
        reference = [] if own else ["reference=homogenized"]
        composed = compose("run", [f"experiment={preset}", *SHRUNK, *reference, *walkers])
        settings = composition.settings_of(composed)
    runner.run(settings, tmp_path, shared)  # presets share references and kernels
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["iterations"] == settings.optimizer.all_iterations <= 5
    assert metrics["rel_l2_homogenized"] > 0
    assert (tmp_path / "solution.png").stat().st_size > 10_000


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_opens_with_its_command_and_says_what_was_measured(preset: str):
    head = (composition.conf_folder() / "experiment" / f"{preset}.yaml").read_text().split("defaults:")[0]
    assert f"experiment={preset}" in head.splitlines()[1]
    assert "measured" in head.lower() or "not run" in head.lower()


def test_the_small_budget_changes_sample_sizes_and_estimators_alone():
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        full, small = (
            composition.settings_of(compose("run", ["experiment=paper/linear_0.05", *budget]))
            for budget in ([], ["budget=small"])
        )
    assert small.timestep == full.timestep
    assert small.network == full.network
    assert small.optimizer == full.optimizer
    assert (small.method.walkers, small.method.points) == (16, 400)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.slow  # five minutes on two idle cores
@pytest.mark.parametrize("eps", [0.05, 0.01])
def test_dflm_solves_the_papers_nonlinear_problem_with_its_defaults(eps: float, shared: Path, tmp_path: Path):
    """In the uniform measure it runs away at eps = 0.01; the error is to u_eps by finite elements."""
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        composed = compose("run", ["method=dflm", "problem=nonlinear", f"eps={eps}", "tracking=off"])
        settings = composition.settings_of(composed)
    runner.run(settings, tmp_path, shared)
    assert json.loads((tmp_path / "metrics.json").read_text())["rel_l2"] < 2e-2
