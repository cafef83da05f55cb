"""Make pip forget packages whose installation was cut short, so that the next `pip install` does them again.

A killed pip leaves a package that is reported as installed although files or commands of it are missing.
RECORD is the last file that pip writes, and it lists INSTALLER: without that line a package is unfinished.
Run with the interpreter of the environment to be mended; `make setup` does.
"""

import shutil
import sysconfig
from pathlib import Path


def unfinished(metadata: Path) -> bool:
    """Whether the package with this `.dist-info` folder was not installed to the end."""
    record = metadata / "RECORD"
    return not record.is_file() or f"{metadata.name}/INSTALLER," not in record.read_text()


if __name__ == "__main__":
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for metadata in Path(place).glob("*.dist-info"):
            if unfinished(metadata):
                print(f"unfinished, to be installed again: {metadata.name.removesuffix('.dist-info')}")
                shutil.rmtree(metadata)
