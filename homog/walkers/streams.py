"""Random streams: a function of (seed, purpose, number, walker) and nothing else.

Every walker has a xoshiro128+ generator of its own, seeded by SplitMix64 hashing (Steele, Lea and Flood 2014). The
kernels carry the same few lines in compiled form; this NumPy version gives the oracle the same bits.
"""

from enum import IntEnum

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def mix(z: int) -> int:
    """The finaliser of SplitMix64: a bijection of 64-bit integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Purpose(IntEnum):
    """What points and walkers are drawn for. No two purposes share numbers: each has 2^40 keys of its own."""

    TRAINING = 0
    EFFECTIVE_TENSOR = 1
    FINE_SCALE = 2
    LONGER_WALK = 3
    BY_HAND = 4
    REFERENCE = 5
    INFLOW = 6


_KEYS = 2**40  # of a purpose


def stream_key(seed: int, number: int, purpose: Purpose = Purpose.TRAINING) -> np.uint64:
    """The 64-bit key of one batch of walkers.

    Args:
        seed: Seed of the run.
        number: Number of the batch: in a training that of the iteration.
        purpose: What the walkers are sent for.
    """
    place = purpose * _KEYS + number + 1
    return np.uint64(mix((mix((seed + _GOLDEN) & _MASK) + place * _GOLDEN) & _MASK))


def key_after(key: np.uint64, walkers: int) -> np.uint64:
    """The key under which walker 0 is what walker number `walkers` is under `key`: a batch can be walked in parts."""
    return np.uint64((int(key) + 2 * walkers * _GOLDEN) & _MASK)


def point_keys(key: np.uint64, points: int, per_point: int) -> np.ndarray:
    """The key of each point's walkers when all are walked under one: `key_after` of the walkers before; uint64."""
    with np.errstate(over="ignore"):
        return key + np.uint64(2 * _GOLDEN * per_point & _MASK) * np.arange(points, dtype=np.uint64)


def point_generator(seed: int, number: int, purpose: Purpose = Purpose.TRAINING) -> np.random.Generator:
    """The generator of the points of one batch: Philox, keyed apart from the walkers; arguments as of `stream_key`."""
    return np.random.Generator(np.random.Philox(key=[seed, purpose * _KEYS + number]))


class Streams:
    """The generators of walkers 0 to count - 1 of one iteration, advanced together.

    Args:
        key: From `stream_key`.
        count: Number of walkers.
    """

    def __init__(self, key: np.uint64, count: int) -> None:
        walker = np.arange(count, dtype=np.uint64)
        with np.errstate(over="ignore"):
            first = _mix_array(key + np.uint64(_GOLDEN) * (np.uint64(2) * walker + np.uint64(1)))
            second = _mix_array(key + np.uint64(_GOLDEN) * (np.uint64(2) * walker + np.uint64(2)))
        low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
        self._state = [(part).astype(np.uint32) for z in (first, second) for part in (z & low, z >> high)]

    def bits(self) -> np.ndarray:
        """The next 32 bits of every walker, shape (count,), uint32."""
        s0, s1, s2, s3 = self._state
        result = s0 + s3
        shifted = s1 << np.uint32(9)
        s2 = s2 ^ s0
        s3 = s3 ^ s1
        s1 = s1 ^ s2
        s0 = s0 ^ s3
        s2 = s2 ^ shifted
        s3 = (s3 << np.uint32(11)) | (s3 >> np.uint32(21))
        self._state = [s0, s1, s2, s3]
        return result


def spare_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A third number of 32 bits from two, as the kernels make it for the exit test."""
    with np.errstate(over="ignore"):
        mixed = (first ^ ((second << np.uint32(16)) | (second >> np.uint32(16)))) * np.uint32(0x9E3779B1)
    return mixed ^ (mixed >> np.uint32(15))


def _mix_array(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
