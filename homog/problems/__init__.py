"""What is solved."""

from homog.problems.domain import Box
from homog.problems.problem import Problem
from homog.problems.formula import build

__all__ = ["Box", "Problem", "build"]
