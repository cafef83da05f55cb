"""Seconds of one command in two checkouts, run in turns: how much faster or slower a change has made it.

    git worktree add ../before COMMIT
    python scripts/side_by_side.py ../before . --pairs 5 problem=linear eps=0.01

Each checkout has a HOMOG_HOME of its own; a first run of each, not counted, fills its caches. In every second pair the
order is turned round. Prints the ratio of each pair, new to old, and their geometric mean with its standard error:
differences below twice that are none.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def seconds(checkout: Path, home: Path, overrides: Sequence[str]) -> float:
    """Wall seconds of homog-run in a checkout."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "homog", "tracking=off", *overrides],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "HOMOG_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def main() -> None:
    """Run both in turns and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
    if options.pairs < 2:
        parser.error("--pairs: at least 2, from whose spread the error comes")
    checkouts = [options.old.absolute(), options.new.absolute()]
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, name) for name in ("old", "new")]
        for checkout, home in zip(checkouts, homes, strict=True):
            seconds(checkout, home, options.overrides)
        logs = []
        for pair in range(options.pairs):
            taken = [0.0, 0.0]
            for which in (0, 1) if pair % 2 == 0 else (1, 0):
                taken[which] = seconds(checkouts[which], homes[which], options.overrides)
            logs.append(math.log(taken[1] / taken[0]))
            print(f"old {taken[0]:6.1f} s  new {taken[1]:6.1f} s  ratio {taken[1] / taken[0]:.3f}", flush=True)
    mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    print(f"new / old: {math.exp(mean):.3f} +- {math.exp(mean) * error:.3f}")


if __name__ == "__main__":
    main()
