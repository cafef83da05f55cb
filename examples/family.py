"""One solve for all contrasts: u, its mean, its spread and its sensitivity.

    -div(a grad u) = 10  in the unit square,   u = 0  on its boundary,
    a = 1 + c sin(2 pi x1/eps),   c drawn evenly from [0.1, 0.9],   eps = 0.05

Layers have a* = diag(sqrt(1 - c^2), 1), so the limit is known for each c. Walkers of each batch have a contrast of
their own, and all of them go into the answer of every contrast. After that a value of c costs nothing.
"""

import numpy as np

import homog

layers = homog.Problem(
    "1 + c*sin(2*pi*x1/eps)", forcing="10", eps=0.05, parameters={"c": {"from": 0.1, "to": 0.9}}, name="layers"
)
u = homog.solve(layers)
assert u.family is not None
family = u.family

k = np.arange(1, 100, 2)
sines = np.sin(np.pi * k / 2)
weights = np.outer(sines, sines) * 160 / np.pi**4 / np.outer(k, k)


def middle(c: float) -> float:
    """u at the middle of the square, in the limit."""
    return float((weights / (np.sqrt(1 - c**2) * k[:, None] ** 2 + k**2)).sum())


centre = np.array([0.5, 0.5])
for c in (0.1, 0.3, 0.5, 0.7, 0.9):
    slope = (middle(c + 1e-4) - middle(c - 1e-4)) / 2e-4
    found = float(family.sensitivity(centre, "c", c=c))
    print(f"c = {c}: u = {u(0.5, 0.5, c=c):.4f} (limit {middle(c):.4f}), du/dc = {found:.3f} (limit {slope:.3f})")
contrasts = 0.1 + 0.8 * (np.arange(1000) + 0.5) / 1000
exact = np.array([middle(c) for c in contrasts])
mean, deviation = float(family.mean(centre)), float(family.standard_deviation(centre))
print(f"mean {mean:.4f} (limit {exact.mean():.4f}), standard deviation {deviation:.4f} (limit {exact.std():.4f})")
u.further.family.plot("layers of contrast c").savefig("family.png")

assert abs(mean / exact.mean() - 1) < 1e-2
assert abs(deviation / exact.std() - 1) < 0.1
