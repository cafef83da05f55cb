"""What torchrun tells the processes that it begins, known before torch is loaded."""

import os


def processes() -> int:
    """How many it has begun for this run; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))


def rank_here() -> int:
    """Its number on this machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))
