"""Float32 arithmetic of the walker step, in a form that vectorises: no calls, no branches, no tables.

The polynomials are near-minimax fits on Chebyshev nodes in double precision, rounded to float32;
`tests/walkers/test_walkers_arithmetic.py` measures their errors. Numba compiles these functions into every kernel.
"""

import math

import numpy as np
from numba import float32, int32, njit, uint32, uint64

F = np.float32

# sin(2 pi v) = v * P(v^2) on |v| <= 1/4, within 4e-9
_S0, _S1, _S2, _S3, _S4 = F(6.28318516), F(-41.34165503), F(81.60100407), F(-76.54978229), F(39.53670603)
# log2(1 + t) = t * P(t) on 1/sqrt(2) <= 1 + t <= sqrt(2), within 5e-8
_L0, _L1, _L2, _L3 = F(1.44269477), F(-0.72135715), F(0.48093944), F(-0.36008721)
_L4, _L5, _L6, _L7 = F(0.28670746), F(-0.25006906), F(0.23689034), F(-0.14574436)
# 2^r = P(r) on |r| <= 1/2, within 2e-9
_E0, _E1, _E2, _E3 = F(1.0), F(0.693147207), F(0.240226515), F(0.0555032722)
_E4, _E5, _E6 = F(0.00961799452), F(0.00134004317), F(0.000154780219)
# atan(r) = r * P(r^2) on |r| <= 1, within 1e-8
_A0, _A1, _A2, _A3 = F(1.0), F(-0.333330363), F(0.199918717), F(-0.141977981)
_A4, _A5, _A6, _A7, _A8 = F(0.106183708), F(-0.0745685473), F(0.0421376228), F(-0.015731249), F(0.00276628346)
# erf(x) = x * P(x^2) on |x| <= 1, within 2e-9
_R0, _R1, _R2, _R3 = F(1.12837911), F(-0.37612626), F(0.112835944), F(-0.0268542115)
_R4, _R5, _R6 = F(0.00518908724), F(-0.00080168643), F(7.87587487e-05)
# log2(1 - erf(x)) = P(x) on 1 <= x <= 4, so that erf is within 6e-8
_C0, _C1, _C2, _C3 = F(-0.00110495696), F(-1.62432122), F(-0.922085941), F(-0.149003163)
_C4, _C5, _C6, _C7 = F(0.032611791), F(-0.00495183654), F(0.00045724347), F(-1.91479703e-05)
_ZERO, _ONE, _HALF, _QUARTER = F(0), F(1), F(0.5), F(0.25)
_HALF_PI, _LEAST_DIVISOR, _SATURATED = F(math.pi / 2), F(1e-30), F(4)
_LOGISTIC_TAIL = F(40)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA_BITS = np.int32(23)
_LEAST, _MOST = F(-126), F(127)
_SIXTH, _TWO_THIRDS, _THREE_HALVES = F(1 / 6), F(2 / 3), F(1.5)
_LN2, _LOG2E, _TWO = F(math.log(2)), F(1 / math.log(2)), F(2)
_UNIFORM_STEP, _TURN_STEP = F(2.0**-24), F(2.0**-32)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def _sin_quarter(v):
    """sin(2 pi v) for |v| <= 1/4."""
    z = v * v
    return v * (_S0 + z * (_S1 + z * (_S2 + z * (_S3 + z * _S4))))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def sin_turn(t):
    """sin(2 pi t) for |t| <= 1/2; absolute error below 2e-7."""
    folded = _QUARTER - abs(abs(t) - _QUARTER)  # the lesser of |t| and 1/2 - |t|, without a comparison
    return _sin_quarter(math.copysign(folded, t))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def cos_turn(t):
    """cos(2 pi t) for |t| <= 1/2; absolute error below 2e-7."""
    return _sin_quarter(_QUARTER - abs(t))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def sin_turns(t):
    """sin(2 pi t) for t in turns, |t| < 2^22; what t itself was rounded by comes on top."""
    return sin_turn(t - np.rint(t))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def cos_turns(t):
    """cos(2 pi t), likewise."""
    return cos_turn(t - np.rint(t))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def log2(x):
    """log2 of a positive normal float32; absolute error below 3e-7 near 1, relative below 2e-7 elsewhere."""
    bits = np.float32(x).view(np.int32)
    exponent = int32(int32(bits - _SQRT_HALF_BITS) >> _MANTISSA_BITS)
    mantissa = np.int32(bits - int32(exponent << _MANTISSA_BITS))
    t = mantissa.view(np.float32) - _ONE
    p = _L0 + t * (_L1 + t * (_L2 + t * (_L3 + t * (_L4 + t * (_L5 + t * (_L6 + t * _L7))))))
    return t * p + float32(exponent)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def exp2(x):
    """2^x, relative error below 3e-7; held at 2^-126 and 2^127, the ends of the normal numbers."""
    x = min(max(x, _LEAST), _MOST)
    whole = np.rint(x)
    r = x - whole
    p = _E0 + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * _E6)))))
    bits = np.int32(int32(int32(whole) + int32(127)) << _MANTISSA_BITS)
    return p * bits.view(np.float32)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def exp(x):
    """e^x."""
    return exp2(x * _LOG2E)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def log(x):
    """Natural logarithm of a positive number."""
    return log2(x) * _LN2


