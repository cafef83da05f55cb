"""A reaction that depends on the solution.

    -div(a grad u) + 5 u^3 + u = 20 (1 + x1)  in the unit square,   u = 0  on its boundary,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.05

Newton's method: walkers are killed at the rate of the slope 15 u^2 + 1, u from the pass before. u_0 has a* and the
same reaction.
"""

import homog

problem = homog.Problem(
    "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
    forcing="20*(1 + x1)",
    reaction="5*u**2 + 1",
    eps=0.05,
    name="reaction and diffusion",
)
u = homog.solve(problem)
truth = homog.reference(problem)

floor = homog.relative_l2(truth.homogenized, truth.fine)
print(f"|u - u_eps| = {u.error(truth):.2e}, |u_0 - u_eps| = {floor:.2e}, noise = {u.standard_error:.1e}")
u.plot(truth).savefig("reaction_diffusion.png")

assert u.error(truth) < floor + 3 * u.standard_error
