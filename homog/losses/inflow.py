"""What walls let in and out, in the weak form: by walkers that set out from them.

With n.a grad u + k u = q on a face, walkers bring back R_q, the integral of w q / a over their local time there, and
the load of a test function v is 1/Dt int a E[R_q] v dx. The walk is reversible in a dx, so the same is

    1/2 oint q (1/Dt) int_0^Dt P_s v ds dS,        P_s v(x) = E[w v(X_s); inside],

where local time has the density 1/2 per area: walkers from the face say what a layer of thickness sqrt(Dt) would, with
less noise, and without the local time's own bias at an oscillating coefficient (*measured*: half of the error at
eps = 0.05). The time s = Dt t^2 makes P_s v smooth in t, which sqrt(s) makes rough; four Gauss points are enough.

What walkers lose of their weights at walls is the integral of w k / a over their local time: the same with k for q.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from homog.equation import Problem
from homog.machine import ranks
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Lagged, Purpose, Walkers, placed, point_generator, point_keys, stream_key

_SHARE = 12  # walkers of a batch for each point on a face
_LEAST = 64  # points on a face
_LOOKS = 2**12  # points of a face, for the size of its flux
_PLACES, _SHARES = np.polynomial.legendre.leggauss(4)  # on [-1, 1]


@dataclass(frozen=True)
class Inflow:
    """Where walkers from the faces are, and what a function's value there counts for: of those inside.

    Attributes:
        places: X_s.
        load: They add up to about 1/2 oint q dS.
        drain: They add up to about 1/2 oint k dS.
        walker_steps: Micro steps taken.
    """

    places: Float[Tensor, "p d"]
    load: Float[Tensor, " p"]
    drain: Float[Tensor, " p"]
    walker_steps: int


Legs = Sequence[tuple[TimeSteps, float]]
"""How long walkers go on, and what those who do count for."""


def legs(steps: TimeSteps, parts: int = 1) -> Legs:
    """The times between zero and a macro step, of whole numbers of steps that are multiples of `parts`."""
    found = []
    for place, share in zip(_PLACES, _SHARES, strict=True):
        t = (place + 1) / 2
        count = parts * math.ceil(steps.count * t * t / parts)
        found.append((replace(steps, micro_step=steps.macro_step * t * t / count, count=count), float(t * share)))
    return found


class Inflows:
    """The points on faces with a q or a k, drawn anew for each batch.

    Args:
        problem: Gives q and k.
        walkers: In a batch from inside the domain, of which those from the faces are a share.
        seed: Of the points and their walkers, which are a function of (seed, iteration).
        device: Where what they bring back is wanted.
    """

    def __init__(self, problem: Problem, walkers: int, seed: int, device: torch.device) -> None:
        self._problem, self._seed, self._device = problem, seed, device
        boundary = problem.boundary
        faces = sorted(boundary.fluxes.keys() | boundary.factors.keys())
        sizes = np.zeros((2, len(faces)))
        for column, face in enumerate(faces):
            there = problem.domain.spread_on(face, _LOOKS, np.random.default_rng(0))
            sizes[:, column] = np.abs(boundary.rates_at(face, there)).mean(1) * problem.domain.face_area(face)
        shares = (sizes / np.maximum(sizes.sum(1, keepdims=True), 1e-300)).sum(0)
        counts = walkers / _SHARE * shares / shares.sum() if len(faces) else shares
        self._counts = {face: max(_LEAST, round(count)) for face, count in zip(faces, counts, strict=True)}

    def walk(self, walkers: Walkers, legs: Legs, iteration: int, lagged: Lagged | None, every: int = 1) -> Inflow:
        """Walk from the points of a batch, or from one in so many, the same however many ranks there are."""
        points, weights = self._starts(iteration)
        own, total = ranks.share(len(points)), len(points)
        some = slice(own.start + -own.start % every, own.stop, every)
        points, weights = points[some], placed(weights[:, some].astype(np.float32), self._device)
        starts = placed(points.astype(np.float32), self._device)
        places, loads, taken = list[Tensor](), list[Tensor](), 0
        for number, (steps, share) in enumerate(legs):
            key = stream_key(self._seed, len(legs) * iteration + number, Purpose.INFLOW)
            walk = walkers.walk(points, 1, steps, point_keys(key, total, 1)[some], lagged)
            inside = ~placed(walk.left, self._device)[:, 0]
            kept = torch.exp(placed(walk.log_weight, self._device)[:, 0]) * inside
            places.append(starts + placed(walk.displacement, self._device)[:, :, 0].T)
            loads.append(share * weights * kept)
            taken += walk.steps
        load, drain = torch.cat(loads, dim=1)
        return Inflow(torch.cat(places), load, drain, taken)

    def _starts(self, iteration: int) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, "2 n"]]:
        """The points of all ranks, and q / 2 and k / 2 there times the area that each stands for."""
        random = point_generator(self._seed, iteration, Purpose.INFLOW)
        points, weights = list[np.ndarray](), list[np.ndarray]()
        for face, count in self._counts.items():
            points.append(self._problem.domain.spread_on(face, count, random))
            weights.append(
                self._problem.boundary.rates_at(face, points[-1]) * (0.5 * self._problem.domain.face_area(face) / count)
            )
        return np.concatenate(points), np.concatenate(weights, axis=1)
