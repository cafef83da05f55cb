"""Many runs under one command: each in a process of its own, recorded as the children of one parent run."""

from homog.sweep.job import Job, Outcome
from homog.sweep.sweep import Plan, Sweep

__all__ = ["Job", "Outcome", "Plan", "Sweep"]
