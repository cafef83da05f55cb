"""Every script in examples/ runs as it is, and asserts its number; the gallery shows the scripts as they are."""

import ast
import runpy
from pathlib import Path

import matplotlib as mpl
import pytest
from gallery import ORDER

ROOT = Path(__file__).parents[1]
QUICK = {"linear", "own_formula"}  # of the others some take a minute on one core
EXAMPLES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ORDER]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMOG_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_there_is_a_number_in_each_and_a_place_in_the_gallery():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.py")}
    assert set(scripts) == set(ORDER)
    for name, source in scripts.items():
        assert any(isinstance(node, ast.Assert) for node in ast.parse(source).body), name
        assert source.partition('"""\n\n')[2].rstrip() in page, f"run scripts/gallery.py {name}"
        assert (ROOT / "docs" / "figures" / "gallery" / f"{name}.png").is_file()
        assert 15 <= len(source.splitlines()) <= 60
