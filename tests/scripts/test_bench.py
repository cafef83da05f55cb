"""The benchmark's plain torch does what homog does, and its sections run."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import eager, limit
from benchmarks.cases import case
from benchmarks.table import Row, Section, markdown
from pages import rewrite
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from homog.config import DFLM
from homog.fields.splines import interpolate
from homog.losses import DFLMLoss
from homog.losses.lagged import lagged_spline
from homog.walkers import Scheme, Walkers, stream_key

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("problem", "tolerance"),
    [("linear eps=0.05", 2e-5), ("cube eps=0.1", 2e-5), ("nonlinear eps=0.05", 1e-4), ("random_field", 0.05)],
)
def test_plain_torch_has_the_medium_of_the_problem(problem, tolerance):
    """To single precision; what is read linearly from a table misses the slopes of a field by 3 percent."""
    solved = case(*f"problem={problem}".split()).problem
    points = np.random.default_rng(0).random((10_000, solved.dimension))
    solution = None
    if solved.operator.nonlinear:
        values = _bump(torch.from_numpy(solved.domain.grid(257))).numpy()
        solution = interpolate(values, solved.domain.lower, solved.domain.upper)
    rate = solved.process.reward_at(points, solution)
    drift_found, rate_found = eager.medium(solved, _bump)(torch.from_numpy(points).float())
    for found, exact in ((drift_found, solved.process.drift_at(points, solution)), (rate_found, rate)):
        assert np.linalg.norm(found.double().numpy() - exact) < tolerance * np.linalg.norm(exact)


def _bump(x: torch.Tensor) -> torch.Tensor:
    """A u of the size of the nonlinear problem's."""
    return 1.5 * torch.sin(torch.pi * x).prod(-1)


@pytest.mark.parametrize(("martingale", "step"), [("drift", "euler"), ("drift", "heun"), ("girsanov", "euler")])
def test_plain_torch_walks_like_the_kernel(kernels, martingale, step):
    """Mean square displacement, reward and weight of 40,000 walkers each, within 4 sigma of the difference."""
    made = case("problem=linear", "eps=0.05", "timestep.macro_factor=1")
    points, per_point = 0.3 + 0.4 * np.random.default_rng(0).random((400, 2)), 100
    walk = Walkers(made.problem, Scheme(martingale, step, "bridge"), kernels).walk(
        points, per_point, made.steps, stream_key(0, 0)
    )
    torch.manual_seed(0)
    x = torch.from_numpy(points).float().repeat_interleave(per_point, dim=0)
    around = eager.medium(made.problem)
    walked = eager.walk(around, x, made.steps.micro_step, made.steps.count, martingale, step, "bridge")
    assert not walked.left.any()
    ours = (walk.displacement**2).sum(0), walk.reward, np.exp(walk.log_weight)
    theirs = ((walked.ends - x) ** 2).sum(1), walked.reward, walked.log_weight.exp()
    for one, other in zip(ours, theirs, strict=True):
        _agree(one.reshape(400, -1).astype(float), other.reshape(400, -1).double().numpy())


def _agree(one: np.ndarray, other: np.ndarray) -> None:
    """Means over walkers from the same points, within 4 sigma; shape (points, walkers)."""
    variance = (one.var(1) / one.shape[1] + other.var(1) / other.shape[1]).mean() / len(one)
    assert abs(one.mean() - other.mean()) <= 4 * math.sqrt(variance) + 1e-6 * abs(one.mean())


def test_the_weight_of_plain_torch_has_mean_one():
    """Exactly, in discrete time and with exits too; 4.5 sigma of 120,000 walkers."""
    made = case("problem=linear", "eps=0.05")
    torch.manual_seed(0)
    walked = eager.walk(
        eager.medium(made.problem), torch.rand(120_000, 2), made.steps.micro_step, 72, "girsanov", "euler", "clip"
    )
    weight = walked.log_weight.double().exp()
    assert walked.left.any()
    assert abs(weight.mean() - 1) < 4.5 * weight.std() / len(weight) ** 0.5


