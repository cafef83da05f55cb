"""What is solved."""

from homog.domains.box import Box, tensor_grid
from homog.equation.boundary import Dirichlet
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.problem import Problem, build
from homog.equation.process import Process

__all__ = ["FIELD", "SOLUTION", "Box", "Dirichlet", "Operator", "Problem", "Process", "build", "tensor_grid"]
