"""The package as a library."""

import subprocess
import sys

import homog


def test_every_public_name_is_there():
    for name in homog.__all__:
        assert getattr(homog, name) is not None
    assert set(homog.__all__) == {name for names in homog._HOME.values() for name in names}


def test_the_package_alone_imports_nothing_heavy():
    code = "import sys, homog; print([m for m in ('torch', 'numba', 'sympy', 'mlflow', 'hydra') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
