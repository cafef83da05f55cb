"""Shared pieces: problems as the settings make them, and one cache of compiled kernels for the whole session."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from homog.machine import threads

threads.settle()  # before torch and Numba are imported
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

CHECKED = ["walkers.walk", "networks", "losses", "equation", "measures.evaluation", "solvers.training", "timesteps"]
install_import_hook([f"homog.{room}" for room in CHECKED], "typecheck.check")  # shapes and types, before the imports

from homog import equation
from homog.config import DomainSettings, FormulaProblem
from homog.equation import Problem

LINEAR = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"  # equation (25)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HOMOG_HOME for caches, one for all processes of pytest-xdist: Numba's and that of references allow it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def kernels(shared: Path) -> Path:
    """A folder for compiled kernels, that of runs in `shared`; HOMOG_TEST_KERNELS names one that stays."""
    return Path(os.environ.get("HOMOG_TEST_KERNELS", shared / "cache" / "kernels"))


@pytest.fixture(scope="session")
def references(shared: Path) -> Path:
    """A folder for references and compiled forms, that of runs in `shared`: each form compiles once."""
    return shared / "cache"


@pytest.fixture
def home(tmp_path: Path, references: Path) -> Path:
    """A HOMOG_HOME of a test's own, with everybody's references and compiled kernels."""
    references.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").symlink_to(references)
    return tmp_path


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, in child processes too: what a script starts in its background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., Problem]:
    """Makes a problem on the unit cube from formulas; the linear problem of the paper by default."""

    def make(
        coefficient: Any = LINEAR,
        eps: float = 0.05,
        dimension: int = 2,
        forcing: str = "10",
        boundary: Any = "0",
        reaction: str = "0",
        velocity: Any = None,
    ) -> Problem:
        box = DomainSettings(lower=[0.0] * dimension, upper=[1.0] * dimension)
        settings = FormulaProblem(
            name="a test",
            coefficient=coefficient,
            forcing=forcing,
            boundary=boundary,
            reaction=reaction,
            velocity=velocity,
            domain=box,
        )
        return equation.build(settings, eps)

    return make
