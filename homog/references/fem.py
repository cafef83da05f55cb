"""Finite elements for one problem, equation by equation. They run in a child process; see `process`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from homog.equation import Problem
from homog.references.elements import Elements
from homog.references.factorisation import NotSolved
from homog.references.lattice import Lattice
from homog.references.laws import Law
from homog.references.linear import solve_linear
from homog.references.modes import solve_modes
from homog.references.newton import NotConverged
from homog.references.nonlinear import solve_nonlinear
from homog.references.transient import solve_transient


@dataclass(frozen=True, eq=False)
class System:
    """One equation on one lattice.

    Attributes:
        lattice: The nodes.
        law: A and b of -div(A grad u) + b.grad u + c u = f.
        continued: Whether it starts from the solution of the system before.
    """

    lattice: Lattice
    law: Law
    continued: bool = False
    leads: ClassVar[bool] = True  # whether a system after it may start from its solution

    def solve(self, elements: Elements, guess: np.ndarray | None) -> np.ndarray:
        """Nodal values, of the lattice's shape.

        Args:
            elements: The equation on the lattice.
            guess: Nodal values that it starts from; None where nothing is known.

        Raises:
            NotSolved: If a linear system is not solved.
            NotConverged: If no solution is found, or A is not positive.
        """
        start = None if guess is None else elements.admissible(guess.ravel()[elements.positions])
        if elements.nonlinear:
            return elements.on_lattice(solve_nonlinear(elements, start))
        return elements.on_lattice(solve_linear(elements, elements.boundary_values, start=start))


@dataclass(frozen=True, eq=False)
class Transient(System):
    """d_t u - div(A grad u) + c u = f(x, t) with the problem's evolution: nodal values at each of its times.

    Attributes:
        level: 0, or 1 and 2 for less accurate ones that it is compared with.
    """

    level: int = 0
    leads: ClassVar[bool] = False

    def solve(self, elements: Elements, guess: np.ndarray | None) -> np.ndarray:
        """Shape (times, *lattice.shape); see `System.solve`."""
        return solve_transient(elements, self.level)


@dataclass(frozen=True, eq=False)
class Modes(System):
    """The first eigenvalues of -div(A grad u) + c u = l u, as many as the problem asks for."""

    leads: ClassVar[bool] = False

    def solve(self, elements: Elements, guess: np.ndarray | None) -> np.ndarray:
        """Shape (eigenvalues,), ascending; see `System.solve`."""
        return solve_modes(elements, elements.problem.eigenvalues)


def solve(problem: Problem, systems: Sequence[System], cache: Path) -> list[np.ndarray | str]:
    """Continuous finite elements for -div(A grad u) + b.grad u + c u = f, u = g on the boundary, one system after the
    other.

    A is evaluated by NumPy at degree + 1 Gauss points an axis of each cell, whatever it is made of; the load is
    integrated with one more. (Measured: with more points, or the coefficient interpolated at the nodes, the error
    changes by some per cent; with interpolation one degree lower at degree 3 it is 20 times as large.)

    Linear systems are solved by conjugate gradients, preconditioned by algebraic multigrid on the finite-volume matrix
    of the nodes: 20 to 30 iterations whatever the size and the degree. At 2.6 million unknowns of degree 4
    that took 16 s and 2.5 GB, a Cholesky factorisation by MUMPS 29 s and 5 GB; it grows linearly. The factorisation
    serves where the iterations fail. Where A depends on u, see `nonlinear`: Newton's method is around GMRES with the
    same preconditioner, made once for A at the start, 7 to 16 iterations a step. The paper's nonlinear problem at
    eps = 0.01 takes three steps on the lattice of u_0, then two on each of 1.4 and 2.6 million unknowns: 38 s of one
    core and 3.1 GB in all.

    Args:
        problem: Gives f, g and the parameters.
        systems: Those that continue others after these.
        cache: Folder for compiled forms.

    Returns:
        Nodal values of each, of the lattice's `shape`, or what else a system asks for; or why there are none, where a
        linear system could not be solved, or Newton's method failed on a lattice after it had found a solution on
        another.

    Raises:
        NotConverged: If no solution of a nonlinear problem is found, or the coefficient is not positive.
    """
    solutions: list[np.ndarray | str] = []
    last: tuple[System, np.ndarray] | None = None  # that was solved
    elements: Elements | None = None  # of the system before, which may be those of the next
    for system in systems:
        guess = None
        if system.continued and last is not None:
            guess = last[0].lattice.interpolate(last[1], system.lattice.nodes)
        try:
            if elements is None or elements.lattice != system.lattice or elements.law is not system.law:
                elements = None  # before the next: two take twice the memory
                elements = Elements(problem, system.lattice, system.law, cache)
            found = system.solve(elements, guess)
        except NotSolved as error:
            solutions.append(str(error))
            continue
        except NotConverged as error:
            if last is None:
                raise
            solutions.append(str(error))
            continue
        if system.leads:
            last = system, found
        solutions.append(found)
    return solutions
