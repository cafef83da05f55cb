"""The child process that solves: `python -m homog.references.worker FOLDER`, started by `process`."""

import os
import pickle
import signal
import sys
import threading
from pathlib import Path

import numpy as np

from homog.references import elements, fem, process
from homog.references.newton import NotConverged


def main(folder: Path) -> int:
    """Solve the systems in `folder` and leave the nodal values there; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end at once, also inside a long call to PETSc
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with (folder / process.TASKS).open("rb") as file:
        problem, systems, cache = pickle.load(file)
    try:
        elements.import_dolfinx()
    except ImportError as error:
        print(error, file=sys.stderr)
        return process.NOT_IMPORTABLE
    try:
        solutions = fem.solve(problem, systems, cache)
    except NotConverged as error:
        print(error, file=sys.stderr)
        return process.NOT_CONVERGED
    for number, found in enumerate(solutions):
        if isinstance(found, str):
            (folder / process.REASON.format(number)).write_text(found)
        else:
            np.save(folder / process.SOLUTION.format(number), found)
    return 0


def _end_with_parent() -> None:
    """Standard input ends when the parent does, however that happened."""
    os.read(0, 1)  # not sys.stdin, whose lock would stand in the way of an orderly exit
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
