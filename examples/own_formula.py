"""A medium of one's own: layers.

    -div(a grad u) = 1 + x1  in the unit square,   u = x1 x2  on its boundary,
    a = exp(0.8 sin(2 pi x1/eps)),   eps = 1e-4

No mesh resolves this eps. Across layers a* is the harmonic mean of a, along them the arithmetic one: 1/I_0(0.8) and
I_0(0.8), I_0 the modified Bessel function. `HomogenizedReference` solves with them, and the answer is held against it.
"""

from scipy.special import i0

import homog

problem = homog.Problem("exp(0.8*sin(2*pi*x1/eps))", forcing="1 + x1", boundary="x1*x2", eps=1e-4, name="layers")
u = homog.solve(problem)
truth = homog.reference(problem, homog.HomogenizedReference())

print(f"a* by the cell problem: {truth.effective_tensor.diagonal()}, exact: {1 / i0(0.8):.5f}, {i0(0.8):.5f}")
print(f"|u - u_0| = {u.error(truth):.1e}, noise = {u.standard_error:.1e}")
u.plot(truth).savefig("own_formula.png")

assert abs(truth.effective_tensor[0, 0] - 1 / i0(0.8)) < 1e-8
assert u.error(truth) < 4 * u.standard_error + 2e-3  # at this Dt the energy sees a little more than a*
