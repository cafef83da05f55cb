"""The equations of a walk with a velocity, from its walkers and those of its adjoint.

With a velocity b the walk is not reversible: in a dx its adjoint P' is the walk of -b (`Problem.backwards`), and

    G(u, v) = 1/Dt int a v (u - P u - h) dx,        L(v) = 1/Dt int a v E[R] dx

is not symmetric. Its symmetric part is the mean of the two walks' energies, since int a P(u v) dx = int a u v P'1 dx;
what is left of it is

    N(u, v) = -1/(2 Dt) int a v (P u - P' u) dx,

antisymmetric but for the lift, in which walkers that left count with w g(X). The noise of the energies stays what it
is as eps -> 0. That of N does not, where a velocity oscillates: each walk has its corrector, of size eps, over Dt. One
that turns in each cell and leads nowhere (`Problem.stirs`) adds to a* alone, and N tends to nothing: it is left out.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from homog.losses.assembly import Excursions, Slopes, Sums, Weighed, sums, sums_at_starts
from homog.networks.linear import LinearInFeatures


def sums_both_ways(
    network: LinearInFeatures,
    walks: Sequence[Excursions],
    weights: Sequence[Float[Tensor, "p s"]],
    controls: Sequence[Slopes],
    kernels: Path,
    tests: np.ndarray | None,
    *,
    antisymmetric: bool,
) -> Sums:
    """What `sums` gives, of G.

    Args:
        network: Gives the functions.
        walks: The walk of b and that of its adjoint, from the same points.
        weights: w of the walkers of each, times what they stand for.
        controls: The variate of each.
        kernels: Folder for compiled code.
        tests: Numbers of the functions, where not all are wanted.
        antisymmetric: Whether N is wanted.
    """
    first, second = controls
    both = replace(first, variate=(first.variate + second.variate) / 2)
    forth, control, load = sums(network, replace(walks[0], lost=None), both, kernels, tests)
    back, _, _ = sums(network, replace(walks[1], lost=None), None, kernels, tests)
    matrix = (forth + back) / 2
    starts, signs = walks[0].starts, (1.0, -1.0)
    if antisymmetric:
        ways = [Weighed(walk.ends, sign * w) for walk, sign, w in zip(walks, signs, weights, strict=True)]
        here, there = sums_at_starts(network, starts, ways, kernels, tests)
        rest = -0.25 * (here - there)
        rest[:, -1] = -0.5 * here[:, -1]
        matrix = matrix + rest
    lost = sum((walk.lost / 2 for walk in walks if walk.lost is not None), starts.new_zeros(len(starts)))
    if bool(lost.any()):  # it may be negative, where a velocity converges
        stay = Weighed(starts[:, None], lost[:, None])
        matrix = matrix + sums_at_starts(network, starts, [stay], kernels, tests)[0]
    return matrix, control, load
