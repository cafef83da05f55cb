"""What a run says on the screen: its plan, its progress and its closing table."""

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from homog.equation import FIELD, Problem
from homog.measures.mixtures import Mixture
from homog.measures.spreading import EffectiveTensor
from homog.references import Reference
from homog.run.budget import PARTS
from homog.run.ensembles import Ensembles
from homog.run.evolving import Evolving
from homog.run.families import Families
from homog.run.further import Further, Modes
from homog.run.metrics import METRICS
from homog.run.task import Task
from homog.solvers import training
from homog.timesteps.timestep import TimeSteps

_console = Console(stderr=False, highlight=False, soft_wrap=True)
_SEEN_FROM = {  # the least error of each kind that shows through the noise of walks
    "rel_l2": "reference_error_estimate",
    "rel_l2_floor": "reference_error_estimate",
    "rel_l2_homogenized": "homogenized_error_estimate",
    "rel_l2_mean_coefficient": "reference_error_estimate",
}
_OF_MESHES = {"reference_error_estimate", "homogenized_error_estimate", "mean_coefficient_error_estimate"}
_OF_WALKS = "least error seen through the noise"  # what these are held against where there is no mesh


def print_plainly() -> None:
    """From now on, print as into a file, whatever the terminal was at first."""
    global _console
    _console = Console(stderr=False, highlight=False, soft_wrap=True, color_system=None)


def print_plan(problem: Problem, steps: TimeSteps | None, device: torch.device) -> None:
    """What will be solved, and with which time steps if there are walkers."""
    operator, letter = problem.operator, "a" if problem.operator.tensor is None else "A"
    velocity, reaction = operator.velocity, operator.reaction
    carries = "" if velocity is None else f" b = ({', '.join(part.text for part in velocity)}),"
    terms = f"{' + b.grad u' if velocity else ''}{' + c u' if reaction else ''}"
    _console.print(
        f"{problem.name}: -div({letter} grad u){terms} = f in {problem.dimension}D,"
        f" {letter} = {operator.coefficient.text},{carries}{f' c = {reaction.text},' if reaction else ''}"
        f" f = {operator.forcing.text}, eps = {problem.parameters['eps']:g}, on {device}",
        markup=False,
    )
    for line in _further_lines(problem):
        _console.print(line, markup=False)
    if problem.metrics:
        numbers = (f"{name.replace('_', ' ')} = {value:.4g}" for name, value in problem.metrics.items())
        _console.print(f"{FIELD}: {', '.join(numbers)}")
    if steps is None:
        return
    _console.print(
        f"dt = {steps.micro_step:.4g} (bound: at most {steps.micro_bound:.4g}), "
        f"Dt = {steps.macro_step:.4g} (bound: at least {steps.macro_bound:.4g}), K = {steps.count}"
    )
    if steps.pace is not None:
        _console.print(
            f"the medium is steep: steps as short as {steps.pace.longest.min():.3g} where it is,"
            f" {steps.pace.slowdown:.3g} times as many in all"
        )
    for line in steps.warnings():
        _console.print(f"warning: {line}", style="yellow", markup=False)


def _further_lines(problem: Problem) -> list[str]:
    """What is asked for besides u."""
    lines, evolution, ranges = list[str](), problem.evolution, problem.ranges
    if evolution is not None:
        begins = f"d_t u from u = {evolution.initial.text} at t = 0 to {evolution.end:g}, f = {evolution.forcing.text}"
        rests = problem.operator.forcing is evolution.initial
        what = (
            "nothing drives it: the equation above has u(x, 0) for f" if rests else "the equation above is at its end"
        )
        lines.append(f"in time: {begins}; {what}")
    if ranges is not None:
        ends = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in ranges.ends.items())
        lines.append(f"for all values of {ends}: {len(ranges.nodes)} of them have walkers")
    return lines


