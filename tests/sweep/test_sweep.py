"""Sweeps: one parent run with its children, failures that stay where they are, nothing done twice."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paper import paper_dflm

from homog import config, tracking
from homog.config.identity import identity
from homog.equation import build
from homog.errors import UserError
from homog.run import folder as run_folder
from homog.sweep import Job, Outcome, Plan, Sweep
from homog.sweep.finished import FinishedIndex

COMMAND = [sys.executable, "-m", "homog"]
SMALL = [
    "experiment=paper/figure2", "eps=0.1", "optimizer.iterations=20", "method.points=20", "method.walkers=8",
    "method.boundary_points=20", "network.width=16", "network.depth=2", "evaluation.grid=51", "evaluation.every=10",
    "reference=homogenized",
]  # fmt: skip


# --- A sweep of runs that do nothing but end, each in its own way -----------------------------------------------------

WAYS = {1: "raises", 2: "refuses", 3: "leaves", 4: "is killed", 5: "ends its process", 6: "runs out of memory"}
FAILURES = [*WAYS]  # seeds; 0 and 7 are well


def end(settings: config.RunSettings, folder: Path, home: Path, tags: Mapping[str, str]) -> None:
    """Stands for `homog.run.runner.run`, in the process of a job; how it ends depends on the seed."""
    with (home / f"begun {settings.seed}").open("a") as file:
        print(settings.seed, file=file)
    if settings.seed == 2:
        raise UserError("method.step=hoin is unknown: did you mean heun?")  # before there is a run in MLflow
    name = settings.name or ""
    with tracking.open_recorder(settings.tracking, folder, home, name, {"seed": settings.seed}, tags):
        if settings.seed == 1:
            raise ValueError("the first line\nand a second")
        if settings.seed == 3:
            sys.exit(0)
        if settings.seed == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        if settings.seed == 5:
            os._exit(0)
        if settings.seed == 6:
            bytearray(2**60)
        numbers = {"rel_l2": 0.01 * settings.seed, "wall_seconds": 1.5}
        (folder / "metrics.json").write_text(json.dumps(numbers))


def settings(seed: int, **changes: Any) -> config.RunSettings:
    return replace(config.RunSettings(eps=0.1, seed=seed, tracking=config.LocalTracking()), **changes)


def run(
    home: Path, folder: str, seeds: Mapping[int, config.RunSettings | UserError], parallel: int = 1
) -> list[Outcome]:
    place = home / "sweeps" / folder
    jobs = [
        Job(number, {"seed": str(seed), "eps": "0.1"}, chosen, place / str(number))
        for number, (seed, chosen) in enumerate(seeds.items())
    ]
    with Sweep(home, run=end) as sweep:
        outcomes = sweep.run(jobs, Plan(place, config.LocalTracking(), folder, max_parallel=parallel))
    assert sweep.failed == any(outcome.ending == "failed" for outcome in outcomes)
    return outcomes


def stored(home: Path) -> Any:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    return client, client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def parent_and_children(home: Path, name: str) -> tuple[Any, dict[str, Any]]:
    _, runs = stored(home)
    (parent,) = (run for run in runs if run.info.run_name == name)
    children = (run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id)
    return parent, {run.data.params["seed"]: run for run in children}


def begun(home: Path) -> dict[int, int]:
    """How often the run with each seed was begun."""
    return {int(path.name.split()[1]): len(path.read_text().splitlines()) for path in home.glob("begun *")}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome], str]:
    """A home with one sweep in it, two jobs at a time, its outcomes and what was on the screen."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["homog.sweep.child", *tracking.modules_to_preload()])  # if it does not run yet
    home = tmp_path_factory.mktemp("swept")
    refused = UserError("eps=0.0 is out of range: write a positive number")  # found when the job was composed
    seeds = {seed: settings(seed) for seed in range(8)} | {8: refused}
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        from homog.sweep import table

        def note(text: object = "", **_: object) -> None:
            lines.append(str(text))

        patch.setattr(table._console, "print", note)
        outcomes = run(home, "first", seeds, parallel=2)
    return home, outcomes, "\n".join(lines)


def test_a_failure_of_any_kind_stays_where_it_is(swept: tuple[Path, list[Outcome], str]):
    _, outcomes, screen = swept
    assert [outcome.ending for outcome in outcomes] == ["finished", *["failed"] * 6, "finished", "failed"]
    reasons = [outcome.reason for outcome in outcomes]
    assert reasons[1] == "ValueError: the first line"
    assert reasons[2].endswith("did you mean heun?")
    assert reasons[3] == "sys.exit(0) before the end"
    assert "SIGKILL" in reasons[4]
    assert "status 0" in reasons[5]
    assert reasons[6].startswith("MemoryError")
    for outcome in outcomes:
        if outcome.reason:
            assert outcome.reason in outcome.job.log.read_text()
            assert f"job {outcome.job.number} failed: {outcome.reason}; see {outcome.job.log}" in screen
    for seed, error in {1: "ValueError", 2: "UserError", 3: "SystemExit", 6: "MemoryError", 8: "UserError"}.items():
        log = outcomes[seed].job.log.read_text()
        assert error in log
        assert ("Traceback" in log) == (seed != 8)  # what was refused before it began has no call to trace