@pytest.mark.parametrize("preset", ["linear_0.05", "nonlinear_0.05", "random_field"])
def test_plain_torch_makes_the_same_targets(kernels, preset):
    """The recipe's plain targets of one network at the same points, homog's walkers and torch's: within 4 sigma."""
    made = case(f"experiment=paper/{preset}", "method.points=200", "method.walkers=100", "network.width=20")
    recipe = eager.EagerRecipe(made.settings, made.problem, made.steps.micro_step, made.steps.count)
    assert isinstance(made.settings.method, DFLM)
    solution = lagged_spline(recipe.network, made.problem.domain, 257) if made.problem.operator.nonlinear else None
    sample = DFLMLoss(made.settings.method, made.problem, made.steps, 0, kernels).sample(0, solution)
    walk = sample.walk
    starts = torch.from_numpy(sample.points).float()
    ends = starts[:, None] + torch.from_numpy(walk.displacement).permute(1, 2, 0)
    with torch.no_grad():
        reached = torch.where(torch.from_numpy(walk.left), 0.0, recipe.network(ends.reshape(-1, 2)).reshape(200, 100))
    ours = (reached.numpy() + walk.reward) * np.exp(walk.log_weight)
    _agree(ours.astype(float), recipe.targets(starts).double().numpy())


class _Devices(TorchDispatchMode):
    """Notes where the results of operations are, but for single numbers."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        self.seen |= {x.device.type for x in tree_leaves(found) if isinstance(x, torch.Tensor) and x.ndim}
        return found


@pytest.mark.parametrize("preset", ["linear_0.05", "nonlinear_0.05", "random_field"])
def test_plain_torch_draws_and_computes_all_on_its_device(preset):
    """On the device `meta`, where tensors have a shape and no values, and cannot be mixed with others."""
    made = case(f"experiment=paper/{preset}", "method.points=4", "method.walkers=2", "network.width=5")
    recipe = eager.EagerRecipe(made.settings, made.problem, made.steps.micro_step, 3, device=torch.device("meta"))
    recipe.iterate()  # carries the field's table there
    with _Devices() as devices:
        recipe.iterate()
    assert devices.seen == {"meta"}


def test_the_arithmetic_of_a_step_is_counted_from_its_source():
    problem = case("problem=linear", "eps=0.05").problem
    euler, heun = (limit.operations_a_step(problem, Scheme("drift", step, "bridge")) for step in ("euler", "heun"))
    girsanov = limit.operations_a_step(problem, Scheme("girsanov", "euler", "bridge"))
    assert 50 < euler < girsanov < heun < 2 * euler  # a Heun step visits the medium twice, and draws once
    # log D' = log D + (V.dB - |V|^2 dt / 2) costs 2 (*, -, *) + 1 + (/ and *) + 1; drift walkers add V dt: 2
    assert girsanov - euler == 8


def test_a_page_keeps_what_is_around_the_part_that_is_rewritten(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin: a.py -->\nold\n<!-- end: a.py -->\nafter\n")
    rewrite(page, "a.py", ["new"])
    assert page.read_text() == "before\n<!-- begin: a.py -->\n\nnew\n\n<!-- end: a.py -->\nafter\n"
    with pytest.raises(ValueError, match=r"no part between"):
        rewrite(page, "b.py", ["new"])


def test_a_section_that_failed_is_a_line_of_the_table():
    rows = [Row("ours", 12.3, "theirs", "1 s", 1.0, 3), Row("slow", 2.0, "ours", at_least=True)]
    lines = markdown([Section("good", "a title", rows, 1.0), Section("bad", "another", [], 1.0, "it broke")])
    assert len({line.count("|") for line in lines}) == 1
    assert any(line.startswith("| 12.3 | ours | theirs") for line in lines)
    assert any(line.startswith("| > 2 | slow") for line in lines)
    assert any("failed" in line and "it broke" in line for line in lines)


def test_make_bench_runs_quickly(kernels, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(kernels)
    kernels.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "scripts/bench.py", "--quick", "--section", "kernel", "--section", "startup"]
    page = (ROOT / "docs" / "performance.md").read_bytes()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "HOMOG_HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["walker_steps_per_second_per_core"] > 0
    assert found["ratio_to_eager_torch"] > 0
    assert done.stdout.splitlines()[2:] == [
        line for line in done.stdout.splitlines()[2:] if line.startswith(("|", "*")) or not line
    ]
    assert (ROOT / "docs" / "performance.md").read_bytes() == page
