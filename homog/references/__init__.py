"""What a network is held against: the fine-scale, the homogenised and the mean-coefficient solution."""

from homog.references.beside import ReferenceBeside
from homog.references.cell import effective_tensor
from homog.references.compute import reference
from homog.references.result import Reference

__all__ = ["Reference", "ReferenceBeside", "effective_tensor", "reference"]
