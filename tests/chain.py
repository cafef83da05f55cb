"""The exact law of a discrete walker on a periodic cell: what its step size does to the homogenised answer.

A scheme makes the walker a Markov chain on the torus. Its transition operator is set up on Fourier modes, normal
increments by Gauss-Hermite quadrature; the invariant density, the mean reward and the effective covariance of the
chain follow by linear algebra, without sampling. This is the computed value that the walkers are tested against.
"""

from collections.abc import Callable
from functools import cache

import numpy as np


def medium(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V and 1 / (2a) at y of shape (..., 2) in units of eps, for a = 1 + 0.9 sin(2 pi y1) cos(2 pi y2)."""
    s, c = np.sin(2 * np.pi * y), np.cos(2 * np.pi * y)
    a = 1 + 0.9 * s[..., 0] * c[..., 1]
    slope = 1.8 * np.pi * np.stack([c[..., 0] * c[..., 1], -s[..., 0] * s[..., 1]], axis=-1)
    return slope / (2 * a[..., None]), 1 / (2 * a)


Step = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def euler(y: np.ndarray, noise: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Move and reward of an Euler step (equations 18, 19)."""
    v, h = medium(y)
    return v * dt + noise, h * dt


def heun(y: np.ndarray, noise: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Move and reward of a Heun step."""
    v, h = medium(y)
    w, g = medium(y + v * dt + noise)
    return (v + w) / 2 * dt + noise, (h + g) / 2 * dt


@cache
def amplitude(step: Step, dt: float, modes: int = 20, nodes: int = 24) -> float:
    """u of the discrete walker over the exact u_0: mean reward over effective covariance, times a* (f = 1).

    Args:
        step: The scheme.
        dt: In units of eps^2.
        modes: Fourier modes an axis.
        nodes: Quadrature nodes an axis.
    """
    grid = np.arange(modes) / modes
    y = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 1, 2)  # (p, 1, 2)
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    noise = np.sqrt(dt) * np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(1, -1, 2)  # (1, q, 2)
    weights = np.outer(w, w).ravel() / w.sum() ** 2
    move, reward = step(y, noise, dt)
    move = np.broadcast_to(move, (*np.broadcast_shapes(y.shape, noise.shape),))
    reward = np.broadcast_to(reward, move.shape[:2]) @ weights
    waves = np.fft.fftfreq(modes, 1 / modes)
    first, second = (np.exp(2j * np.pi * (y + move)[..., i, None] * waves) for i in (0, 1))  # (p, q, modes)
    basis = np.exp(2j * np.pi * (y[..., :1] * waves[:, None] + y[..., 1:] * waves)).reshape(len(y), -1)
    onto = np.einsum("pqk,pql,q->pkl", first, second, weights, optimize=True).reshape(len(y), -1)
    generator = np.eye(len(y)) - (onto @ np.linalg.inv(basis)).real  # acts on values on the grid
    density = np.linalg.svd(generator.T)[2][-1]
    density = density / density.sum()
    drift = np.einsum("pqi,q->pi", move, weights)
    corrector = np.linalg.lstsq(generator, drift - density @ drift, rcond=None)[0]  # (p, 2)
    series = np.linalg.solve(basis, corrector.astype(complex)).reshape(modes, modes, 2)
    arrived = np.einsum("pqk,pql,kli->pqi", first, second, series, optimize=True).real
    jump = move + arrived - corrector[:, None, :]
    covariance = np.einsum("p,pqi,pqi,q->i", density, jump, jump, weights, optimize=True)
    return float(density @ reward) / (covariance.mean() / 2) * 0.8835143
