"""Write the table of docs/results.md: each of the paper's numbers beside the runs that MLflow has of it.

    python scripts/results.py              replaces the table in docs/results.md
    python scripts/results.py --print      prints it instead

A run belongs to a row by the command it was started with, whatever its seed. Of runs that were repeated with the same
seed the newest counts. What has no run is marked as not run.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
from mlflow.tracking import MlflowClient
from pages import ROOT, rewrite

from homog.machine.home import home

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = ROOT / "docs" / "results.md"
HEADER = (
    "| case | paper | command | seeds | error against u_eps, mean ± std | mean of the last tenth | with fine scale"
    " | against u_0 | u_0 against u_eps | u_mean | walker steps | training, s | device |"
)


@dataclass(frozen=True)
class Row:
    """One line of the table: what the paper calls the case, its error and our command without a seed."""

    case: str
    published: str
    command: str
    method: str = "DFLM"


_PRESETS = (
    ("linear, eps = 0.05 (Fig. 4)", "1.21e-2", "linear_0.05", "DFLM"),
    ("linear, eps = 0.01 (Fig. 4)", "1.38e-2", "linear_0.01", "DFLM"),
    ("nonlinear, eps = 0.05 (Fig. 5)", "1.04e-2", "nonlinear_0.05", "DFLM"),
    ("nonlinear, eps = 0.01 (Fig. 5)", "6.9e-3", "nonlinear_0.01", "DFLM"),
    ("random field (Fig. 6)", "7.21e-2", "random_field", "DFLM"),
    ("PINN, MLP (Fig. 4)", "does not converge", "pinn_mlp", "PINN"),
    ("PINN, Fourier features (Fig. 4)", "does not converge", "pinn_fourier", "PINN"),
)
_PROBLEMS = (
    ("linear, eps = 0.05", "1.21e-2", "problem=linear eps=0.05"),
    ("linear, eps = 0.01", "1.38e-2", "problem=linear eps=0.01"),
    ("linear, eps = 0.001", "", "problem=linear eps=0.001 reference=homogenized"),
    ("linear, eps = 0.0001", "", "problem=linear eps=0.0001 reference=homogenized"),
    ("nonlinear, eps = 0.05", "1.04e-2", "problem=nonlinear eps=0.05"),
    ("nonlinear, eps = 0.01", "6.9e-3", "problem=nonlinear eps=0.01"),
    ("random field", "7.21e-2", "problem=random_field"),
    ("random field, 22 x 22 cosines", "7.21e-2", "problem=random_field network=cosines network.count=22"),
    ("cube, eps = 0.1", "", "problem=cube eps=0.1 reference=homogenized evaluation.grid=41"),
)
_MORE = (
    ("linear, eps = 0.05, 8 x 8 polynomials", "1.21e-2", "problem=linear eps=0.05 network.count=8"),
    (
        "linear, eps = 0.01, walkers of a second",
        "1.38e-2",
        "problem=linear eps=0.01 network.count=8 optimizer.iterations=4 optimizer.groups=4",
    ),
    (
        "linear, eps = 0.01, four times the walkers",
        "1.38e-2",
        "problem=linear eps=0.01 network.count=8 optimizer.iterations=64",
    ),
    ("linear, eps = 0.05, with fine scale", "1.21e-2", "problem=linear eps=0.05 evaluation.fine_scale=true"),
    (
        "random field, with fine scale",
        "7.21e-2",
        "problem=random_field network=cosines network.count=22 evaluation.fine_scale=true",
    ),
    ("linear, eps = 0.01, energy by Adam and a last solve", "1.38e-2", "experiment=energy_adam eps=0.01"),
)
_SOLVED = (
    ("linear, eps = 0.05", "1.21e-2", "experiment=dflm_galerkin problem=linear eps=0.05"),
    ("linear, eps = 0.01", "1.38e-2", "experiment=dflm_galerkin problem=linear eps=0.01"),
    ("linear, eps = 0.001", "", "experiment=dflm_galerkin problem=linear eps=0.001 reference=homogenized"),
    ("random field", "7.21e-2", "experiment=dflm_galerkin problem=random_field"),
)
ROWS = (
    *(Row(case, published, f"experiment=paper/{preset}", method) for case, published, preset, method in _PRESETS),
    *(Row(f"{case}, small", published, f"experiment=paper/{preset} budget=small", method)
      for case, published, preset, method in _PRESETS),
    *(Row(f"{case}: energy, the default", published, command, "Energy") for case, published, command in _PROBLEMS),
    *(Row(case, published, command, "Energy") for case, published, command in _MORE),
    *(Row(f"{case}: DFLM's equations, one solve", *row) for case, *row in _SOLVED),
    *(Row(f"{case}: DFLM by Adam", published, f"method=dflm {command}") for case, published, command in _PROBLEMS[:2]),
)  # fmt: skip


def without_seed(command: str) -> str:
    """A command's settings in a fixed order, without those that say how often and where and not what."""
    ignored = ("seed=", "name=", "force=", "device=", "tracking", "hydra")
    words = (word.removeprefix("+") for word in shlex.split(command) if word != "homog-run")
    return " ".join(sorted(word for word in words if not word.startswith(ignored)))


