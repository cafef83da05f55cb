"""Whether a change of the code leaves every number as it was: the weights of ten short runs, bit for bit.

    python scripts/same_numbers.py before.json                      # before the change, and
    python scripts/same_numbers.py after.json --against before.json # after it, on the same machine

The runs take all methods, both martingales, fields, a coefficient with u in it, three dimensions, Adam and the linear
solve, and one is ended by SIGTERM and resumed. Each runs as a command of the checkout that this script lies in. Exit
status 1 and a line for each run that differs.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUICK = ("tracking=off", "reference=homogenized", "evaluation.grid=21", "device=cpu")
ADAM = ("optimizer=adam_cosine", "optimizer.iterations=12", "optimizer.learning_rate=0.001", "network=mlp")
RUNS = {
    "energy": ("eps=0.05", "optimizer.iterations=8", "method.points=2048"),
    "energy by Adam": ("eps=0.05", "method.points=512", *ADAM),
    "dflm, girsanov, penalty": (
        "eps=0.05", "method=dflm", "method.martingale=girsanov", "method.step=euler", "method.estimator=plain",
        "method.boundary=penalty", "method.points=128", "method.walkers=32", "timestep.macro_factor=1", *ADAM,
    ),
    "dflm, nonlinear": ("eps=0.1", "method=dflm", "problem=nonlinear", "optimizer.iterations=8"),
    "nonlinear, layers": (
        "eps=0.05", "problem=linear", "problem.coefficient=0.01+sin(pi*x1/eps)**2*(1+u**2)", "method.points=1024",
        "optimizer.iterations=8",
    ),
    "random field, paced": (
        "problem=random_field", "problem/field=gstools", "problem.coefficient=exp(2*field)", "network.count=8",
        "method.points=1024", "optimizer.iterations=8",
    ),
    "cube": ("eps=0.1", "problem=cube", "method.points=1024", "optimizer.iterations=8"),
    "pinn": ("eps=0.1", "method=pinn", "optimizer.iterations=40"),
    "deep_ritz": ("eps=0.1", "method=deep_ritz", "optimizer.iterations=40"),
}  # fmt: skip
RESUMED = ("eps=0.05", "optimizer.iterations=400", "method.points=4096", "checkpoint=0.01")


def command(home: Path, *overrides: str) -> subprocess.Popen[str]:
    """homog-run of this checkout, begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "homog", *QUICK, *overrides],
        cwd=ROOT,
        env={**os.environ, "HOMOG_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def weights(home: Path, *overrides: str) -> str:
    """The hash of a run's weights."""
    before = set(home.glob("runs/*"))
    run = command(home, *overrides)
    _, errors = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"homog-run {' '.join(overrides)} ended with status {run.returncode}: {errors}")
    (folder,) = set(home.glob("runs/*")) - before or {max(home.glob("runs/*"), key=lambda path: path.stat().st_mtime)}
    return json.loads((folder / "metrics.json").read_text())["weights_sha256"]


def resumed(home: Path) -> str:
    """The hash of a run's weights that was ended after its first checkpoint, and taken up again."""
    run = command(home, *RESUMED)
    while not list(home.glob("runs/*/checkpoint-*.pt")):
        if run.poll() is not None:
            raise SystemExit(f"the run to be resumed ended too early: {run.communicate()[1]}")
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    run.communicate()
    if list(home.glob("runs/*/metrics.json")):
        raise SystemExit("the run to be resumed came to its end")
    return weights(home, *RESUMED, "resume=true")


def main() -> None:
    """Run all, write what they give, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("found", type=Path, help="where the hashes go")
    parser.add_argument("--against", type=Path, help="hashes to compare with")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        cache.mkdir()
        for name in [*RUNS, "resumed"]:
            home = Path(folder, name.replace(",", "").replace(" ", "_"))
            home.mkdir()
            (home / "cache").symlink_to(cache)
            found[name] = weights(home, *RUNS[name]) if name in RUNS else resumed(home)
            print(f"{name:26} {found[name][:16]}", flush=True)
    options.found.write_text(json.dumps(found, indent=1) + "\n")
    if options.against:
        known = json.loads(options.against.read_text())
        differ = [name for name in known.keys() | found.keys() if known.get(name) != found.get(name)]
        for name in sorted(differ):
            print(f"{name}: {str(known.get(name))[:16]} became {str(found.get(name))[:16]}", file=sys.stderr)
        raise SystemExit(1 if differ else 0)


if __name__ == "__main__":
    main()
