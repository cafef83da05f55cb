"""Layers that conduct by a matrix.

    -div(A grad u) = 10  in the unit square,   u = 0  on its boundary,
    A = R diag(p, q) R^T,   p = 1.5 + sin(2 pi x1/eps),   q = 0.6 + 0.4 cos(2 pi x1/eps),   eps = 0.05

with R a turn by 30 degrees. a* of such layers is known in closed form: a*_11 = 1/<1/A_11>, a*_12 = a*_11 <A_12/A_11>,
a*_22 = <A_22 - A_12^2/A_11> + a*_12^2/a*_11. The mean of A, which a coarse mesh would see, is far off.
"""

import numpy as np

import homog

c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
p, q = "(1.5 + sin(2*pi*x1/eps))", "(0.6 + 0.4*cos(2*pi*x1/eps))"
across = f"{c * s}*({p} - {q})"
problem = homog.Problem(
    [[f"{c * c}*{p} + {s * s}*{q}", across], [across, f"{s * s}*{p} + {c * c}*{q}"]],
    forcing="10",
    eps=0.05,
    name="anisotropic",
)
u = homog.solve(problem)
truth = homog.reference(problem)

t = np.arange(1000) / 1000
values_p, values_q = 1.5 + np.sin(2 * np.pi * t), 0.6 + 0.4 * np.cos(2 * np.pi * t)
a11, a12, a22 = c * c * values_p + s * s * values_q, c * s * (values_p - values_q), s * s * values_p + c * c * values_q
along = 1 / np.mean(1 / a11)
mixed = along * np.mean(a12 / a11)
exact = np.array([[along, mixed], [mixed, np.mean(a22 - a12**2 / a11) + mixed**2 / along]])

found = u.effective_tensor()
floor = homog.relative_l2(truth.homogenized, truth.fine)
print(f"a* = {found.value.round(3).tolist()} by walkers, {exact.round(4).tolist()} exactly")
print(f"|u - u_eps| = {u.error(truth):.2e}, told {u.error_estimate:.1e}; |u_0 - u_eps| = {floor:.2e}")
u.plot(truth).savefig("anisotropic.png")

assert (np.abs(found.value - exact) < 2 * found.half_width() + 1e-4).all()
assert u.error(truth) < floor + 3 * u.standard_error
