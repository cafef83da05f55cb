"""Kill a run by SIGKILL at random moments, resume it each time, and compare its end with that of an undisturbed run.

A process of its own, from which runs are forked without loading torch each time:

    python tests/killing.py --home FOLDER --kills 100 --life 3 -- experiment=paper/linear_0.05 optimizer.iterations=9000

prints one line of JSON. The settings are those of homog-run; the folder is its HOMOG_HOME.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from homog.config import RunSettings
from homog.run.folder import RECORD

_context = multiprocessing.get_context("forkserver")


def settings_of(overrides: Sequence[str]) -> RunSettings:
    from hydra import compose, initialize_config_dir

    from homog.command import composition

    composition.register()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        return composition.settings_of(compose("run", [*overrides, "checkpoint=0"]))


def run(settings: RunSettings, folder: Path, home: Path) -> None:
    with (folder / "run.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        from homog.run import runner

        runner.run(replace(settings, resume=(folder / RECORD).exists()), folder, home)


def start(settings: RunSettings, folder: Path, home: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    process = _context.Process(target=run, args=(settings, folder, home))
    process.start()
    return process


def content(folder: Path) -> dict[str, str]:
    """What must be equal in the end: hashes of the weights, and of the metrics without times and seconds.

    Only the closing entry may be there twice, with other seconds: if the kill fell between it and metrics.json.
    """
    from homog.tracking import read_metrics

    entries = []
    for entry in read_metrics(folder / "metrics.jsonl"):
        plain = {name: value for name, value in entry.metrics.items() if not name.endswith("seconds")}
        repeated = "train_seconds" in entry.metrics and (entry.step, plain) in entries
        entries += [] if repeated else [(entry.step, plain)]
    metrics = json.dumps(entries, sort_keys=True).encode()
    weights = json.loads((folder / "metrics.json").read_text())["weights_sha256"]
    return {"weights": weights, "metrics": hashlib.sha256(metrics).hexdigest(), "entries": str(len(entries))}


def await_a_checkpoint(folder: Path, process: Any) -> None:
    """Until there is one that was not there, or the process has ended."""
    before = set(folder.glob("checkpoint-*.pt"))
    while process.is_alive() and set(folder.glob("checkpoint-*.pt")) <= before:
        time.sleep(0.01)


def experiment(settings: RunSettings, home: Path, kills: int, life: float, seed: int) -> dict[str, Any]:
    """Kill and resume until so many kills have hit a living run and the last run is finished."""
    began = time.monotonic()
    reference = start(settings, home / "runs" / "undisturbed", home)
    reference.join()
    assert reference.exitcode == 0, (home / "runs" / "undisturbed" / "run.log").read_text()
    undisturbed = time.monotonic() - began
    wanted = content(home / "runs" / "undisturbed")
    drawn = random.Random(seed)
    killed, finished, equal, phases = 0, 0, 0, dict.fromkeys(("before a checkpoint", "after one"), 0)
    while True:
        folder = home / "runs" / f"disturbed {finished}"
        process = start(settings, folder, home)
        if drawn.random() < 0.5:  # else it may live for too short a time to get anywhere
            await_a_checkpoint(folder, process)
        process.join(drawn.uniform(0.0, life) if killed < kills else None)
        if process.exitcode is None:
            phases["after one" if list(folder.glob("checkpoint-*.pt")) else "before a checkpoint"] += 1
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
            continue
        assert process.exitcode == 0, (folder / "run.log").read_text()
        found = content(folder)
        equal += found == wanted
        finished += 1
        if killed >= kills:
            break
        shutil.rmtree(folder)
    return {"kills": killed, **phases, "runs": finished, "equal": equal, "seconds undisturbed": undisturbed, **wanted}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--life", type=float, default=3.0, help="most seconds until a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    _context.set_forkserver_preload(["homog.run.runner", "matplotlib.backends.backend_agg"])
    settings = settings_of(options.overrides)
    print(json.dumps(experiment(settings, options.home.absolute(), options.kills, options.life, options.seed)))


if __name__ == "__main__":
    main()
