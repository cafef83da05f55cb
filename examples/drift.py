"""A drift that is no gradient.

    1/2 lap u + V.grad u - G(x, u) = 0  in the unit square,   u = 0  on its boundary,
    V = (2 x2^2 - x1, 3 x1 + x2^2),   G = 5 u^3 + u + s(x)

This is the paper's equation (6), here as -lap u - 2 V.grad u = -2 G: walkers drift along V, and others, which go
against it, make the equations exact. s is that of the solution u = sin(pi x1) sin(pi x2).
"""

import homog

sines = "sin(pi*x1)*sin(pi*x2)"
V = ["2*x2**2 - x1", "3*x1 + x2**2"]
s = f"-pi**2*{sines} - 5*({sines})**3 - {sines} + pi*({V[0]})*cos(pi*x1)*sin(pi*x2) + pi*({V[1]})*sin(pi*x1)*cos(pi*x2)"
problem = homog.Problem(
    "1",
    forcing=f"-2*(5*u**3 + u + {s})",
    velocity=[f"-2*({part})" for part in V],
    eps=0.1,
    name="drift",
)
u = homog.solve(problem)
truth = homog.reference(problem, homog.ExactReference(fine=sines))

print(f"|u - exact| = {u.error(truth):.2e}, told {u.error_estimate:.1e}")
u.plot(truth).savefig("drift.png")

assert u.error(truth) < 3 * u.error_estimate
