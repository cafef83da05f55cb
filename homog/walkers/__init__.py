"""How the problem is explored: Brownian walkers."""

from homog.walkers.device_spline import DeviceSpline, Lagged
from homog.walkers.lookup import SplineValues
from homog.walkers.on_cuda import missing_for_cuda
from homog.walkers.placing import placed
from homog.walkers.step import Scheme
from homog.walkers.streams import Purpose, key_after, point_generator, point_keys, stream_key
from homog.walkers.tally import Tally
from homog.walkers.walk import Walk, Walkers

__all__ = [
    "DeviceSpline",
    "Lagged",
    "Purpose",
    "Scheme",
    "SplineValues",
    "Tally",
    "Walk",
    "Walkers",
    "key_after",
    "missing_for_cuda",
    "placed",
    "point_generator",
    "point_keys",
    "stream_key",
]
