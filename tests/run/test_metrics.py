"""Every number of a run stands in the one list, and in the document."""

import json
import re
from pathlib import Path

import pytest

from homog import config
from homog.config import FormulaProblem, RunSettings
from homog.run import runner
from homog.run.metrics import METRICS

ROOT = Path(__file__).parents[2]
NAMES = {metric.name for metric in METRICS}


def general(name: str) -> str:
    name = re.sub(r"^(effective|cell_problem)_\d\d", r"\1_ij", name)
    return re.sub(
        r"^(principal_value|tortuosity)_\d", r"\1_i", re.sub(r"^share_of_(phase_)?\d.*", "share_of_phase_v", name)
    )


@pytest.mark.parametrize("coefficient", ["2 + sin(2*pi*x1/eps)", "2 + u**2"])
def test_a_run_has_no_number_that_the_list_lacks(coefficient: str, home: Path, tmp_path: Path):
    line = config.DomainSettings(lower=[0.0], upper=[1.0])
    problem = FormulaProblem(name="p", coefficient=coefficient, forcing="1", domain=line)
    settings = RunSettings.of(
        problem,
        eps=0.1,
        optimizer=config.Galerkin(iterations=8),
        evaluation=config.EvaluationSettings(grid=41, fine_scale=True, fine_scale_walkers=8),
        tracking=config.NoTracking(),
    )
    runner.run(settings, tmp_path / "run", home)
    final = json.loads((tmp_path / "run" / "metrics.json").read_text())
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    during = {name for entry in map(json.loads, lines) for name in entry["metrics"]}
    assert {general(name) for name in {*final, *during}} <= NAMES
    assert {"rel_l2", "fine_scale_standard_error", "weights_sha256"} <= set(final)


def test_a_tensor_has_no_number_that_the_list_lacks(home: Path, tmp_path: Path):
    line, field = config.DomainSettings(lower=[0.0], upper=[1.0]), config.CompositeField(radius=0.2, inclusion=4.0)
    problem = config.FieldProblem(name="p", coefficient="field", forcing="1", domain=line, field=field)
    settings = RunSettings.of(problem, eps=0.1, task="effective_tensor", tracking=config.NoTracking())
    runner.run(settings, tmp_path / "run", home)
    final = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {general(name) for name in final} <= NAMES
    assert final["cell_problem_11"] == pytest.approx(1 / (0.4 / 4 + 0.6), rel=1e-3)


def test_the_document_has_each_line_of_the_list():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in page if line.startswith("| `")]
    assert rows == [f"| `{metric.name}` | {metric.what} | {metric.unit} |" for metric in METRICS]
    assert len(NAMES) == len(METRICS)
