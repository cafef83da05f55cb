"""Checks and measurements on a machine with a GPU, in one command that ends within ten minutes.

    python scripts/gpu_bench.py --pack TARGET                    where dolfinx is: copy the references that are needed
    python scripts/gpu_bench.py --home TARGET --out FOLDER       where the GPU is; docs/gpu.md says what it needs
    python scripts/gpu_bench.py --home TARGET --out FOLDER --only runs --runs paper/random_field

Writes gpu_bench.json and gpu_bench.md, and errors.txt where something failed. Exit status: 0 all is well, 1 something
failed or is not as it should be, 2 there is no GPU.
"""

import argparse
import json
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parents[1]))  # the package may not be installed

from homog.machine import threads

threads.settle()

import torch
from gpu import checks, machine, recipe, runs, speed
from gpu.findings import Deadline, Findings, TimeUp, write

from homog.machine.home import home as default_home
from homog.tracking import environment_tags
from homog.walkers import missing_for_cuda

_SHARES = {"checks": 0.2, "machine": 0.05, "speed": 0.2, "recipe": 0.15}  # of the time; the runs have the rest
_GRACE = 25  # seconds after the time is up, to end a section that does not look at the clock


def main(arguments: list[str] | None = None) -> int:
    """Pack, or measure; the exit status."""
    asked = _parsed(arguments)
    if asked.pack:
        return 0 if runs.pack(asked.home, asked.pack) else 1
    if missing := missing_for_cuda():
        print(f"gpu_bench: {missing}", file=sys.stderr)
        return 2
    asked.out.mkdir(parents=True, exist_ok=True)
    return 1 if _measure(asked) else 0


def _measure(asked: argparse.Namespace) -> bool:
    """All sections; whether something failed. Each is written when it has ended."""
    kernels, deadline = asked.home / "cache" / "kernels", Deadline.after(60 * asked.minutes)
    measures: dict[str, Callable[[Deadline], Findings]] = {
        "checks": lambda until: checks.measure(kernels, until),
        "machine": lambda until: machine.measure(),
        "speed": lambda until: speed.measure(kernels, until),
        "recipe": lambda until: recipe.measure(kernels, until),
        "runs": lambda until: runs.measure(asked.home, until, asked.runs),
    }
    environment = {**environment_tags(), "gpu": torch.cuda.get_device_name(0), "cuda": str(torch.version.cuda)}
    header = f"{environment['gpu']}, torch {torch.__version__}, Python {platform.python_version()}"
    sections: dict[str, Findings] = {}
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(int(60 * asked.minutes + _GRACE))
    for name in asked.only or measures:
        share = deadline.left if len(asked.only) == 1 else 60 * asked.minutes * _SHARES.get(name, 1.0)
        print(f"{name} ...", flush=True)
        try:
            if not deadline.left:
                raise TimeUp("no time was left")
            found = measures[name](deadline.within(share))
        except (Exception, TimeUp) as error:
            found = Findings(name, ["what"])
            found.fail(name, error)
        sections[name] = found
        if found.traces:
            with (asked.out / "errors.txt").open("a") as file:
                file.write("\n".join(found.traces))
        everything = {"environment": environment, **{name: asdict(one) for name, one in sections.items()}}
        (asked.out / "gpu_bench.json").write_text(json.dumps(everything, indent=1) + "\n")
        write(asked.out, header, sections)
    signal.alarm(0)
    print(header, *(found.text() for found in sections.values()), sep="\n")
    failed = [line for found in sections.values() for line in found.failed]
    print(f"{len(failed)} failures; {asked.out / 'gpu_bench.md'}")
    return bool(failed)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeUp("the time is up")


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=default_home(), help="HOMOG_HOME with the references")
    parser.add_argument("--out", type=Path, default=Path("gpu_bench"), help="folder for what is found")
    parser.add_argument("--pack", type=Path, metavar="TARGET", help="copy the references there, and end")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--only", type=_names([*_SHARES, "runs"]), default=[], help="sections, with commas between")
    parser.add_argument("--runs", type=_names([run.name for run in runs.RUNS]), default=[], help="which runs")
    asked = parser.parse_args(arguments)
    for name in ("home", "out", "pack"):
        if getattr(asked, name) is not None:
            setattr(asked, name, getattr(asked, name).absolute())
    return asked


def _names(known: list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return given

    return names


if __name__ == "__main__":
    sys.exit(main())
