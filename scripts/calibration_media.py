"""Media of which finite elements know the truth: what `calibration.py` holds error estimates against."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

import homog
from homog import Box, GSToolsField, Problem, SpectralField

LINE, SQUARE, CUBE = Box((0,), (1,)), Box((0, 0), (1, 1)), Box((0, 0, 0), (1, 1, 1))
WIDE = Box((-1, 0), (1, 1))


def phases(contrast: float, steepness: float) -> str:
    """Two phases on a chessboard, with walls between them that are smooth."""
    return f"1 + {contrast - 1}/(1 + exp(-{steepness}*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)))"


def interface(contrast: float, width: float, along: str = "x1 - 0.4321") -> str:
    """Two phases to both sides of a line."""
    return f"1 + {(contrast - 1) / 2}*(1 + tanh(({along})/{width}))"


def blobs(shape: tuple[int, ...], width: float, contrast: float, seed: int) -> tuple[np.ndarray, str]:
    """Two phases in random shapes, on a grid; and the coefficient's formula."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), width, mode="wrap")
    return (smooth > np.median(smooth)).astype(float), f"{contrast}**field"


def of_array(array: np.ndarray, formula: str, forcing: str = "10", interpolation: str = "linear") -> Problem:
    """A problem with an array as its field."""
    domain = Box((0,) * array.ndim, (1,) * array.ndim)
    field = homog.field(array, interpolation=interpolation)
    return Problem(formula, forcing=forcing, field=field, domain=domain)


def of_gstools(formula: str, correlation: float, seed: int, covariance: str = "Gaussian") -> Problem:
    """A problem with a Gaussian random field."""
    field = GSToolsField(correlation=correlation, seed=seed, covariance=covariance)
    return Problem(formula, forcing="10", field=field, domain=SQUARE)


