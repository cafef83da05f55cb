"""The microscale put back by walkers.

    -(a u')' = 10  in (0, 1),   u(0) = u(1) = 0,   a = 1 + 0.9 cos(2 pi x/eps),   eps = 0.05

A network holds the smooth part of u_eps alone. One more application of the martingale condition, u(x) = E[u(X) + R],
brings back what oscillates. In one dimension u_eps is an integral: a u' = c - 10 x.

The mean of this medium is 2.3 times its a*. A short macro step lets the energy see some of it, 4 % too much with the
default Dt, and a long micro step steps over the barriers, 1.4 % too little: so both are chosen finer here.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import cumulative_simpson

import homog

eps = 0.05
problem = homog.Problem("1 + 0.9*cos(2*pi*x1/eps)", forcing="10", eps=eps, domain=homog.Box((0.0,), (1.0,)))
u = homog.solve(problem, timestep=homog.BoundsTimeStep(m0=48.0, macro_factor=32.0))

fine = np.linspace(0, 1, 20_001)
inverse = 1 / (1 + 0.9 * np.cos(2 * np.pi * fine / eps))
flux = 5.0  # c, by symmetry
exact = cumulative_simpson((flux - 10 * fine) * inverse, x=fine, initial=0)

x = np.linspace(0, 1, 401)
u_eps = np.interp(x, fine, exact)
refined = u.fine_scale(x[:, None], walkers=1024)
smooth_error, fine_error = homog.relative_l2(u(x), u_eps), homog.relative_l2(refined.values, u_eps)
print(f"without the microscale {smooth_error:.1e}, with it {fine_error:.1e}, its noise {refined.standard_error:.1e}")

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
for values, label in ((u_eps, "$u_\\epsilon$"), (u(x), "network"), (refined.values, "with the fine scale")):
    axes.plot(x, values, label=label)
axes.set(xlabel="x", xlim=(0.1, 0.4), ylim=(0.8, 2.8))
axes.legend()
figure.savefig("fine_scale.png")

assert fine_error < smooth_error / 3
