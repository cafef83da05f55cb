"""A coefficient that depends on the solution (section 4.2 of the paper).

    -div(a grad u) = 50  in the unit square,   u = 0  on its boundary,
    a = 1 + (1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps)) u^2,   eps = 0.05

Walkers read u from a table of the answer so far, and the passes of a damped Picard iteration settle it.
"""

import homog

problem = homog.Problem(
    "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2", forcing="50", eps=0.05, name="nonlinear"
)
u = homog.solve(problem)
truth = homog.reference(problem)

floor = homog.relative_l2(truth.homogenized, truth.fine)
print(f"max u = {u(0.5, 0.5):.3f}; |u - u_eps| = {u.error(truth):.1e}, |u_0 - u_eps| = {floor:.1e}")
u.plot(truth).savefig("nonlinear.png")

assert u.error(truth) < floor + 4 * u.standard_error
