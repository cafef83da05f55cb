"""The linear problem of the paper (section 4.1).

    -div(a grad u) = 10  in the unit square,   u = 0  on its boundary,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.05

Walkers find the smooth limit u_0 without being told of it: the answer is as far from u_eps as u_0 itself is, up to the
noise that it states.
"""

import homog

problem = homog.Problem("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", forcing="10", eps=0.05, name="linear")
u = homog.solve(problem)
truth = homog.reference(problem)

floor = homog.relative_l2(truth.homogenized, truth.fine)
print(f"|u - u_eps| = {u.error(truth):.2e}, |u_0 - u_eps| = {floor:.2e}, noise = {u.standard_error:.1e}")
u.plot(truth).savefig("linear.png")

assert u.error(truth) < floor + 3 * u.standard_error
