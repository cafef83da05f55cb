"""A composite cools down: u at all times from the matrix of one solve.

    d_t u - div(a grad u) = 0  in the unit square,   u = 1 at t = 0,   u = 0 on its boundary,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.01

The initial value does not fit the boundary. What walkers do in one macro step, to the power of t / Dt, is what the
medium does until t: no time step is made. In the limit u is a series of sines, which decay by pi^2 a* (k^2 + l^2).
"""

import numpy as np

import homog

medium, times = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", [0.005, 0.02, 0.05, 0.1]
u = homog.solve(
    homog.Problem(medium, forcing="0", eps=0.01, time={"end": 0.1, "initial": "1", "times": times}, name="cooling")
)
assert u.evolution is not None

x, k, a_star = np.linspace(0, 1, 101), np.arange(1, 200, 2), 0.8835143


def along(t: float) -> np.ndarray:
    """The limit is a product of this along x1 and along x2."""
    return np.sin(np.pi * np.outer(x, k)) @ (4 / (np.pi * k) * np.exp(-(np.pi**2) * a_star * k**2 * t))


errors = []
for t, moment in zip(times, u.evolution.moments, strict=True):
    exact = np.outer(along(t), along(t))
    found = u(x[:, None], x, t=t)
    errors.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    print(f"t = {t}: error {errors[-1]:.1e} against the limit, told {moment.error / moment.size:.1e}")
u.evolution.plot("cooling").savefig("evolution.png")

assert max(errors[1:]) < 1e-2
