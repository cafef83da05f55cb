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
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
from mlflow.tracking import MlflowClient

from homog.composition import home

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
BEGIN, END = "<!-- begin: scripts/results.py -->", "<!-- end: scripts/results.py -->"
HEADER = (
    "| case | paper | command | seeds | error against u_eps, mean ± std | mean of the last tenth | u_0 against u_eps"
    " | u_mean against u_eps | wall, s | device |"
)


@dataclass(frozen=True)
class Row:
    """One line of the table: what the paper calls the case, its error and our command without a seed."""

    case: str
    published: str
    command: str


_PRESETS = (
    ("linear, eps = 0.05 (Fig. 4)", "1.21e-2", "linear_0.05"),
    ("linear, eps = 0.01 (Fig. 4)", "1.38e-2", "linear_0.01"),
    ("nonlinear, eps = 0.05 (Fig. 5)", "1.04e-2", "nonlinear_0.05"),
    ("nonlinear, eps = 0.01 (Fig. 5)", "6.9e-3", "nonlinear_0.01"),
    ("random field (Fig. 6)", "7.21e-2", "random_field"),
    ("PINN, MLP (Fig. 4)", "does not converge", "pinn_mlp"),
    ("PINN, Fourier features (Fig. 4)", "does not converge", "pinn_fourier"),
)
_DEFAULTS = (
    ("linear, eps = 0.05, our defaults", "1.21e-2", "problem=linear eps=0.05"),
    ("linear, eps = 0.01, our defaults", "1.38e-2", "problem=linear eps=0.01"),
    ("nonlinear, eps = 0.05, our defaults", "1.04e-2", "problem=nonlinear eps=0.05"),
    ("nonlinear, eps = 0.01, our defaults", "6.9e-3", "problem=nonlinear eps=0.01"),
    ("random field, our defaults", "7.21e-2", "problem=random_field"),
)
ROWS = (
    *(Row(case, published, f"experiment=paper/{preset}") for case, published, preset in _PRESETS),
    *(Row(f"{case}, small", published, f"experiment=paper/{preset} budget=small")
      for case, published, preset in _PRESETS),
    *(Row(*row) for row in _DEFAULTS),
)  # fmt: skip


def without_seed(command: str) -> str:
    """A command's settings in a fixed order, without those that say how often and where and not what."""
    ignored = ("seed=", "name=", "force=", "device=", "tracking", "hydra")
    words = (word.removeprefix("+") for word in shlex.split(command) if word != "homog-run")
    return " ".join(sorted(word for word in words if not word.startswith(ignored)))


def finished_runs(client: MlflowClient) -> "dict[str, dict[str, Run]]":
    """The newest finished run for each command and seed."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, "attributes.status = 'FINISHED'", max_results=50_000)
    found: dict[str, dict[str, Run]] = {}
    for run in sorted(runs, key=lambda run: run.info.start_time):
        command = run.data.tags.get("command")
        if command and "seed" in run.data.params:
            found.setdefault(without_seed(command), {})[run.data.params["seed"]] = run
    return found


def table(runs: "dict[str, dict[str, Run]]") -> list[str]:
    """The lines of the table."""
    lines = [HEADER, "|" + "---|" * HEADER.count(" | ") + "---|"]
    for row in ROWS:
        own = list(runs.get(without_seed(row.command), {}).values())
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
    seconds = f"{np.mean(values('wall_seconds')):.0f}"
    return [
        str(len(runs)), spread("rel_l2"), single("rel_l2_last_tenth_mean"), single("rel_l2_floor"),
        single("rel_l2_mean_coefficient"), seconds, devices,
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
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]))


if __name__ == "__main__":
    main()
