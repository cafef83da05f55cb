"""What is solved."""

from homog.domains.box import Box, tensor_grid
from homog.equation.boundary import Boundary, Dirichlet, Neumann, Periodic, Robin
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.problem import Problem, build
from homog.equation.process import Process
from homog.equation.ranges import Ranges

__all__ = [
    "FIELD",
    "SOLUTION",
    "Boundary",
    "Box",
    "Dirichlet",
    "Neumann",
    "Operator",
    "Periodic",
    "Problem",
    "Process",
    "Ranges",
    "Robin",
    "build",
    "tensor_grid",
]
