"""`config.yaml` in a run's folder: read back to the same settings, by Python and by the command."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from homog.command import composition
from homog.config import RunSettings, stored
from homog.errors import UserError

CHOICES = [
    [],
    ["method=dflm", "problem=nonlinear", "seed=7", "checkpoint=null"],
    ["problem=random_field", "name='x: y, # z'"],
    ["problem=random_field", "problem/field=file", "problem.field.path=my a.npy", "problem.coefficient=exp(field)"],
    ["problem=random_field", "problem/field=gstools", "problem.coefficient=exp(field)", "tracking=off"],
    ["problem.time={end: 0.1, initial: sin(pi*x1)*sin(pi*x2), times: [0.02, 0.1]}", "problem.forcing=cos(20*t)"],
    ["problem.parameters={c: {from: 0.1, to: 0.9}, k: 2}", "problem.coefficient=k + c*sin(2*pi*x1/eps)"],
    ["problem=random_field", "problem/field=gstools", "problem.coefficient=exp(field)", "problem.field.samples=8"],
    ["+problem.parameters.c=1e-9", "problem.coefficient=1 + c*sin(2*pi*x1/eps)", "timestep.most_steps=1e10"],
    *([f"experiment={name}"] for name in composition.groups()["experiment"]),
]


def settings(*overrides: str) -> RunSettings:
    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        return composition.settings_of(compose("run", composition.as_hydra_reads(overrides)))


@pytest.mark.parametrize("overrides", CHOICES, ids=lambda overrides: " ".join(overrides) or "default")
def test_what_is_written_is_read(overrides: list[str]):
    known = settings(*overrides)
    assert stored.read(stored.text(known), "config.yaml") == known


@pytest.mark.parametrize("overrides", [CHOICES[1], CHOICES[3]], ids=["dflm", "field on file"])
def test_the_command_composes_it_again(overrides: list[str], tmp_path: Path):
    known = settings(*overrides)
    (tmp_path / "config.yaml").write_text(stored.text(known), encoding="utf-8")
    command = [sys.executable, "-m", "homog", "--config-dir", tmp_path, "--config-name", "config", "--cfg", "job"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout) == asdict(known)
    refused = subprocess.run([*command, "reference=homogenized"], cwd=tmp_path, capture_output=True, text=True)
    assert (refused.returncode, "reference.degree is unknown" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "[]", "seed: 1", "defaults: 3", "defaults: [run]\nproblem: {}", "defaults: [/schema/method/none]", "{"]
)
def test_what_names_no_kinds_is_refused_in_one_line(text: str):
    with pytest.raises(UserError, match="x does not name the kinds of its settings"):
        stored.read(text, "x")