def finished_runs(client: MlflowClient) -> "dict[tuple[str, str], dict[str, Run]]":
    """The newest finished run for each command, method and seed."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, "attributes.status = 'FINISHED'", max_results=50_000)
    found: dict[tuple[str, str], dict[str, Run]] = {}
    for run in sorted(runs, key=lambda run: run.info.start_time):
        command = run.data.tags.get("command")
        if command and "seed" in run.data.params:
            found.setdefault((without_seed(command), run.data.params["method"]), {})[run.data.params["seed"]] = run
    return found


def table(runs: "dict[tuple[str, str], dict[str, Run]]") -> list[str]:
    """The lines of the table."""
    lines = [HEADER, "|" + "---|" * HEADER.count(" | ") + "---|"]
    for row in ROWS:
        own = list(runs.get((without_seed(row.command), row.method), {}).values())
        cells = [row.case, row.published, f"`homog-run {row.command}`", *(_measured(own) if own else ["0", "not run"])]
        lines.append("| " + " | ".join([*cells, *[""] * (HEADER.count(" | ") + 1 - len(cells))]) + " |")
    return lines


def _measured(runs: "Sequence[Run]") -> list[str]:
    def values(key: str) -> list[float]:
        return [run.data.metrics[key] for run in runs if key in run.data.metrics]

    def spread(key: str) -> str:
        found = values(key)
        if not found:
            return ""
        return f"{np.mean(found):.2e}" + (f" ± {np.std(found, ddof=1):.1e}" if len(found) > 1 else "")

    def single(key: str) -> str:
        found = values(key)
        return f"{np.mean(found):.2e}" if found else ""

    devices = ", ".join(sorted({run.data.tags.get("device", "?") for run in runs}))
    seconds = np.mean(values("train_seconds"))
    return [
        str(len(runs)), spread("rel_l2"), single("rel_l2_last_tenth_mean"), spread("rel_l2_fine_scale"),
        spread("rel_l2_homogenized"), single("rel_l2_floor"), single("rel_l2_mean_coefficient"),
        f"{np.mean(values('walker_steps')):.1e}", f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}", devices,
    ]  # fmt: skip


def main() -> None:
    """Write or print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--print", action="store_true", help="print the table and leave the page as it is")
    wanted = arguments.parse_args()
    database = home() / "mlflow.db"
    if not database.exists():
        sys.exit(f"no runs are recorded: there is no {database}")
    lines = table(finished_runs(MlflowClient(f"sqlite:///{database}")))
    if wanted.print:
        print("\n".join(lines))
        return
    rewrite(PAGE, "scripts/results.py", lines)


if __name__ == "__main__":
    main()