_FORMULAS: dict[str, dict[str, tuple]] = {
    "1D": {
        "cosine": (LINE, "1 + 0.9*cos(2*pi*x1/eps)", "1", 0.02),
        "steep cosine": (LINE, "exp(3*cos(2*pi*x1/eps))", "1 + sin(6*x1)", 0.05),
        "quasi-periodic line": (LINE, "3 + sin(2*pi*x1/eps) + 1.5*sin(2*pi*sqrt(3)*x1/eps)", "1", 0.02),
        "three scales, line": (LINE, "exp(sin(2*pi*x1/0.2) + sin(2*pi*x1/0.05) + sin(2*pi*x1/eps))", "1", 0.0125),
        "phases on a line, 100": (LINE, "1 + 99/(1 + exp(-10*sin(2*pi*x1/eps)))", "1", 0.1),
        "no zero at its ends": (LINE, "2 + sin(2*pi*x1/eps)*x1", "0", 0.05, "1 + 2*x1"),
    },
    "periodic": {
        "smooth": (SQUARE, "2 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "1", 0.05),
        "the paper's": (SQUARE, "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "10", 0.02),
        "large eps": (SQUARE, "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "10", 0.25),
        "exponential": (SQUARE, "exp(2*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))", "1", 0.05),
        "no mirror": (SQUARE, "exp(sin(2*pi*x1/eps) + cos(4*pi*x1/eps + 2*pi*x2/eps))", "1", 0.05),
        "wide domain": (WIDE, "2 + 1.8*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)", "x1", 0.05),
        "fast forcing": (SQUARE, "2 + sin(2*pi*x1/eps)", "20*sin(9*x1)*cos(11*x2)", 0.05),
        "chessboard, 10": (SQUARE, phases(10, 20), "1", 0.1),
        "chessboard, 100": (SQUARE, phases(100, 8), "1", 0.125),
        "chessboard, 1000": (SQUARE, phases(1000, 10), "1", 0.2),
        "chessboard, 1e4": (SQUARE, phases(10_000, 10), "1", 0.25),
    },
    "layers": {
        "layers": (SQUARE, "0.05 + sin(pi*x1/eps)**2", "1", 0.05),
        "thin layers": (SQUARE, "0.01 + sin(pi*x1/eps)**2", "1", 0.1),
        "thinner layers": (SQUARE, "1e-3 + sin(pi*x1/eps)**2", "1", 0.1),
        "oblique layers": (SQUARE, "2 + 1.8*sin(2*pi*(x1 + 2*x2)/eps)", "1", 0.1),
        "rings": (SQUARE, "2 + 1.7*sin(2*pi*sqrt((x1 + 0.3)**2 + x2**2)/eps)", "1", 0.05),
    },
    "not periodic": {
        "locally periodic": (SQUARE, "exp(2*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)*x1) + x2", "1", 0.05),
        "a period that varies": (SQUARE, "2 + 1.8*sin(2*pi*(x1 + x1**2)/eps)*cos(2*pi*x2/eps)", "1", 0.05),
        "quasi-periodic": (SQUARE, "2 + sin(2*pi*x1/eps) + 0.9*sin(2*pi*sqrt(2)*x2/eps)", "1 + x1", 0.05),
        "two scales": (SQUARE, "(1.5 + sin(2*pi*x1/eps))*(1.5 + sin(2*pi*x2/sqrt(eps)))", "1", 0.02),
        "three scales": (SQUARE, "exp(sin(2*pi*x1/0.5) + sin(2*pi*x2/0.15) + sin(2*pi*(x1 - x2)/eps))", "1", 0.05),
        "slow and fast": (SQUARE, "(1 + 10*x1)*(1.2 + sin(2*pi*x2/eps))", "1", 0.05),
        "bump": (SQUARE, "1 + 20*exp(-((x1 - 0.3)**2 + (x2 - 0.6)**2)/0.003)", "1", 0.1),
        "hole, nearly": (SQUARE, "1 - 0.98*exp(-((x1 - 0.5)**2 + (x2 - 0.5)**2)/0.02)", "1", 0.1),
    },
    "interfaces": {
        "interface, 10": (SQUARE, interface(10, 0.05, "x1 - x2"), "1", 0.1),
        "interface, 100": (SQUARE, interface(100, 0.01), "1", 0.1),
        "interface, 1000": (SQUARE, interface(1000, 0.01), "1", 0.1),
        "interface, 1e4": (SQUARE, interface(1e4, 0.02, "x1 + x2 - 0.9"), "1", 0.1),
        "channel, 100": (SQUARE, "1 + 99*exp(-((x2 - 0.4)/0.03)**2)", "1", 0.1),
        "barrier, 1/100": (SQUARE, "1/(1 + 99*exp(-((x2 - 0.4)/0.03)**2))", "1", 0.1),
    },
    "boundary values": {
        "g = x1": (SQUARE, "2 + 1.8*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "0", 0.05, "x1"),
        "g = x1 x2, f": (SQUARE, "exp(sin(2*pi*x1/eps) + sin(2*pi*x2/eps))", "5", 0.05, "1 + x1*x2"),
        "g = sin": (SQUARE, "0.1 + sin(pi*x2/eps)**2", "1", 0.1, "sin(4*x1)*cos(3*x2)"),
    },
    "3D": {
        "cube": (CUBE, "1 + 0.5*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)", "10", 0.25),
        "cube in layers": (CUBE, "1.2 + sin(2*pi*x1/eps)", "10", 0.25),
        "cube of exponentials": (CUBE, "exp(sin(2*pi*x1/eps) + sin(2*pi*x2/eps)*cos(2*pi*x3/eps))", "1", 0.25),
    },
}
_FIELDS: dict[str, Callable[[], Problem]] = {
    "the paper's field": lambda: Problem(
        "field", forcing="100*sin(4*pi*x1 + 6*pi*x2**2)", field=SpectralField(), domain=SQUARE
    ),
    "lognormal, 0.1": lambda: of_gstools("exp(field)", 0.1, 1),
    "lognormal, 0.05": lambda: of_gstools("exp(field)", 0.05, 2),
    "lognormal, weak": lambda: of_gstools("exp(0.5*field)", 0.05, 3),
    "lognormal, Matern": lambda: of_gstools("exp(field)", 0.1, 4, "Matern"),
    "blobs, 10": lambda: of_array(*blobs((129, 129), 6, 10, 1)),
    "finer blobs, 10": lambda: of_array(*blobs((129, 129), 3, 10, 2)),
    "blobs, 100": lambda: of_array(*blobs((129, 129), 8, 100, 3)),
    "normals on 9 x 9": lambda: of_array(np.random.default_rng(3).standard_normal((9, 9)), "exp(field)"),
    "normals on 17 x 17": lambda: of_array(np.random.default_rng(4).standard_normal((17, 17)), "exp(2*field)"),
    "cubic normals": lambda: of_array(np.random.default_rng(5).standard_normal((9, 9)), "exp(field)", "1", "cubic"),
}


def _stated(domain: Box, coefficient: str, forcing: str, eps: float, boundary: str = "0") -> Problem:
    return Problem(coefficient, forcing=forcing, eps=eps, domain=domain, boundary=boundary)


MEDIA: dict[str, tuple[str, Callable[[], Problem]]] = {
    name: (kind, lambda stated=stated: _stated(*stated))
    for kind, media in _FORMULAS.items()
    for name, stated in media.items()
} | {name: ("fields", made) for name, made in _FIELDS.items()}
"""Each medium's kind, and its problem."""
