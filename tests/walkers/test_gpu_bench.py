"""The script for a machine with a GPU, as far as it can be seen without one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import test_walkers_cuda
import torch
from numba import cuda, types
from numba.cuda import dispatcher

from homog import losses
from homog.domains import Places
from homog.references import Reference, cache
from homog.timesteps.timestep import TimeSteps

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import gpu_bench
from gpu import assembly, checks, machine, recipe, runs
from gpu.findings import Deadline, Findings, shown

LOOP = """
        /*0000*/                   FADD.FTZ R0, R0, R1 ;
.L_x_3:
        /*0010*/                   IADD3 R30, R30, -0x1, RZ ;
.L_x_5:
{steps}
        /*0400*/               @P0 BRA P1, `(.L_x_5) ;
        /*0410*/                   MOV R3, R4 ;
        /*0420*/              @!P0 BRA `(.L_x_3) ;
.L_x_6:
        /*0430*/                   BRA `(.L_x_6);
"""
ONE_STEP = [
    "MUFU.SQRT R30, R30",
    *["FFMA.FTZ R1, R2, R3, R4"] * 12,
    "LOP3.LUT R1, R2, R3, RZ, 0x96, !PT",
    "FRND R1, R2",
]


def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_bench.main(["--home", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("gpu_bench: walkers on a GPU need")
    assert not (tmp_path / "out").exists()


def test_pack_copies_sound_references_and_names_the_missing_ones(tmp_path: Path, capsys):
    home, target = tmp_path / "home", tmp_path / "target"
    energy, preset = runs.RUNS[0], next(run for run in runs.RUNS if run.name == "paper/linear_0.05")
    axis = np.linspace(0, 1, 5)
    found = Reference(Places(axes=(axis, axis)), np.ones((5, 5)), None, None, None, 1.0, 1e-4, 25, 1.0, ())
    settings = energy.settings
    problem = runs.equation.build(settings.problem, settings.eps)
    path, question = cache.entry(
        problem, settings.reference, settings.evaluation.count(problem.dimension), home / "cache"
    )
    cache.fetch(path, question, lambda: found)
    damaged, _ = preset.reference(home)
    damaged.write_bytes(b"not a reference")
    assert not runs.pack(home, target, (energy, preset))
    said = capsys.readouterr().out
    assert "MISSING: homog-run experiment=paper/linear_0.05" in said
    assert "1 references" in said
    copies = [file for file in target.rglob("*") if file.is_file()]
    assert [copy.relative_to(target) for copy in copies] == [path.relative_to(home)]
    assert energy.reference(target) == (copies[0], True)


@pytest.mark.parametrize(("case", "special"), [("linear, weighed", 2), ("linear", 3)])
def test_a_step_is_counted_in_ptx(kernels: Path, monkeypatch: pytest.MonkeyPatch, case: str, special: int):
    """A step takes one root and one quotient; Heun's, which looks at the medium twice, two quotients."""
    from homog.walkers import cuda_rounding  # noqa: F401

    code = test_walkers_cuda.hopper_code(test_walkers_cuda.CASES[case], kernels, monkeypatch)
    step = assembly.count_step(code, 2)
    assert step.language == "ptx"
    assert step.kinds["special"] == special
    assert step.instructions == sum(step.kinds.values())
    assert 100 < step.instructions < 220
    assert step.kinds["float"] > 0.6 * step.instructions
    assert "memory" not in step.kinds


@pytest.mark.parametrize("unrolled", [1, 4])
def test_a_step_is_counted_in_machine_code_unrolled_or_not(unrolled: int):
    lines = [f"        /*{16 * i + 32:04x}*/              @!P0 {line} ;" for i, line in enumerate(ONE_STEP * unrolled)]
    step = assembly.count_step(LOOP.format(steps="\n".join(lines)), 2)
    assert step.language == "sass"
    assert step.instructions == len(ONE_STEP) + 1 / unrolled  # of the branch each step has its part
    assert step.kinds == {"special": 1, "float": 12, "integer": 1, "conversion": 1, "control": 1 / unrolled}
    with pytest.raises(ValueError, match="no loop"):
        assembly.count_step(LOOP.format(steps=""), 2)


def test_the_kernel_of_multiply_adds_has_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    signature = types.void(types.float32[::1], types.float32, types.int32)
    code = cuda.compile_ptx(machine.fma_kernel().py_func, signature, cc=(9, 0))[0]
    loop = max(assembly.loops(code), key=len)  # beside what is left when it is unrolled
    fmas = [operation for operation in loop if operation.startswith("fma.rn")]
    assert len(fmas) % machine.FMAS_A_TURN == 0
    assert len(loop) < 1.15 * len(fmas)
    assert not any("f64" in operation for operation in loop)


def test_the_comparison_sees_what_parted_and_how_far_the_others_are():
    random = np.random.default_rng(0)
    one: dict[str, Any] = {name: random.normal(size=(2, 50, 4)) for name in ("displacement", "brownian")}
    one |= {name: random.normal(size=(50, 4)) for name in ("reward", "log_weight")}
    one |= {"left": np.zeros((50, 4), dtype=bool), "duration": np.full((50, 4), 0.1)}
    other = {name: array.copy() for name, array in one.items()}
    other["left"][3, 1] = True
    other["duration"][7, 0] -= 0.01
    other["displacement"][:, 3, 1] = 9.0
    other["reward"] *= 1 + 1e-3
    found = checks.compare(other, one, 0.01)
    assert found["parted"] == pytest.approx(2 / 200)
    assert found["displacement"] == found["brownian"] == found["log_weight"] == 0
    assert found["reward"] == pytest.approx(1e-3)


def test_it_imports_nothing_that_the_machine_with_a_gpu_may_lack():
    """docs/gpu.md names what is carried there, and what is not."""
    scripts = Path(gpu_bench.__file__).parent
    lacked = "dolfinx, mpi4py, petsc4py, mlflow, gstools, beartype"
    command = f"import sys; sys.modules |= dict.fromkeys({lacked.split(', ')}); import gpu_bench"  # None: cannot import
    paths = os.pathsep.join([str(scripts), str(scripts.parent)])
    subprocess.run([sys.executable, "-c", command], check=True, env={**os.environ, "PYTHONPATH": paths})


def test_recipes_are_timed_until_no_time_is_left(kernels: Path, monkeypatch: pytest.MonkeyPatch):
    tiny = "method.points=4", "method.walkers=2", "method.boundary_points=4", "network.width=5"
    monkeypatch.setattr(recipe, "CASES", {name: (*given, *tiny) for name, given in recipe.CASES.items()})
    monkeypatch.setattr(recipe, "_MOST", 2)
    cpu = torch.device("cpu")
    found = recipe.measure(kernels, Deadline.after(3600), cpu)
    assert not found.failed, found.traces
    assert [row[0] for row in found.rows] == list(recipe.CASES)
    for _, ratio, own, _, eager, _ in found.rows:
        assert ratio == pytest.approx(own / eager)
    assert [row[3] for row in recipe.measure(kernels, Deadline.after(0), cpu).rows] == ["no time was left"] * 4


def test_tables_are_written_as_they_are_shown():
    found = Findings("Steps", ["what", "share"], [["a", 0.512345], ["b", None], ["c", 2.6e11]], ["Noted."], ["d broke"])
    assert "| a | 0.512 |" in found.markdown()
    assert "FAILED: d broke" in found.text()
    assert [shown(value) for value in (None, 0, 3.0e-5, 1234.5, True, "x")] == [
        "-",
        "0",
        "3.00e-05",
        "1234",
        "yes",
        "x",
    ]
    assert json.dumps(found.rows)
    assert Deadline.after(-1).left == 0


@pytest.mark.parametrize("name", checks.TRAINED)
def test_what_is_trained_without_waiting_is_captured_on_a_gpu(name: str, kernels: Path, monkeypatch):
    settings = runs.Run(name, checks.TRAINED[name], 1).settings
    problem = runs.equation.build(settings.problem, settings.eps)
    assert problem.operator.nonlinear == ("nonlinear" in name)
    loss = losses.build(settings.method, problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
    monkeypatch.setattr(loss, "_device", torch.device("cuda"))
    assert isinstance(loss, losses.WalkingLoss)
    assert loss.capturable
