"""Eigenvalues and modes from the matrix of one solve.

    -div(a grad u) = l u  in the unit square,   u = 0  on its boundary,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.01

The limit has the eigenvalues pi^2 a* (k^2 + l^2). No mesh was made for these: walkers assemble the matrix for any
forcing, and its eigenvalues, corrected for the lag of the macro step, are those of a*.
"""

import numpy as np

import homog

medium = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
u = homog.solve(homog.Problem(medium, forcing="10", eps=0.01, eigenvalues=6, name="eigenvalues"))
assert u.modes is not None
found = u.modes.found

a_star = 0.8835143
squares = [k**2 + m**2 for k in range(1, 5) for m in range(1, 5)]
exact = np.pi**2 * a_star * np.sort(squares)[:6]
for value, width, known in zip(found.values, found.half_width(), exact, strict=True):
    print(f"{value:8.3f} +- {width:.3f}   exactly {known:8.3f}   {100 * (value / known - 1):+.2f} %")
u.modes.plot("eigenvalues").savefig("eigenvalues.png")

assert (np.abs(found.values / exact - 1) < 7e-3).all()
