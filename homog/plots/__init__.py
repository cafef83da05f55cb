"""The figures of a run."""

from homog.plots.panels import draw_training_curve
from homog.plots.solution import SolutionData, draw_solution, solution_figure

__all__ = ["SolutionData", "draw_solution", "draw_training_curve", "solution_figure"]
