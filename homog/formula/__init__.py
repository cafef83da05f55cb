"""Mathematics as text: checked, differentiated symbolically, and handed to every consumer."""

from homog.formula.parse import NAMES, Formula, parse

__all__ = ["NAMES", "Formula", "parse"]
