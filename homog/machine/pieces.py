"""Work that compiled code does for a range of numbers, divided among threads.

Numba's own parallel loops are not used: the code that it compiles for them is optimised once more when it comes from
disk, so that the first run of a formula and the next ones differ in their last bits.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from numba.core import config

_EACH = 8  # pieces of a thread: the last ones end at about the same time


def threads() -> int:
    """How many threads walk: as NUMBA_NUM_THREADS says, by default one for each core."""
    return vars(config)["NUMBA_NUM_THREADS"]


def use_threads(count: int) -> None:
    """Let so many threads walk in this process."""
    config.__dict__["NUMBA_NUM_THREADS"] = count


def in_pieces(work: Callable[[int, int], object], total: int, unit: int) -> None:
    """Do work for the numbers 0 to total - 1, on `threads()` threads.

    Args:
        work: Called with the first number of a piece and the one after its last; it releases Python's lock.
        total: How many numbers.
        unit: What is not divided: pieces begin at multiples of it.
    """
    count = threads()
    units = -(-total // unit)
    size = max(1, -(-units // (_EACH * count))) * unit
    if count == 1 or total <= size:
        work(0, total)
        return
    for _ in _pool(count).map(lambda first: work(first, min(first + size, total)), range(0, total, size)):
        pass


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "walkers")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of its parent's threads
