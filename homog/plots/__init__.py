"""The figures of a run and of a sweep."""

from homog.plots.field import draw_field, field_figure
from homog.plots.panels import draw_training_curve
from homog.plots.run import Curve, draw_run, drawn_axes, solution_data
from homog.plots.solution import SolutionData, draw_solution, solution_figure
from homog.plots.sweep import SweepLabels, SweepLine, draw_sweep, sweep_figure

__all__ = [
    "Curve",
    "SolutionData",
    "SweepLabels",
    "SweepLine",
    "draw_field",
    "draw_run",
    "draw_solution",
    "draw_sweep",
    "draw_training_curve",
    "drawn_axes",
    "field_figure",
    "solution_data",
    "solution_figure",
    "sweep_figure",
]
