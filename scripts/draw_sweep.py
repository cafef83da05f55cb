"""Draw Fig. 2 or Fig. 3 of the paper from the finished runs of its sweep, as MLflow has them.

    homog-run -m experiment=paper/figure2
    python scripts/draw_sweep.py 2

Shown is the newest sweep with that preset, including the runs that it found finished before. `--sweep` takes the id
of another one, or of several, to be shown together.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from homog.machine.home import home
from homog.plots import SweepLabels, SweepLine, sweep_figure
from homog.timesteps.timestep import count_bound, micro_bound

if TYPE_CHECKING:
    from mlflow.entities import Run

# What may differ between the runs of one figure; the time steps follow from the ratio and from eps.
_FREE = ("eps", "seed", "dt", "Dt", "K", "name", "force", "timestep.", "tracking.")


def find_sweep(client: MlflowClient, experiment_id: str, figure: int) -> str:
    """The id of the newest sweep with the preset of a figure that has ended.

    Raises:
        SystemExit: If there is none.
    """
    preset = f"paper/figure{figure}"
    query = f"tags.experiment = '{preset}'"
    found = client.search_runs([experiment_id], query, order_by=["attributes.start_time DESC"], max_results=1)
    if not found:
        sys.exit(f"no sweep of this figure is recorded: homog-run -m experiment={preset}")
    return found[0].info.run_id


def finished_runs(client: MlflowClient, experiment_id: str, sweep_id: str) -> "list[Run]":
    """The runs of a sweep that ended well: its children, and those named in its table as finished before."""
    query = f"tags.`mlflow.parentRunId` = '{sweep_id}' and attributes.status = 'FINISHED'"
    runs = {run.info.run_id: run for run in client.search_runs([experiment_id], query, max_results=50_000)}
    for run_id in _skipped(client, sweep_id):
        if run_id not in runs:
            try:
                runs[run_id] = client.get_run(run_id)
            except MlflowException:
                print(f"left out: run {run_id}, which MLflow does not have any more", file=sys.stderr)
    return list(runs.values())


def _skipped(client: MlflowClient, sweep_id: str) -> list[str]:
    if "sweep.csv" not in {file.path for file in client.list_artifacts(sweep_id)}:
        return []  # the sweep goes on, or was killed
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(sweep_id, "sweep.csv", folder)).read_text()
    rows = csv.DictReader(text.splitlines())
    return [row["run_id"] for row in rows if row["status"] == "skipped" and row["run_id"]]


def require_comparable(runs: "Sequence[Run]") -> None:
    """Refuse to show runs in one figure that differ in more than eps, the seed and the time steps.

    Raises:
        SystemExit: If they do.
    """
    values = defaultdict(set)
    for key in {key for run in runs for key in run.data.params if not _is_free(key)}:
        values[key] = {run.data.params.get(key) for run in runs}
    for key, found in sorted(values.items()):
        if len(found) > 1:
            sys.exit(f"these runs differ in {key} ({', '.join(map(str, found))}): give --sweep others")


def _is_free(key: str) -> bool:
    return any(key == free or (free.endswith(".") and key.startswith(free)) for free in _FREE)


def measured(runs: "Iterable[Run]", figure: int, error: str) -> list[SweepLine]:
    """One line for each eps; of runs that were repeated, the newest."""
    newest: dict[tuple[float, int, str], Run] = {}
    for run in sorted(runs, key=lambda run: run.info.start_time):
        newest[float(run.data.params["eps"]), int(run.data.params["K"]), run.data.params["seed"]] = run
    lines = []
    for eps in sorted({eps for eps, _, _ in newest}, reverse=True):
        own = [(count, run) for (its_eps, count, _), run in newest.items() if its_eps == eps]
        trials: dict[float, list[float]] = defaultdict(list)
        for count, run in own:
            trials[1 / count if figure == 2 else count].append(run.data.metrics[error])
        ratios = sorted(trials)
        floors = {run.data.metrics.get("rel_l2_floor") for _, run in own}
        floor = floors.pop() if len(floors) == 1 and error == "rel_l2" else None
        errors = [np.array(trials[ratio]) for ratio in ratios]
        band = _band(eps, own[0][1]) if figure == 2 else None
        lines.append(SweepLine(rf"$\varepsilon = {eps:g}$", np.array(ratios), errors, band, floor))
    return lines


def _band(eps: float, run: "Run") -> tuple[float, float]:
    macro_step = float(run.data.params["Dt"])
    low, high = (micro_bound(eps, m0, _dimension(run)) / macro_step for m0 in (20, 10))
    return low, high


def _dimension(run: "Run") -> int:
    return len(json.loads(run.data.params["problem.domain.lower"]))


def labels(figure: int, run: "Run", error: str) -> SweepLabels:
    """What is written around the lines."""
    against = "u_\\varepsilon" if error == "rel_l2" else "u_0"
    name = f"relative $L^2$ error against ${against}$, mean $\\pm$ standard deviation"
    if figure == 2:
        title = f"the micro step, at $\\Delta t = {float(run.data.params['Dt']):g}$ (Fig. 2)"
        band = r"$\overline{\delta t}(20; \varepsilon)$ to $\overline{\delta t}(10; \varepsilon)$"
        return SweepLabels(title, r"$\delta t / \Delta t$", name, band)
    m0 = float(run.data.params["timestep.m0"])
    bound = count_bound(m0, _dimension(run))
    title = rf"the macro step, at $\delta t = \overline{{\delta t}}({m0:g}; \varepsilon)$ (Fig. 3)"
    return SweepLabels(title, r"$\Delta t / \delta t$", name, mark=(bound, f"$K_0 = {bound:g}$"))


def main() -> None:
    """Read, draw and say where the figure lies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", type=int, choices=(2, 3), help="number of the figure in the paper")
    parser.add_argument("--sweep", action="append", metavar="RUN_ID", help="of a sweep in MLflow; may be repeated")
    parser.add_argument("--uri", help="of an MLflow server (default: the store in HOMOG_HOME)")
    parser.add_argument("--experiment", default="homog", help="in MLflow (default: homog)")
    parser.add_argument("--output", type=Path, help="of the figure (default: HOMOG_HOME/figures/figure<N>.png)")
    given = parser.parse_args()
    store = home() / "mlflow.db"
    if given.uri is None and not store.is_file():
        sys.exit(f"no runs are recorded yet: there is no {store}")
    client = MlflowClient(given.uri or f"sqlite:///{store}")
    experiment = client.get_experiment_by_name(given.experiment)
    if experiment is None:
        sys.exit(f"MLflow has no experiment {given.experiment}")
    sweeps = given.sweep or [find_sweep(client, experiment.experiment_id, given.figure)]
    runs = [run for sweep in sweeps for run in finished_runs(client, experiment.experiment_id, sweep)]
    if not runs:
        sys.exit(f"no run of {', '.join(sweeps)} is finished")
    require_comparable(runs)
    error = "rel_l2" if all("rel_l2" in run.data.metrics for run in runs) else "rel_l2_homogenized"
    path = given.output or home() / "figures" / f"figure{given.figure}.png"
    sweep_figure(measured(runs, given.figure, error), labels(given.figure, runs[0], error), path)
    print(f"{len(runs)} runs: {path}")


if __name__ == "__main__":
    main()
