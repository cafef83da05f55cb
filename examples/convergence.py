"""u_eps converges to u_0 like eps, and what walkers find does not depend on eps.

    -(a u')' = 10  in (0, 1),   u(0) = u(1) = 0,   a = 2 + sin(2 pi x/eps)

a* is the harmonic mean of a, sqrt(3), and u_0 = 5 x (1 - x) / a*. Held against u_0 the answer has the error of its
noise and of the macro step, at any eps.
"""

import matplotlib.pyplot as plt
import numpy as np

import homog

x = np.linspace(0, 1, 501)
limit = 5 * x * (1 - x) / np.sqrt(3)
scales = [0.11, 0.037, 0.013, 0.0041, 0.0013]  # no period fits into the spacing of the points
answers, distances = [], []
for eps in scales:
    problem = homog.Problem(
        "2 + sin(2*pi*x1/eps)", forcing="10", eps=eps, domain=homog.Box((0.0,), (1.0,)), name=f"eps = {eps}"
    )
    u = homog.solve(problem, quiet=True)
    answers.append(homog.relative_l2(u(x), limit))
    distances.append(homog.relative_l2(homog.reference(problem).fine, limit))
    print(f"eps = {eps}: |u - u_0| = {answers[-1]:.1e}, |u_eps - u_0| = {distances[-1]:.1e}")

figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
axes.loglog(scales, answers, "o-", label="|u - $u_0$|, by walkers")
axes.loglog(scales, distances, "s-", label="|$u_\\epsilon$ - $u_0$|, by finite elements")
axes.set(xlabel="$\\epsilon$", ylabel="relative $L^2$ distance")
axes.legend()
figure.savefig("convergence.png")

order = np.polyfit(np.log(scales), np.log(distances), 1)[0]
assert 0.9 < order < 1.1
assert max(answers[1:]) < 0.012
