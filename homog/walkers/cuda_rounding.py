"""What Numba lacks of homog.walkers.arithmetic on CUDA: `np.rint`. Known to it once this module is imported."""

import numpy as np
from numba import types
from numba.cuda import libdevice
from numba.cuda.extending import overload  # pyright: ignore[reportAttributeAccessIssue]


@overload(np.rint)
def _rint(x):
    if x == types.float32:
        return lambda x: libdevice.rintf(x)
    return None
