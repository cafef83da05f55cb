"""What a network is held against: the fine-scale, the homogenised and the mean-coefficient solution."""

from homog.references.cell import effective_tensor
from homog.references.compute import reference
from homog.references.result import Reference

__all__ = ["Reference", "effective_tensor", "reference"]
