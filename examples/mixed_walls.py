"""Walls that let in and out.

    -div(a grad u) = 10  in the unit square,   u = 0  below and above,
    n.a grad u = 1 + x2  on the left,   n.a grad u + 2 u = sin(pi x2)  on the right,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.05

Walkers are pushed back from the left and the right, and others set out from there. u_0 has a* and the same conditions.
"""

import homog

problem = homog.Problem(
    "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
    forcing="10",
    boundary={
        "x1-": {"flux": "1 + x2"},
        "x1+": {"robin": {"factor": 2, "flux": "sin(pi*x2)"}},
        "x2": {"value": 0},
    },
    eps=0.05,
    name="mixed walls",
)
u = homog.solve(problem)
truth = homog.reference(problem)

floor = homog.relative_l2(truth.homogenized, truth.fine)
print(f"|u - u_eps| = {u.error(truth):.2e}, |u_0 - u_eps| = {floor:.2e}, noise = {u.standard_error:.1e}")
u.plot(truth).savefig("mixed_walls.png")

assert u.error(truth) < floor + 3 * u.standard_error
