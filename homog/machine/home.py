"""The folder that everything is written into."""

import os
from pathlib import Path


def home() -> Path:
    """HOMOG_HOME, by default `outputs` in the working folder."""
    return Path(os.environ.get("HOMOG_HOME") or "outputs").absolute()
