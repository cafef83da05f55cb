"""homog-run as a user meets it: help, mistakes, and one real run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "homog"]


def homog_run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, "HOMOG_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_help_may_be_cut_short():
    """By `homog-run --help | head`: a reader that goes away is no error."""
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([*COMMAND, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_explains_itself_at_once(tmp_path: Path):
    start = time.process_time(), os.times().children_user
    result = homog_run("--help", home=tmp_path)
    seconds = os.times().children_user - start[1]
    assert result.returncode == 0
    for word in ("homog-run problem=linear eps=0.01", "timestep", "bounds, fixed, ratio", "paper/linear_0.05"):
        assert word in result.stdout
    assert seconds < 1
    assert not list(tmp_path.iterdir())


MISTAKES = [
    (["problem=lnear"], "did you mean linear"),
    (["problme=linear"], "did you mean problem"),
    (["epss=0.1"], "did you mean eps"),
    (["method.walkerz=3"], "did you mean walkers"),
    (["+method.wallkers=3"], "did you mean walkers"),
    (["eps=0"], "eps=0.0 is out of range"),
    (["resume=true"], "there is no unfinished run in"),
    (["eps=abc"], "could not be converted to Float"),
    (["timestep.m0=0.5"], "timestep.m0=0.5 is out of range"),
    (["evaluation.fine_scale=perhaps"], "evaluation.fine_scale"),
    (["evaluation.fine_scale_walkers=1"], "write a number from 2 to 65536"),
    (["timestep=fixed"], "timestep.micro_step must be given"),
    (
        ["budget=small"],
        "budget=small cuts nothing of method=energy: leave it out, or write it with method=deep_ritz, dflm",
    ),
    (["experiment=paper/linear_0.02"], "did you mean paper/linear_0.0"),
    (["problem.coefficient=__import__('os').system('touch hacked')"], "is not allowed"),
    (["problem.coefficient=1+sn(x1)"], "did you mean sin"),
    (["problem.coefficient=1+1.1*sin(2*pi*x1/eps)"], "is -0.1 at (x1="),
    (["problem.parameters.b=1"], "+problem.parameters.b="),
    (["=3"], "unknown"),
    (
        ["problem.domain.lower=[0,0,0]", "problem.domain.upper=[1,1,1]", "evaluation.grid=501"],
        "evaluation.grid=501 asks for 1e+08 points in 3D",
    ),
]


@pytest.mark.parametrize(("arguments", "told"), MISTAKES, ids=lambda v: v[0][:24] if isinstance(v, list) else "")
def test_a_mistake_gets_one_line_and_status_2(tmp_path: Path, arguments: list[str], told: str):
    result = homog_run(*arguments, home=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("homog-run: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert not Path("hacked").exists()
    assert not list(tmp_path.glob("runs/*"))  # nothing is left of a run that was not begun


def test_an_unwritable_output_folder_gets_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = homog_run(home=tmp_path / "file" / "outputs")
    assert result.returncode == 2
    assert "set HOMOG_HOME to a folder of yours" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_traceback_is_shown_on_request(tmp_path: Path):
    assert "Traceback" in homog_run("problem=lnear", home=tmp_path, HYDRA_FULL_ERROR="1").stderr


def test_cuda_without_a_gpu_is_told(tmp_path: Path):
    result = homog_run("device=cuda", home=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "device=cpu" in result.stderr


def test_a_formula_with_calls_reaches_the_configuration_as_it_is(tmp_path: Path):
    formula = "2+sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    result = homog_run(f"problem.coefficient={formula}", "--cfg", "job", home=tmp_path)
    assert f"coefficient: {formula}" in result.stdout


def test_a_run_that_runs_away_ends_in_one_line_and_status_2(home: Path):
    result = homog_run(
        "eps=0.1", "method=deep_ritz", "method.points=50", "optimizer.learning_rate=10", "optimizer.iterations=120",
        "evaluation.grid=21", "reference=homogenized", "tracking=off", home=home,
    )  # fmt: skip
    assert result.returncode == 2
    assert "homog-run: the training has run away: |u| is " in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(home.glob("runs/*/metrics.json"))


def test_one_real_run_with_its_reference_records_and_errors(home: Path):
    """eps = 0.1, shrunk. The floor of a homogenised answer is about 2e-2 there; the network must come near it."""
    result = homog_run(
        "eps=0.1", "method=dflm", "optimizer.iterations=300", "method.points=200", "method.walkers=16",
        "network.width=64", "evaluation.grid=101", "evaluation.every=100", "timestep.macro_factor=8", home=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder,) = (home / "runs").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["rel_l2_floor"] < metrics["rel_l2"] < 4e-2
    assert metrics["rel_l2_homogenized"] < 3e-2
    assert metrics["rel_l2_mean_coefficient"] == pytest.approx(0.115, abs=0.01)
    assert metrics["reference_error_estimate"] < 1e-3
    assert metrics["walker_steps"] == 300 * 200 * 16 * 8 * 72
    assert len(metrics["weights_sha256"]) == 64
    for key in ("wall_seconds", "train_seconds", "device"):
        assert metrics[key]
    assert f"{metrics['rel_l2']:.3e}" in result.stdout
    with np.load(folder / "solution.npz", allow_pickle=False) as solution:
        assert solution["network"].shape == (101, 101)

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    (recorded,) = client.search_runs([experiment.experiment_id])
    assert recorded.info.status == "FINISHED"
    assert recorded.data.metrics["rel_l2"] == pytest.approx(metrics["rel_l2"])
    assert recorded.data.params["method.walkers"] == "16"
    assert recorded.data.params["K"] == str(8 * 72)
    assert recorded.data.tags["command"].startswith("homog-run eps=0.1 method=dflm optimizer.iterations=300 ")
    assert [m.step for m in client.get_metric_history(recorded.info.run_id, "error")] == [100, 200, 300]
    assert {a.path for a in client.list_artifacts(recorded.info.run_id)} >= {
        "config.yaml",
        "metrics.json",
        "solution.png",
    }


def test_the_default_run_solves_once_and_knows_its_noise_and_the_effective_tensor(home: Path):
    """eps = 0.1, 33,000 walkers; three error bars, and 3e-3 of bias by the time steps."""
    result = homog_run(
        "eps=0.1", "method.points=1024", "optimizer.iterations=8", "network.count=6", "evaluation.grid=51",
        "reference=homogenized", "tracking=off", home=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder,) = (home / "runs").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    bar = metrics["rel_l2_standard_error"]
    assert metrics["rel_l2_homogenized"] < 3 * bar + 3e-3 < 0.1
    assert abs(metrics["effective_11"] - 0.8835143) < 4 * metrics["effective_11_standard_error"] + 1e-3
    assert metrics["walker_steps"] == 8 * 1024 * 4 * 4 * 72
    assert "a*_12" in result.stdout
    assert "the energy overestimates a*" in result.stdout