@njit(fastmath=True, error_model="numpy", forceinline=True)
def power(x, y):
    """x^y for positive x."""
    return exp2(y * log2(x))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def sinh(x):
    """Hyperbolic sine."""
    e = exp(x)
    return _HALF * (e - _ONE / e)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def cosh(x):
    """Hyperbolic cosine."""
    e = exp(x)
    return _HALF * (e + _ONE / e)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def tanh(x):
    """Hyperbolic tangent."""
    bounded = min(max(x, F(-20)), F(20))
    return _ONE - _TWO / (exp(_TWO * bounded) + _ONE)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def logistic(x):
    """1 / (1 + e^-x); held at 4e-18 from x = -40 down.

    Compilers may put the divisions of a formula together: the product of two such divisors must not overflow.
    """
    return _ONE / (_ONE + exp(min(-x, _LOGISTIC_TAIL)))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def atan(x):
    """Inverse tangent; absolute error below 2e-7."""
    size = abs(x)
    r = min(size, _ONE / max(size, _LEAST_DIVISOR))
    z = r * r
    p = _A0 + z * (_A1 + z * (_A2 + z * (_A3 + z * (_A4 + z * (_A5 + z * (_A6 + z * (_A7 + z * _A8)))))))
    angle = r * p
    return math.copysign(_HALF_PI - angle if size > _ONE else angle, x)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def erf(x):
    """Error function; absolute error below 2e-7, near zero a relative one."""
    size = min(abs(x), _SATURATED)
    z = size * size
    near = size * (_R0 + z * (_R1 + z * (_R2 + z * (_R3 + z * (_R4 + z * (_R5 + z * _R6))))))
    far = _C0 + size * (_C1 + size * (_C2 + size * (_C3 + size * (_C4 + size * (_C5 + size * (_C6 + size * _C7))))))
    return math.copysign(_ONE - exp2(far) if size > _ONE else near, x)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def select(z, a, b):
    """a where z is positive, else b."""
    return a if z > _ZERO else b


@njit(fastmath=True, error_model="numpy", forceinline=True)
def fraction(x):
    """x - floor(x), in [0, 1], for |x| < 2^22."""
    r = x - np.rint(x)
    return r + _ONE if r < _ZERO else r


@njit(fastmath=True, error_model="numpy", forceinline=True)
def floor(x):
    """The largest whole number that is not above x."""
    whole = np.rint(x)
    return whole - _ONE if whole > x else whole


@njit(fastmath=True, error_model="numpy", forceinline=True)
def split(x):
    """x, of a size below 2^127, as m 2^e with 1 <= |m| < 2 and e whole; of zero, m is zero."""
    bits = np.float32(x).view(np.int32)
    e = float32(int32(int32(int32(bits >> _MANTISSA_BITS) & int32(255)) - int32(127)))
    return x * exp2(-e), e


@njit(fastmath=True, error_model="numpy", forceinline=True)
def linear_weights(s):
    """The two linear B-splines that are not zero at a share s of an interval, and their derivatives."""
    return _ONE - s, s, -_ONE, _ONE


@njit(fastmath=True, error_model="numpy", forceinline=True)
def cubic_weights(s):
    """The four cubic B-splines that are not zero at a share s of an interval, and their derivatives."""
    r = _ONE - s
    b0, b3 = _SIXTH * r * r * r, _SIXTH * s * s * s
    b1 = _TWO_THIRDS + s * s * (_HALF * s - _ONE)
    e0, e3 = -_HALF * r * r, _HALF * s * s
    e1 = s * (_THREE_HALVES * s - _TWO)
    return b0, b1, _ONE - b0 - b1 - b3, b3, e0, e1, -(e0 + e1 + e3), e3


@njit(fastmath=True, error_model="numpy", forceinline=True)
def uniform(bits):
    """A uniform number in (0, 1] from 32 random bits."""
    return (float32(int32(bits >> uint32(8))) + _ONE) * _UNIFORM_STEP


@njit(fastmath=True, error_model="numpy", forceinline=True)
def turn(bits):
    """A uniform angle in [-1/2, 1/2] turns from 32 random bits."""
    return float32(int32(bits)) * _TURN_STEP


@njit(fastmath=True, error_model="numpy", forceinline=True)
def stream_state(key, walker):
    """The state of a walker's generator: SplitMix64 of the key and the walker, as in homog.walkers.streams."""
    first = _mixed(key + uint64(_GOLDEN) * (uint64(2) * uint64(walker) + uint64(1)))
    second = _mixed(key + uint64(_GOLDEN) * (uint64(2) * uint64(walker) + uint64(2)))
    low, high = uint64(0xFFFFFFFF), uint64(32)
    return uint32(first & low), uint32(first >> high), uint32(second & low), uint32(second >> high)


@njit(fastmath=True, error_model="numpy", forceinline=True)
def _mixed(z):
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    return z ^ (z >> uint64(31))


@njit(fastmath=True, error_model="numpy", forceinline=True)
def next_bits(s0, s1, s2, s3):
    """One step of xoshiro128+ (Blackman and Vigna 2021): 32 random bits and the new state."""
    bits = uint32(s0 + s3)
    shifted = uint32(s1 << uint32(9))
    s2 = uint32(s2 ^ s0)
    s3 = uint32(s3 ^ s1)
    s1 = uint32(s1 ^ s2)
    s0 = uint32(s0 ^ s3)
    s2 = uint32(s2 ^ shifted)
    s3 = uint32(uint32(s3 << uint32(11)) | uint32(s3 >> uint32(21)))
    return bits, s0, s1, s2, s3


@njit(fastmath=True, error_model="numpy", forceinline=True)
def spare_bits(first, second):
    """A third number of 32 bits from two, by a multiplicative hash: for the exit test alone."""
    mixed = uint32(
        uint32(first ^ uint32(uint32(second << uint32(16)) | uint32(second >> uint32(16)))) * uint32(0x9E3779B1)
    )
    return uint32(mixed ^ uint32(mixed >> uint32(15)))
