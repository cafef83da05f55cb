"""docs/gallery.md from examples/: runs each, and lays its text, its figure and what it prints side by side.

python scripts/gallery.py                  # all of them, a few minutes on two cores
python scripts/gallery.py linear sweep     # these anew, the others as they are
"""

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path

from homog.machine.home import home

_ROOT = Path(__file__).parents[1]
_FIGURES = _ROOT / "docs" / "figures" / "gallery"
ORDER = (
    *("linear", "own_formula", "random_field", "nonlinear", "mixed_walls"),
    *("reaction_diffusion", "anisotropic", "drift", "channel", "cellular_flow", "effective_tensor", "eigenvalues"),
    *("evolution", "family", "inverse", "random_medium"),
    *("fine_scale", "convergence", "methods", "sweep"),
)
_MARK = "what it printed itself:"
_ALONE = f"""
import contextlib, functools, homog, io, runpy, sys
homog.solve = functools.partial(homog.solve, quiet=True)
printed = io.StringIO()  # a sweep's jobs write past it
with contextlib.redirect_stdout(printed):
    runpy.run_path(sys.argv[1], run_name="__main__")
print("{_MARK}" + printed.getvalue())
"""
_HEAD = """\
# Gallery

Each page is a script in `examples/`: the equation first, then code in its letters, and a number that it asserts. They
run as they are (`python examples/linear.py`), as tests (`make test-all`), and make this page (`scripts/gallery.py`).
"""


def section(name: str, printed: str) -> str:
    """One example as Markdown.

    Args:
        name: Name of the script.
        printed: What it printed last, without its progress.
    """
    source = (_ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    title, _, rest = text.partition("\n")
    code = source.partition('"""\n\n')[2] if source.startswith('"""') else source
    return (
        f"\n## {title.rstrip('.')}\n\n{rest.strip(chr(10))}\n\n![{title}](figures/gallery/{name}.png)\n\n"
        f"```\n{printed.strip()}\n```\n\n<details><summary><code>examples/{name}.py</code></summary>\n\n"
        f"```python\n{code.rstrip()}\n```\n\n</details>\n"
    )


def printed_by(name: str) -> str:
    """Run an example in the folder of the figures; what it prints itself.

    Raises:
        SystemExit: If it fails.
    """
    environment = {**os.environ, "HOMOG_HOME": str(home()), "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(home() / "mpl")}
    script = _ROOT / "examples" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, script], cwd=_FIGURES, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr}")
    return done.stdout.rpartition(_MARK)[2]


def main() -> None:
    """Entry point of the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of examples; default: all")
    names = parser.parse_args().names or ORDER
    if unknown := set(names) - set(ORDER):
        parser.error(f"no example is called {', '.join(sorted(unknown))}: write some of {', '.join(ORDER)}")
    _FIGURES.mkdir(parents=True, exist_ok=True)
    page = _ROOT / "docs" / "gallery.md"
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = []
    for name in ORDER:
        if name in names:
            sections.append(section(name, printed_by(name)))
        else:
            start = before.index(f"figures/gallery/{name}.png")
            sections.append(section(name, before[start:].split("```")[1]))
    page.write_text(_HEAD + "".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
