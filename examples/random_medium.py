"""Mean and spread of u over the law of a random medium, from one run.

    -div(exp(field/2) grad u) = 10  in the unit square,   u = 0  on its boundary,

with a Gaussian field of correlation length 0.1. Twelve samples of it are solved one after the other, each with walkers
of its own: the mean has an error bar, and the standard deviation is one of the medium, without the walkers' noise,
which products of disjoint halves of them do not have.
"""

import numpy as np

import homog

field = homog.GSToolsField(correlation=0.1, grid=129, samples=12)
u = homog.solve(homog.Problem("exp(field/2)", forcing="10", field=field, name="random medium"))
assert u.ensemble is not None
found, centre = u.ensemble, np.array([0.5, 0.5])
mean, error = float(found.mean(centre)), float(found.standard_error(centre))
deviation, of_deviation = float(found.standard_deviation(centre)), float(found.deviation_error(centre))
print(f"u at the middle: mean {mean:.3f} +- {error:.3f}, standard deviation {deviation:.3f} +- {of_deviation:.3f}")
u.further.ensemble.plot("random medium").savefig("random_medium.png")

assert error < 0.1 * mean
