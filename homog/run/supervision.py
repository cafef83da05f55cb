"""Training under supervision: errors measured, checkpoints saved, signals heard."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from homog import plots
from homog.config import RunSettings
from homog.errors import NotFinite, UserError
from homog.machine import ranks
from homog.machine.interruption import Interrupted, Interruption
from homog.measures import evaluation
from homog.references import Reference
from homog.run import report
from homog.run.checkpoints import Checkpoints
from homog.solvers.training import Training
from homog.tracking import Recorder

_GO_ON, _SAVE, _STOP = 0, 1, 2  # after an iteration; what one rank wants all do


class SupervisedTraining:
    """The training of one run, which can be interrupted after any iteration and taken up by another process.

    Args:
        training: From its first iteration on.
        checkpoints: Checkpoints of the run.
        start: When this process began the run, by `time.perf_counter`.
    """

    def __init__(self, training: Training, checkpoints: Checkpoints, start: float) -> None:
        self.training = training
        self.curve: plots.Curve = []
        self._checkpoints = checkpoints
        self._start = start

    @property
    def wall_seconds(self) -> float:
        """Of this process and of those before it, without the time between them."""
        return time.perf_counter() - self._start

    def take_up(self) -> int:
        """Go on from the newest sound checkpoint, if there is one; the iterations done.

        Raises:
            UserError: If the checkpoint is that of another training.
        """
        found = self._checkpoints.load()
        if found is None:
            return 0
        try:
            self.training.load_state(found.state["training"])
            self.curve = [(int(iteration), float(error)) for iteration, error in found.state["curve"]]
            self._start -= float(found.state["wall_seconds"])
            self._checkpoints.spent = float(found.state["checkpoint_seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{found.path} does not fit this run: remove it to go on from the one before") from error
        return found.iteration

    def run(
        self,
        settings: RunSettings,
        truth: Reference,
        recorder: Recorder,
        interruption: Interruption,
        seconds: float | None = None,
    ) -> None:
        """Train to the end; the error and the loss are recorded every so many iterations.

        Args:
            settings: Settings of the run.
            truth: What the answer is held against.
            recorder: Records the curve.
            interruption: Hears signals.
            seconds: The training ends after the iteration in which the run has gone on for so long; None: it does not.

        Raises:
            Interrupted: After a signal, when the iteration has ended and its checkpoint is saved.
            NotFinite: If a number is NaN or infinite; the message names the last checkpoint.
            OSError: If nothing can be written.
        """
        monitor = evaluation.ErrorMonitor(truth)
        last = self.training.iterations
        every = settings.evaluation.every or max(1, last // 100)
        with report.ProgressBar(last) as bar, interruption.held():
            try:
                for progress in self.training:
                    if progress.iteration % every == 0 or progress.iteration == last:
                        error = monitor(progress.solution)
                        values = {"loss": float(progress.loss), "walker_steps": progress.walker_steps}
                        if error is not None:
                            self.curve.append((progress.iteration, error))
                            values["error"] = error
                        recorder.log(values, progress.iteration)
                        bar.show(values["loss"], error)
                    bar.advance(progress)
                    # asked once: what comes after it waits for the next iteration
                    wish = _agreed(_STOP if interruption.wanted else _SAVE if self._checkpoints.due() else _GO_ON)
                    if wish >= _SAVE:
                        self._save(recorder)
                    if wish == _STOP:
                        _end(interruption)
                    if seconds is not None and self.wall_seconds > seconds:
                        break
            except NotFinite as error:
                saved = self._checkpoints.last
                raise UserError(
                    f"{error}; {f'the last good checkpoint is {saved}' if saved else 'none was saved'}"
                ) from error

    @contextmanager
    def kept(self, recorder: Recorder) -> Iterator[None]:
        """A context for what follows the training: after a signal there a checkpoint of its end is saved.

        Not of a training by several processes, whose parts of the state have ended with them.
        """
        try:
            yield
        except Interrupted:
            if ranks.count() == 1:
                self._save(recorder)
            raise

    def _save(self, recorder: Recorder) -> None:
        state = self._state()
        recorder.sync()  # what is before the checkpoint must not be missing after it
        self._checkpoints.save(self.training.done.iteration, state)

    def _state(self) -> Mapping[str, Any]:
        curve = [list(point) for point in self.curve]
        seconds = {"wall_seconds": self.wall_seconds, "checkpoint_seconds": self._checkpoints.spent}
        return {"training": self.training.state(), "curve": curve, **seconds}


def assist(training: Training, interruption: Interruption) -> None:
    """Train as one of the ranks that another one supervises.

    Raises:
        Interrupted: After a signal to any rank, when the iteration has ended.
        NotFinite: If a number is NaN or infinite.
    """
    with interruption.held():
        for _ in training:
            wish = _agreed(_STOP if interruption.wanted else _GO_ON)
            if wish >= _SAVE:
                training.state()  # the first rank's has a part from each
            if wish == _STOP:
                _end(interruption)


def _agreed(wish: int) -> int:
    return int(ranks.largest(wish))


def _end(interruption: Interruption) -> NoReturn:
    """End by the signal that came, or that came to another rank."""
    interruption.check()
    raise Interrupted(signal.SIGTERM)
