"""With which sources, versions and machine a run was made."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent

# What a number in a result may depend on; DOLFINx goes by two names (PyPI's wheel, conda-forge).
_DISTRIBUTIONS = {
    "homog": ("homog",),
    "torch": ("torch",),
    "numba": ("numba",),
    "llvmlite": ("llvmlite",),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "dolfinx": ("dolfinx-solver-real", "fenics-dolfinx"),
}


def environment_tags() -> dict[str, str]:
    """Describe the sources, the libraries and the machine, without importing any library.

    Returns:
        `git_commit` (see `source_commit`), `version.<library>` for each of homog, torch, numba, llvmlite, numpy,
        scipy and dolfinx that is installed, `python`, `platform`, `processor` and `cpu_count` (of the host).
    """
    versions = {f"version.{name}": _version(*aliases) for name, aliases in _DISTRIBUTIONS.items()}
    return {
        "git_commit": source_commit(),
        **{name: version for name, version in versions.items() if version},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpu_count": str(os.cpu_count() or 0),
    }


def source_commit(package: Path = _PACKAGE) -> str:
    """Name the git commit that a package was run from.

    Args:
        package: Folder with the package's `__init__.py`.

    Returns:
        The full hash, with `-dirty` behind it where a file of the checkout was changed or added since; empty
        where git does not track the package (an installed copy, even in a checkout's `.venv`) or is missing.
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD")
        changes = _git(package, "status", "--porcelain")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}-dirty" if changes else commit


def _git(folder: Path, *arguments: str) -> str:
    # Without optional locks: `status` would else write the index under the feet of a user's own git command.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    """Its name: what torch and Numba compute depends on the instructions that it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(*distributions: str) -> str:
    for distribution in distributions:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
