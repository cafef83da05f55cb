"""Runs that end with the effective tensor, and runs over media that jump or have holes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PLATE = "problem=composite", "problem.field.radius=0.35", "problem.field.inclusion=0"


def homog_run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from homog.command.cli import main; main()", "tracking=off"]
    surroundings = {**os.environ, "HOMOG_HOME": str(home)}
    return subprocess.run(
        [*command, f"hydra.run.dir={home}/run", *arguments], env=surroundings, capture_output=True, text=True
    )


def run(home: Path, *arguments: str) -> dict[str, Any]:
    ended = homog_run(home, *arguments)
    assert ended.returncode == 0, ended.stderr
    return {**json.loads((home / "run" / "metrics.json").read_text()), "told": ended.stdout}


def test_from_a_picture_to_its_tensor(home: Path, tmp_path: Path):
    """Vertical stripes, three of ten to one of 1: layers across x1."""
    stripes = np.tile((np.arange(40) % 10 < 3).astype(np.uint8) * 255, (40, 1))
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    path = f"problem.field.path={tmp_path / 'stripes.png'}"
    values = "problem.field.values={0: 1, 255: 10}"
    found = run(home, "problem=image", path, values, "task=effective_tensor")
    across, along = 1 / (0.3 / 10 + 0.7), 0.3 * 10 + 0.7
    assert found["cell_problem_11"] == pytest.approx(across, rel=1e-6)
    assert found["cell_problem_22"] == pytest.approx(along, rel=1e-6)
    assert (found["reuss"], found["voigt"]) == (pytest.approx(across), pytest.approx(along))
    for axis, exact in ((11, across), (22, along)):
        width = 2.05 * found[f"effective_{axis}_standard_error"] + found[f"effective_{axis}_bias"]
        assert abs(found[f"effective_{axis}"] - exact) < 1.5 * width < 0.1 * exact
    assert found["share_of_10"] == pytest.approx(0.3)
    assert (home / "run" / "tensor.png").stat().st_size > 10_000
    assert "principal value" in found["told"]


def test_a_flow_that_stirs_has_a_tensor_without_an_upper_bound(home: Path):
    """A shear: 1 + Pe^2 / (8 pi^2) along it."""
    flow = "problem.coefficient=1", "problem.velocity=['20/eps*sin(2*pi*x2/eps)', 0]", "problem.parameters={}"
    found = run(home, *flow, "task=effective_tensor", "eps=0.1")
    exact = 1 + 400 / (8 * np.pi**2)
    assert found["cell_problem_11"] == pytest.approx(exact, rel=1e-9)
    assert found["cell_problem_22"] == pytest.approx(1, rel=1e-9)
    width = 2.05 * found["effective_11_standard_error"] + found["effective_11_bias"]
    assert abs(found["effective_11"] - exact) < 2 * width < 0.1 * exact
    assert found["reuss"] == pytest.approx(1)
    assert "voigt" not in found
    assert "Voigt" not in found["told"]
    assert "b.grad u = f in 2D, a = 1, b = (20/eps*sin(2*pi*x2/eps), 0)," in found["told"]


@pytest.mark.slow
def test_a_medium_with_holes_has_a_tortuosity(home: Path):
    """0.441495 by Perrins, McKenzie and McPhedran (1979): (1 - pi 0.35^2) / 0.441495 = 1.3934."""
    found = run(home, *PLATE, "task=effective_tensor")
    assert found["tortuosity_1"] == pytest.approx(1.3934, rel=5e-3)
    width = 2.05 * found["effective_11_standard_error"] + found["effective_11_bias"]
    assert abs(found["effective_11"] - 0.441495) < 2 * width < 0.05


@pytest.mark.slow
def test_discs_at_a_small_scale_are_solved_within_their_budget(home: Path):
    found = run(home, "problem=composite", "eps=1e-4", "reference=homogenized", "evaluation.grid=101")
    assert found["rel_l2_homogenized"] < min(0.04, 2.5 * found["rel_l2_smooth_error_estimate"])
    assert found["rel_l2_smooth_error_estimate"] < 0.06


def test_a_perforated_plate_is_solved(home: Path, tmp_path: Path):
    """Few walkers, and a hole of few voxels."""
    places = (np.arange(48) + 0.5) / 48 - 0.5
    np.save(tmp_path / "plate.npy", (places[:, None] ** 2 + places**2 > 0.35**2).astype(np.uint8))
    image = "problem=image", f"problem.field.path={tmp_path / 'plate.npy'}"
    few = "method.points=2048", "network.count=8", "evaluation.grid=51"
    found = run(home, *image, "eps=0.05", *few)
    assert found["rel_l2"] is None
    assert found["rel_l2_homogenized"] < min(0.06, 2.5 * found["rel_l2_smooth_error_estimate"])


@pytest.mark.parametrize(
    ("arguments", "way_out"),
    [
        (("problem.velocity=[1, 0]", "task=effective_tensor"), "another one has no effective tensor"),
        (("problem=composite", "method.step=heun"), "leave method.step and method.martingale out"),
        (("problem=composite", "method=pinn"), "asks for its slopes"),
        (("problem=composite", "problem.field.inclusion=0", "method=dflm"), "solved by method=energy"),
        (
            ("problem=composite", "timestep=fixed", "timestep.micro_step=1e-5", "timestep.macro_step=5e-5"),
            "multiple of 4",
        ),
        (("problem=nonlinear", "task=effective_tensor"), "a linear medium with a period"),
        (("problem=composite", "task=tensor"), "effective_tensor"),
        (("problem=composite", "task=effective_tensor", "target=0.01"), "leave resume and target out"),
        (
            ("problem=composite", "problem.field.count=6", "problem.field.samples=4", "method=dflm"),
            "problem.field.samples goes with the energy's matrix",
        ),
        (("problem=composite", "problem.field.samples=4", "task=effective_tensor"), "problem.field.count above 1"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments, way_out: str):
    ended = homog_run(tmp_path, *arguments)
    assert ended.returncode == 2
    assert way_out in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_mean_over_samples_of_a_random_composite_has_the_spread_between_them(home: Path):
    """Of each sample walkers and cell problem agree better than samples agree; discs are isotropic in the mean."""
    discs = "problem=composite", "problem.field.count=6", "problem.field.inclusion=20"
    found = run(home, *discs, "problem.field.samples=4", "task=effective_tensor")
    assert "means over samples" in found["told"]
    width = 3.182 * found["effective_11_standard_error"]
    assert abs(found["effective_11"] - found["cell_problem_11"]) < 0.3 * width
    assert found["cell_problem_11_spread"] == pytest.approx(2 * found["effective_11_standard_error"], rel=0.3)
