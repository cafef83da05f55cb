"""What is solved."""

from homog.domains.box import Box, tensor_grid
from homog.equation.formula import build
from homog.equation.problem import FIELD, SOLUTION, Problem

__all__ = ["FIELD", "SOLUTION", "Box", "Problem", "build", "tensor_grid"]