class ProgressBar:
    """Iteration, loss, current error, speed and time left; plain lines where there is no terminal."""

    def __init__(self, iterations: int) -> None:
        self._iterations = iterations
        self._lines = not _console.is_terminal
        self._state = ""
        self._bar = Progress(
            TextColumn("{task.completed}/{task.total}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=_console,
            disable=self._lines,
        )
        self._task = self._bar.add_task("", total=iterations)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, loss: float, error: float | None) -> None:
        """The loss and the error of the iteration that `advance` reports next."""
        self._state = f"loss {loss:.2e}" + (f"  error {error:.2e}" if error is not None else "")

    def advance(self, progress: training.Progress) -> None:
        """One more iteration is done."""
        seconds = max(progress.seconds, 1e-9)
        rate = f"{progress.iteration / seconds:.3g} iterations/s"
        if progress.walker_steps:
            rate = f"{progress.walker_steps / seconds / 1e6:.0f}M steps/s"
        self._bar.update(self._task, completed=progress.iteration, description=f"{self._state}  {rate}")
        if self._lines and progress.iteration % max(1, self._iterations // 10) == 0:
            left = progress.seconds / progress.iteration * (self._iterations - progress.iteration)
            print(
                f"{progress.iteration}/{self._iterations}  {self._state}  {rate}  {left:.0f} s left",
                flush=True,
            )


def print_effective_tensor(
    found: EffectiveTensor | None, cell: np.ndarray | None, excess: float | None, spread: np.ndarray | None = None
) -> None:
    """a* by walkers beside that of the cell problem; what the energy's macro step adds to it, or samples differ by."""
    if found is None:
        return
    table = Table("entry", "by walkers, 95 %", "by the cell problem", title="Effective tensor a*", title_justify="left")
    for i, j in zip(*np.triu_indices(len(found.value)), strict=True):
        exact = "" if cell is None else f"{cell[i, j]:.5f}".replace("-0.00000", "0.00000")
        table.add_row(f"a*_{i + 1}{j + 1}", f"{found.value[i, j]:.4f} +- {found.half_width()[i, j]:.4f}", exact)
    if spread is not None:
        table.caption = f"means over samples; a*_11 of one of them varies by {spread[0, 0]:.3g} (standard deviation)"
        table.caption_justify = "left"
    _console.print(table)
    if excess is not None:
        _console.print(
            f"with this Dt the energy {'over' if excess >= 0 else 'under'}estimates a* by {100 * abs(excess):.2f} %:"
            " the error budget says what is left of that in the answer"
        )


def print_further(seen: Further) -> None:
    """What the equations gave besides u."""
    if seen.modes is not None:
        _print_eigenvalues(seen.modes)
    if seen.evolution is not None:
        _print_evolution(seen.evolution)
    if seen.family is not None:
        _print_family(seen.family)
    if seen.ensemble is not None:
        _print_ensemble(seen.ensemble)


def _print_ensemble(seen: Ensembles) -> None:
    """Sizes of mean and deviation over the law."""
    found = seen.metrics()
    table = Table("over the law of the medium", "relative to the mean", title="Ensemble", title_justify="left")
    table.add_row("mean, its standard error", f"{found['ensemble_standard_error']:.2e}")
    deviation, error = found["ensemble_deviation"], found["ensemble_deviation_standard_error"]
    table.add_row("standard deviation", f"{deviation:.2e} +- {error:.1e}")
    table.caption = f"{found['samples']:.0f} samples; the errors below are those of the first"
    table.caption_justify = "left"
    _console.print(table)


def _print_family(seen: Families) -> None:
    """The errors of members of the family, and of all in the mean."""
    ranges = seen.family.equations.ranges
    heads = [*ranges.names, "error against u_eps", "error against u_0", "told, against u_0"]
    table = Table(*heads, title="Family", title_justify="left")
    for member in seen.members:
        known = member.errors.fine, member.errors.homogenized
        shown = ("" if error is None else f"{error:.2e}" for error in known)
        table.add_row(*(f"{value:.4g}" for value in member.values.values()), *shown, f"{member.told:.1e}")
    degree = seen.family.equations.index
    table.caption = (
        f"told in the root mean square: {seen.mean_error:.1e}; polynomials of degree {degree} in the parameters"
    )
    table.caption_justify = "left"
    _console.print(table)


def _print_evolution(seen: Evolving) -> None:
    """The errors of u(x, t) over time."""
    against = [("u_eps", seen.errors(seen.fine)), ("u_0", seen.errors(seen.homogenized))]
    known = [(name, errors) for name, errors in against if errors is not None]
    heads = ["t", "L2 norm of u", *(f"error against {name}" for name, _ in known), "told, against u_0"]
    table = Table(*heads, title="Evolution", title_justify="left")
    for number, moment in enumerate(seen.moments):
        found = (f"{errors[number]:.2e}" for _, errors in known)
        table.add_row(f"{moment.time:.4g}", f"{moment.size:.4g}", *found, f"{moment.error / moment.size:.1e}")
    _console.print(table)


def _print_eigenvalues(seen: Modes) -> None:
    """The eigenvalues by walkers, beside those of a* by the cell problem and of u_eps by finite elements."""
    beside = [
        (name, known) for name, known in (("a*", seen.homogenized), ("u_eps (FEM)", seen.fine)) if known is not None
    ]
    heads = [head for name, _ in beside for head in (f"of {name}", "apart")]
    table = Table("mode", "by walkers, 95 %", *heads, title="Eigenvalues", title_justify="left")
    widths = seen.found.half_width()
    for number, value in enumerate(seen.found.values):
        row = [str(number + 1), f"{value:.5g} +- {widths[number]:.2g}"]
        for _, known in beside:
            row += [f"{known[number]:.5g}", f"{100 * (value / known[number] - 1):+.2f} %"]
        table.add_row(*row)
    together = [cluster for cluster in seen.found.clusters if len(cluster) > 1]
    if together:
        names = ", ".join("-".join(str(number + 1) for number in (cluster[0], cluster[-1])) for cluster in together)
        table.caption = f"one within their noise, with modes that are known together alone: {names}"
        table.caption_justify = "left"
    _console.print(table)


def print_mixture(mixed: Mixture, cell: np.ndarray, error: float) -> None:
    """What stands beside a tensor: its principal axes, the phases, and what their shares alone say."""
    values, axes = np.linalg.eigh(cell)
    table = Table("of the medium", "", title_justify="left")
    table.add_row("a* by the cell problem, its own estimate", f"{error:.1e} relative")
    for value, axis in zip(values[::-1], axes.T[::-1], strict=True):
        direction = axis * (1 if axis[np.argmax(np.abs(axis))] > 0 else -1)
        table.add_row(f"principal value {value:.5g}", f"along ({', '.join(f'{part:.3f}' for part in direction + 0.0)})")
    for value, share in mixed.phases:
        table.add_row(f"share of a = {value:g}", f"{share:.4f}")
    if mixed.voigt is None:
        table.add_row("least that the means allow (Reuss)", f"{mixed.reuss:.5g}")
    else:
        of = "harmonic and arithmetic mean" if mixed.lower is not None else "least and most that the means allow"
        table.add_row(f"{of} (Reuss, Voigt)", f"{mixed.reuss:.5g}, {mixed.voigt:.5g}")
    if mixed.lower is not None:
        table.add_row("Hashin and Shtrikman, where a* is isotropic", f"{mixed.lower:.5g}, {mixed.upper:.5g}")
    tortuosity = mixed.tortuosity(cell)
    if tortuosity is not None:
        table.add_row("tortuosity, porosity a / a*, of each axis", ", ".join(f"{value:.4g}" for value in tortuosity))
    _console.print(table)


def print_line(line: str) -> None:
    """A line of its own."""
    _console.print(line, markup=False)


def print_results(
    task: Task,
    metrics: Mapping[str, float | int | str | None],
    notes: Sequence[str],
    warnings: Sequence[str],
    reference: Reference,
    location: str,
) -> None:
    """The closing table."""
    settings, name = task.settings, task.settings.network.title(task.problem.dimension)
    truth = f"u_eps ({reference.by})" if reference.fine is not None else "u_0"
    budget = Table("part of the error", "seen by", "relative L2", title="Error budget", title_justify="left")
    table = Table("answer", "held against", "relative L2 error", title="Errors", title_justify="left")
    for metric in METRICS:
        value = metrics.get(metric.name)
        if metric.row is not None and isinstance(value, float):
            answer, against = metric.row
            answer = answer.replace("network", name).replace("(FEM)", f"({reference.by})")
            against = against.replace("(FEM)", f"({reference.by})")
            if reference.by != "FEM" and metric.name in _OF_MESHES:
                against = _OF_WALKS
            noise = None if metric.noise is None else metrics.get(metric.noise)
            shown = f"{value:.3e}" if not isinstance(noise, float) else f"{value:.2e} +- {noise:.1e}"
            seen = metrics.get(_SEEN_FROM.get(metric.name, ""))
            if reference.by == "walks" and isinstance(seen, float) and value < seen:
                shown = f"below {seen:.1e}"
            rows = budget if metric.name in PARTS else table
            rows.add_row(answer, truth if against == "the reference" else against, shown)
    if budget.row_count:
        _console.print(budget)
    _console.print(table)
    seconds = metrics["train_seconds"]
    steps = f" {metrics['walker_steps']:.3g} walker steps," if metrics["walker_steps"] else ""
    _console.print(
        f"{metrics['iterations']} iterations,{steps} {seconds:.1f} s of {settings.optimizer.activity},"
        f" {metrics['wall_seconds']:.1f} s in all, on {metrics['device']}"
    )
    if "fine_scale_seconds" in metrics:
        noise, seconds = metrics["fine_scale_standard_error"], metrics["fine_scale_seconds"]
        _console.print(f"fine scale: relative standard error {noise:.1e}, {seconds:.1f} s")
    for line in [*notes, *(f"warning: {warning}" for warning in warnings)]:
        _console.print(line, markup=False)
    _console.print(f"run folder: {task.folder}\nrecorded in: {location}", markup=False)
    sys.stdout.flush()