def test_the_runs_are_children_of_one_run_and_have_the_right_status(swept: tuple[Path, list[Outcome], str]):
    home, outcomes, _ = swept
    parent, children = parent_and_children(home, "first")
    assert parent.info.status == "FAILED"
    assert parent.data.params == {"seed": "0,1,2,3,4,5,6,7,8", "eps": "0.1"}
    assert {seed: run.info.status for seed, run in children.items()} == {
        str(seed): "FAILED" if seed in (*FAILURES, 8) else "FINISHED" for seed in range(9)
    }
    assert parent.info.start_time <= min(run.info.start_time for run in children.values())
    for outcome in outcomes:
        child = children[outcome.job.overrides["seed"]]
        assert child.info.run_id == outcome.run_id
        assert child.data.tags.get("reason", "") == outcome.reason

    client, _ = stored(home)
    path = client.download_artifacts(parent.info.run_id, "sweep.csv", str(home))
    rows = list(csv.DictReader(Path(path).read_text().splitlines()))
    assert [(row["seed"], row["status"]) for row in rows] == [(str(i), o.ending) for i, o in enumerate(outcomes)]
    assert (rows[7]["rel_l2"], rows[7]["seconds"]) == ("0.07", "1.500")


def test_what_is_finished_is_not_run_again_unless_forced(swept: tuple[Path, list[Outcome], str]):
    home, outcomes, _ = swept
    before = begun(home)
    again = run(
        home, "again", {seed: settings(seed, name="another", tracking=config.NoTracking()) for seed in (0, 1, 7)}
    )
    assert [outcome.ending for outcome in again] == ["skipped", "failed", "skipped"]
    assert again[2].error == pytest.approx(0.07)
    assert (again[2].run_id, again[2].folder) == (outcomes[7].run_id, outcomes[7].folder)
    assert {seed: count - before[seed] for seed, count in begun(home).items() if count != before[seed]} == {1: 1}

    forced = run(home, "forced", {seed: settings(seed, force=True) for seed in (0, 7)})
    assert [outcome.ending for outcome in forced] == ["finished", "finished"]
    assert parent_and_children(home, "forced")[0].info.status == "FINISHED"
    assert [outcome.folder for outcome in run(home, "last", {0: settings(0)})] == [forced[0].folder]


def begin_and_die_or_go_on(settings: config.RunSettings, folder: Path, home: Path, tags: Mapping[str, str]) -> None:
    """Stands for a run that is killed at first, and comes to its end when it is resumed."""
    if not (folder / run_folder.RECORD).exists():
        run_folder.begin(
            folder, settings, build(config.FormulaProblem(name="a test", coefficient="1", forcing="1"), 0.1), {}
        )
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / run_folder.RESULT).write_text(json.dumps({"rel_l2": 0.5}))


def test_jobs_that_were_killed_go_on_in_their_folders_when_the_sweep_is_resumed(tmp_path: Path):
    def sweep(name: str, resume: bool | str) -> Outcome:
        place = tmp_path / "sweeps" / name
        chosen = settings(0, tracking=config.NoTracking(), resume=resume)
        with Sweep(tmp_path, run=begin_and_die_or_go_on) as sweep:
            (outcome,) = sweep.run([Job(0, {}, chosen, place / "0")], Plan(place, config.NoTracking(), name))
        return outcome

    killed = sweep("killed", False)
    assert (killed.ending, "SIGKILL" in killed.reason) == ("failed", True)
    assert sweep("named", str(killed.folder)).reason.startswith("resume=FOLDER is for a single run")
    assert sweep("again", False).folder == tmp_path / "sweeps" / "again" / "0"  # not resumed unless asked for
    resumed = sweep("resumed", True)
    assert (resumed.ending, resumed.folder) == ("finished", tmp_path / "sweeps" / "again" / "0")  # the newest
    assert "SIGKILL" in resumed.job.log.read_text()  # its log goes on, too
    assert sweep("once more", True).ending == "skipped"


