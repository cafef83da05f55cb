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
    "numpy": ("numpy",),
    "dolfinx": ("dolfinx-solver-real", "fenics-dolfinx"),
}


def environment_tags() -> dict[str, str]:
    """Describe the sources, the libraries and the machine, without importing any library.

    Returns:
        `git_commit` (see `source_commit`), `version.<library>` for each of homog, torch, numba, numpy and
        dolfinx that is installed, `python`, `platform` and `cpu_count` (of the host).
    """
    versions = {f"version.{name}": _version(*aliases) for name, aliases in _DISTRIBUTIONS.items()}
    return {
        "git_commit": source_commit(),
        **{name: version for name, version in versions.items() if version},
        "python": platform.python_version(),
        "platform": platform.platform(),
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


def _version(*distributions: str) -> str:
    for distribution in distributions:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
