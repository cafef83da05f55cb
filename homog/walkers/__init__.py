"""How the problem is explored: Brownian walkers."""

from homog.walkers.kernel import Scheme
from homog.walkers.lookup import SplineValues
from homog.walkers.streams import key_after, point_generator, stream_key
from homog.walkers.tally import Tally
from homog.walkers.walk import Walk, Walkers

__all__ = ["Scheme", "SplineValues", "Tally", "Walk", "Walkers", "key_after", "point_generator", "stream_key"]