def test_a_finished_run_counts_while_its_metrics_are_there_as_they_were(tmp_path: Path):
    index, folder = FinishedIndex(tmp_path / "home"), tmp_path / "home" / "run"
    assert index.find(settings(0)) is None
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"rel_l2": 0.5}')
    index.add(settings(0), folder, "an id")
    found = index.find(settings(0))
    assert found is not None
    assert (found.folder, found.metrics, found.run_id) == (folder, {"rel_l2": 0.5}, "an id")

    moved = (tmp_path / "home").rename(tmp_path / "moved")
    assert FinishedIndex(moved).find(settings(0)) is not None
    (moved / "run" / "metrics.json").write_text('{"rel_l2": 0.1}')  # of another run, in the same folder
    assert FinishedIndex(moved).find(settings(0)) is None


def test_the_identity_of_a_configuration_is_all_that_its_numbers_depend_on():
    one = settings(0, optimizer=config.AdamCosine(iterations=10, learning_rate=1e-3, average=0.0))
    for same in ({"name": "x"}, {"force": True}, {"tracking": config.NoTracking()}):
        assert identity(replace(one, **same)) == identity(one)
    for other in (
        {"seed": 1},
        {"eps": 0.2},
        {"optimizer": config.AdamCosine(iterations=10, learning_rate=1e-4, average=0.0)},
        {"device": "cpu"},
    ):
        assert identity(replace(one, **other)) != identity(one)
    # two kinds with the same settings
    assert identity(replace(one, reference=config.HomogenizedReference())) != identity(
        replace(one, reference=config.ReferenceSettings())
    )


def test_without_tracking_there_is_no_store(tmp_path: Path):
    job = Job(0, {"seed": "0"}, settings(0, tracking=config.NoTracking()), tmp_path / "sweep" / "0")
    with Sweep(tmp_path, run=end) as sweep:
        (outcome,) = sweep.run([job], Plan(tmp_path / "sweep", config.NoTracking(), "untracked"))
    assert (outcome.ending, outcome.run_id) == ("finished", None)
    assert not (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "sweep" / "sweep.csv").is_file()


# --- The command ------------------------------------------------------------------------------------------------------


