"""Mathematics as text: checked, differentiated symbolically, and handed to every consumer."""

from homog.formula.parse import FUNCTIONS, Formula, parse

__all__ = ["FUNCTIONS", "Formula", "parse"]
