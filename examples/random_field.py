"""A medium without scales that could be told apart (section 4.3 of the paper).

    -div(exp(Y) grad u) = 100 sin(4 pi x1 + 6 pi x2^2)  in the unit square,   u = 0  on its boundary,

Y one sample of a Gaussian random field on a grid. There is no cell and no u_0. Finite elements on the same field are
the reference; the naive answer has the mean of exp(Y) in place of the medium.
"""

import homog

problem = homog.Problem(
    "exp(field)", forcing="100*sin(4*pi*x1 + 6*pi*x2**2)", field=homog.SpectralField(), name="random field"
)
u = homog.solve(problem)
truth = homog.reference(problem)

naive = homog.relative_l2(truth.mean_coefficient, truth.fine)
print(f"correlation length {problem.scale:.3f}: |u - u_eps| = {u.error(truth):.1e}, with the mean of a {naive:.1e}")
u.plot(truth).savefig("random_field.png")

assert u.error(truth) < 0.04 < naive