def homog_run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        # the number of threads changes sums, and two jobs at a time share the cores
        env={**os.environ, "HOMOG_HOME": str(home), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def weights(home: Path) -> list[set[str]]:
    """The hash of the weights in each sweep, in the order of the sweeps."""
    return [
        {json.loads(path.read_text())["weights_sha256"] for path in folder.glob("*/metrics.json")}
        for folder in sorted((home / "sweeps").iterdir(), key=lambda folder: folder.stat().st_ctime)
    ]


def test_the_sweep_of_figure_2_shrunk_with_a_ratio_that_a_run_refuses(home: Path):
    sweep = ["-m", *SMALL, "timestep.ratio=0.25,0.3", "seed=0,1"]
    first = homog_run(home, *sweep)
    assert first.returncode == 1, first.stderr
    assert "Traceback" not in first.stdout + first.stderr
    assert first.stdout.count("failed: timestep.ratio=0.3: Dt must be a whole number of micro steps") == 4
    assert first.stdout.count("relative L2 error") == 3  # two runs and the sweep
    (folder,) = (home / "sweeps").iterdir()
    assert "Traceback" in (folder / "2" / "run.log").read_text()
    assert str(folder / "2" / "run.log") in first.stdout

    _, runs = stored(home)
    parent, *children = runs
    assert parent.data.tags["experiment"] == "paper/figure2"
    assert parent.data.params["timestep.ratio"] == "0.25,0.3"
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert [run.info.status for run in runs] == ["FAILED", "FINISHED", "FINISHED", "FAILED", "FAILED"]

    second = homog_run(home, *sweep)
    assert second.returncode == 1, second.stderr
    assert second.stdout.count("finished before") == 2
    assert second.stdout.count("Dt must be") == 4

    isolated = homog_run(home, "-m", *SMALL, "timestep.ratio=0.25", "seed=0,1", "force=true", "hydra/launcher=isolated")
    assert isolated.returncode == 0, isolated.stdout + isolated.stderr
    assert "2 at a time" in isolated.stdout
    assert "relative L2 error" in (max((home / "sweeps").iterdir()) / "0" / "run.log").read_text()
    begun, skipped, parallel = weights(home)
    assert len(begun) == 2  # the seeds differ
    assert not skipped
    assert parallel == begun

    drawn = subprocess.run(
        [sys.executable, Path(__file__).parents[2] / "scripts" / "draw_sweep.py", "2"],
        env={**os.environ, "HOMOG_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith("2 runs: ")
    assert (home / "figures" / "figure2.png").stat().st_size > 10_000


def test_a_sweep_that_cannot_be_composed_gets_one_line_and_status_2(home: Path):
    for arguments in (["method.walkers=8,many"], ["seed=0,1", "hydra.launcher.max_parallel=0"]):
        result = homog_run(home, "-m", *SMALL, *arguments)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert result.stderr.startswith("homog-run: ")


def test_what_a_job_needs_is_loaded_before_it_begins():
    code = (
        "import multiprocessing\n"
        "from homog.sweep import processes\n"
        "processes.prepare()\n"
        "with multiprocessing.get_context('forkserver').Pool(1) as pool:\n"
        "    print(*pool.apply(eval, ('list(__import__(\"sys\").modules)',)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert {"homog.run.experiment", "homog.run.runner", "torch", "numba", "mlflow.tracking"} <= loaded


def long_sweep(home: Path) -> subprocess.Popen[str]:
    """Two long jobs at a time and one waiting, when both have begun to record."""
    process = subprocess.Popen(
        [*COMMAND, "-m", *SMALL, "timestep.ratio=0.25", "seed=0,1,2", "optimizer.iterations=10000000",
         "hydra/launcher=isolated"],
        env={**os.environ, "HOMOG_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    await_that(lambda: len(list(home.glob("sweeps/*/*/metrics.jsonl"))) == 2 or process.poll() is not None, 200)
    assert process.poll() is None, process.communicate()
    await_that(lambda: all(path.stat().st_size for path in home.glob("sweeps/*/*/metrics.jsonl")), 200)
    return process


def await_that(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes_of_jobs(home: Path) -> list[int]:
    logs = [path.read_text() for path in home.glob("sweeps/*/*/run.log")]
    return [int(log.partition("in process ")[2].partition(":")[0]) for log in logs]


def lives(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_signal_to_all_processes_lets_the_jobs_save_and_marks_the_runs(home: Path):
    """As Ctrl-C, a scheduler and systemd send it: once to each process of the group."""
    process = long_sweep(home)
    os.killpg(process.pid, signal.SIGTERM)
    screen, errors = process.communicate(timeout=100)
    assert process.returncode == 143
    assert len(list(home.glob("sweeps/*/*/checkpoint-*.pt"))) == 2
    assert "Traceback" not in screen + errors
    assert "not begun: 1" in screen
    assert not any(map(lives, processes_of_jobs(home)))
    _, runs = stored(home)
    assert [run.info.status for run in runs] == ["KILLED"] * 3


def test_jobs_end_with_a_sweep_that_is_killed_and_one_job_can_be_killed_alone(home: Path):
    process = long_sweep(home)
    first, second = processes_of_jobs(home)
    os.kill(first, signal.SIGKILL)
    await_that(lambda: len(processes_of_jobs(home)) == 3 and second in processes_of_jobs(home), 100)
    await_that(lambda: "FAILED" in [run.info.status for run in stored(home)[1]], 100)
    assert process.poll() is None
    assert lives(second)
    process.kill()
    process.communicate()
    await_that(lambda: not any(map(lives, processes_of_jobs(home))), 60)


# --- The presets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("figure", "count"), [(2, 440), (3, 400)])
def test_a_preset_sweeps_what_the_figure_shows(figure: int, count: int):
    from hydra import compose, initialize_config_dir
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from homog.command import composition
    from homog.timesteps.timestep import time_steps

    composition.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
        composed = compose("run", [f"experiment=paper/figure{figure}"], return_hydra_config=True)
        params = composed.hydra.sweeper.params
        overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        (jobs,) = BasicSweeper.split_arguments(overrides, None)
        ends = [composition.settings_of(compose("run", [f"experiment=paper/figure{figure}", *job]))
                for job in (jobs[0], jobs[-1])]  # fmt: skip
    assert len(jobs) == count
    assert {job[-1] for job in jobs} == {f"seed={seed}" for seed in range(20)}
    assert ends[0].optimizer == config.AdamExponential(iterations=5000, learning_rate=1e-4, gamma=0.9)
    assert ends[0].method == paper_dflm(exit="clip")
    assert ends[0].network == config.MLP(depth=4, width=200, activation="relu", scale=None, spread=0.0)
    assert isinstance(ends[0].problem, config.FormulaProblem)
    assert (ends[0].problem.coefficient, ends[0].problem.forcing) == (
        "2 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
        "10",
    )
    eps = [0.1, 0.05] if figure == 2 else [0.05, 0.005]
    assert [end.eps for end in ends] == eps
    for end in ends:
        steps = time_steps(end.timestep, 2, end.eps)
        if figure == 2:
            assert steps.macro_step == pytest.approx(1e-3)
        else:
            assert steps.micro_step == pytest.approx(steps.micro_bound)
    counts = {2: [1, 1024], 3: [1, 512]}[figure]
    assert [time_steps(end.timestep, 2, end.eps).count for end in ends] == counts
