"""How fast homog is: one table, measured in one run on this machine, ratios first.

    python scripts/bench.py                      all sections; rewrites the table in docs/performance.md
    python scripts/bench.py --section kernel     one of them; docs/performance.md stays as it is (--write: not)
    python scripts/bench.py --quick              smallest sizes: tells whether everything runs, the numbers mean nothing

Prints the table and writes it, with the processor and the versions, to `bench.json` in HOMOG_HOME. References that are
not in its cache are computed first, and code is compiled; neither is timed. What a section measures, its file in
scripts/benchmarks/ says. Other work on the machine hits the repeats of a section alike, but makes all of them worse.
"""

from homog.machine import threads

threads.settle()

import argparse
import json
import logging
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import accuracy, alternatives, kernel, overlap, recipe, scales, startup, systems
from benchmarks.table import Row, Section, markdown
from benchmarks.timing import Budget, cores
from pages import ROOT, rewrite

from homog.machine import durable
from homog.machine.home import home

PAGE = ROOT / "docs" / "performance.md"
SECTIONS: dict[str, tuple[str, Callable[[Budget], list[Row]], float]] = {
    "kernel": (kernel.TITLE, kernel.measure, 120.0),
    "recipe": (recipe.TITLE, recipe.measure, 35.0),
    "accuracy": (accuracy.TITLE, accuracy.measure, 350.0),
    "scales": (scales.TITLE, scales.measure, 40.0),
    "alternatives": (alternatives.TITLE, alternatives.measure, 130.0),
    "startup": (startup.TITLE, startup.measure, 50.0),
    "overlap": (overlap.TITLE, overlap.measure, 30.0),
    "systems": (systems.TITLE, systems.measure, 20.0),
}
"""Each section's title, what measures it, and the seconds it may take; in all less than a quarter of an hour."""
LIBRARIES = ("numba", "numpy", "torch", "scipy", "dolfinx-solver-real")


def run(name: str, quick: bool) -> Section:
    """One section; what goes wrong in it is told in the table and stops no other."""
    title, measure, seconds = SECTIONS[name]
    print(f"{name}: {title}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    rows, failure = list[Row](), ""
    try:
        rows = measure(Budget(min(seconds, 5.0) if quick else seconds, quick))
    except Exception as error:
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}".replace("\n", " ").replace("|", "/")[:200]
    return Section(name, title, rows, time.perf_counter() - start, failure)


def machine() -> dict[str, Any]:
    """The processor, its cores and the libraries."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = {name: _version(name) for name in LIBRARIES}
    processor = models[0] if models else platform.processor() or platform.machine()
    return {"processor": processor, "cores": cores(), "python": platform.python_version(), "versions": versions}


def _version(library: str) -> str:
    try:
        return version(library)
    except ModuleNotFoundError:
        return "missing"


def page_lines(sections: Sequence[Section], on: dict[str, Any], quick: bool) -> list[str]:
    """What goes between the marks of the page."""
    versions = ", ".join(f"{name} {number}" for name, number in {"Python": on["python"], **on["versions"]}.items())
    lines = [f"{on['processor']}, {on['cores']} cores; {versions}."]
    if quick:
        lines += ["", "**With `--quick`: this shows what the table looks like. Its numbers mean nothing.**"]
    return [*lines, "", *markdown(sections)]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="this one alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="smallest sizes")
    parser.add_argument("--write", action="store_true", help="rewrite docs/performance.md in any case")
    wanted = parser.parse_args()
    logging.getLogger("homog").setLevel(logging.WARNING)
    sections = [run(name, wanted.quick) for name in wanted.section or SECTIONS]
    on = machine()
    lines = page_lines(sections, on, wanted.quick)
    print("\n".join(lines))

    measured = next((list(one.rows) for one in sections if one.name == "kernel" and one.rows), None)
    headline: dict[str, float | None] = dict.fromkeys(kernel.HEADLINE)
    headline |= kernel.headline(measured) if measured else {}
    summary = {
        **headline,
        **on,
        "quick": wanted.quick,
        "sections": [asdict(one) for one in sections],
    }
    path = home() / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, (json.dumps(summary, indent=2) + "\n").encode())
    print(f"written: {path}", file=sys.stderr)
    if wanted.write or not (wanted.section or wanted.quick):
        rewrite(PAGE, "scripts/bench.py", lines)
        print(f"written: {PAGE}", file=sys.stderr)
    failed = [one.name for one in sections if one.failure]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
