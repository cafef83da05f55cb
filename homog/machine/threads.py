"""How the libraries share the cores; to be said before any of them is imported."""

import os

ENVIRONMENT = {
    # torch and the walkers take turns on the same cores: threads that spin while they wait cost a factor of 2 to 5
    "OMP_WAIT_POLICY": "PASSIVE",
    # numpy solves small systems here: further threads gain nothing, and beside other work they wait for each other
    "OPENBLAS_NUM_THREADS": "1",
}


def settle() -> None:
    """Set what the user has not set."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
