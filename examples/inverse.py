"""Which contrast has the medium? From noisy values of u, by a family.

    -div(a grad u) = 10  in the unit square,   u = 0  on its boundary,
    a = 1 + c sin(2 pi x1/eps),   eps = 0.05,   c unknown, between 0.1 and 0.9

Twelve values of u are measured with a noise of 1 %. One solve gives u for all c, so that the posterior is a table: four
hundred contrasts, each held against the data, weighed by what the family itself may be off. The data are those of the
limit, a* = diag(sqrt(1 - c^2), 1), for c = 0.62: nothing of them comes from walkers.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize_scalar

import homog

truth, noise, generator = 0.62, 0.01, np.random.default_rng(2)
points = generator.uniform(0.15, 0.85, (12, 2))
k = np.arange(1, 100, 2)
one, other = (np.sin(np.pi * np.outer(points[:, axis], k)) for axis in (0, 1))
weights = 160 / np.pi**4 / np.outer(k, k) / (np.sqrt(1 - truth**2) * k[:, None] ** 2 + k**2)
clean = np.einsum("ni,ij,nj->n", one, weights, other)
data = clean * (1 + noise * generator.standard_normal(len(clean)))

layers = homog.Problem(
    "1 + c*sin(2*pi*x1/eps)", forcing="10", eps=0.05, parameters={"c": {"from": 0.1, "to": 0.9}}, name="layers"
)
u = homog.solve(layers)
assert u.family is not None
family = u.family
measured = family.at(points)


def misfit(c: float) -> float:
    """Half the sum of squares, in standard deviations of data and family together."""
    deviation = np.hypot(noise, family.error(c=c)) * np.abs(data)
    return float(0.5 * np.sum(((measured(c=c) - data) / deviation) ** 2 + 2 * np.log(deviation)))


contrasts = np.linspace(0.1, 0.9, 401)
logarithms = -np.array([misfit(c) for c in contrasts])
density = np.exp(logarithms - logarithms.max())
density /= np.trapezoid(density, contrasts)
share = np.cumsum(density) / density.sum()
low, high = np.interp([0.025, 0.975], share, contrasts)
best = minimize_scalar(misfit, bounds=(0.1, 0.9), method="bounded").x
print(f"c = {best:.3f}, between {low:.3f} and {high:.3f} with 95 %; the data had {truth}")

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.fill_between(contrasts, density, alpha=0.3)
axes.axvline(truth, color="black", linewidth=1, label="that of the data")
axes.axvspan(low, high, alpha=0.15, color="tab:orange", label="95 %")
axes.set(xlabel="c", ylabel="posterior density", xlim=(low - 0.1, high + 0.1))
axes.legend()
figure.savefig("inverse.png")

assert low < truth < high
