"""Hydra's way to `homog.sweep`: `hydra/launcher=sequential` and `isolated`.

Hydra looks for launchers in this namespace package and nowhere else. It imports the module on every start, so the
rest is imported when a sweep begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

if TYPE_CHECKING:
    from homog.config import RunSettings
    from homog.errors import UserError
    from homog.sweep import Job, Outcome, Plan, Sweep


@dataclass
class ProcessLauncherConf:
    """The schema of `hydra.launcher`."""

    _target_: str = "hydra_plugins.homog_launcher.ProcessLauncher"
    max_parallel: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessLauncherConf, provider="homog")


class ProcessLauncher(Launcher):
    """Hands the jobs of a sweep, composed, to the `sweep` of the task function, which is homog-run's own."""

    def __init__(self, max_parallel: int) -> None:
        """Hydra calls this.

        Args:
            max_parallel: Jobs at a time.
        """
        self._max_parallel = max_parallel

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra calls this before anything else.

        Raises:
            UserError: If `max_parallel` is no number of jobs.
        """
        from homog.config.checks import at_least

        at_least("hydra.launcher.max_parallel", self._max_parallel, 1)
        self._loader = hydra_context.config_loader
        self._config = config
        self._sweep: Sweep = task_function.sweep  # pyright: ignore[reportFunctionMemberAccess]

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs; the result of each is its relative L2 error, or NaN if it failed.

        Raises:
            UserError: If nothing can be written, or recorded as the settings ask for.
        """
        setup_globals()
        self._sweep.prepare()
        # All at once, before the first one runs: nobody need fear to edit conf/ while a long sweep runs.
        configs = [self._compose(overrides, initial_job_idx + i) for i, overrides in enumerate(job_overrides)]
        jobs = [self._job(config, overrides) for config, overrides in zip(configs, job_overrides, strict=True)]
        outcomes = self._sweep.run(jobs, self._plan(configs[0], jobs))
        return [_returned(*ended) for ended in zip(configs, job_overrides, outcomes, strict=True)]

    def _compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        config = self._loader.load_sweep_config(self._config, list(overrides))
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
            folder = Path(str(self._config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
            config.hydra.runtime.output_dir = str(folder.absolute())
        return config

    def _job(self, config: DictConfig, overrides: Sequence[str]) -> "Job":
        from homog.sweep import Job

        HydraConfig.instance().set_config(config)  # for ${hydra:...}
        pairs = (override.lstrip("+").partition("=") for override in filter_overrides(overrides))
        logging = OmegaConf.to_container(config.hydra.job_logging, resolve=True)
        return Job(
            number=config.hydra.job.num,
            overrides={key: value for key, _, value in pairs},
            settings=_settings(config),
            folder=Path(config.hydra.runtime.output_dir),
            logging={str(key): value for key, value in logging.items()} if isinstance(logging, dict) else None,
        )

    def _plan(self, config: DictConfig, jobs: "Sequence[Job]") -> "Plan":
        from homog.command.composition import tracking_of
        from homog.sweep import Plan

        choices: Any = config.hydra.runtime.choices
        preset = choices.get("experiment")
        name = config.get("name") or f"sweep {preset or config.problem.name}"
        tags = {"experiment": preset} if preset else {}
        folder = Path(str(self._config.hydra.sweep.dir)).absolute()
        return Plan(folder, tracking_of(config), name, tags, self._max_parallel)


def _settings(config: DictConfig) -> "RunSettings | UserError":
    from homog.command.composition import refuse_idle_budget, settings_of
    from homog.errors import UserError

    task = config.copy()
    with read_write(task), open_dict(task):
        del task["hydra"]
    try:
        refuse_idle_budget(config.hydra.runtime.choices)
        return settings_of(task)
    except UserError as error:
        return error


def _returned(config: DictConfig, overrides: Sequence[str], outcome: "Outcome") -> JobReturn:
    # FAILED would make Hydra's sweepers end the sweep
    error = float("nan") if outcome.error is None else outcome.error
    returned = JobReturn(overrides=overrides, cfg=config, working_dir=str(outcome.folder), status=JobStatus.COMPLETED)
    returned.return_value = error
    return returned
