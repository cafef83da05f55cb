"""Files that a user hands to homog-run, made to break it; and that nothing is written outside of its place."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import Command

from homog.config import DFLM, AdamCosine, FormulaProblem, RunSettings
from homog.sweep.finished import FinishedIndex, identity


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with pytest.MonkeyPatch.context() as patch:
        yield Command(patch, tmp_path / "work" / "home")


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
_START = "defaults: [linear, _self_]\n"
YAML = {
    "no yaml": b"a: [",
    "a tab": b"a:\n\t- b",
    "two documents": b"a: 1\n---\nb: 2",
    "bytes": bytes(range(256)),
    "a word": b"linear",
    "a list": b"[1, 2]",
    "a number": b"3",
    "duplicate keys": b"name: a\nname: b",
    "an object": b"name: !!python/object/apply:os.system ['touch hacked']",
    "an object of another kind": b"name: !!python/object/new:os.system ['touch hacked']",
    "a name of Python's": b"name: !!python/name:os.system ''",
    "a bomb": f"{_START}{_BOMB}".encode(),
    "a node within itself": f"{_START}parameters: &a\n  a: *a\n".encode(),
    "a merge of itself": f"{_START}parameters: &a\n  <<: *a\n".encode(),
    "deep": f"{_START}parameters: {'[' * 5000}".encode(),
    "an endless number": f"{_START}parameters: {{a: {'9' * 5000}}}".encode(),
    "a target": f"{_START}_target_: os.system\ncommand: touch hacked".encode(),
    "a callback": b"# @package _global_\nhydra:\n  callbacks:\n    a: {_target_: os.system, command: touch hacked}",
    "a logging class": b"# @package _global_\nhydra:\n  job_logging:\n    handlers:\n"
    b"      a: {class: subprocess.Popen, args: [touch, hacked]}\n    root: {handlers: [a]}",
    "a logging factory": b"# @package _global_\nhydra:\n  job_logging:\n    filters:\n      a: {(): os.getcwd}\n",
    "an external object": b"# @package _global_\nhydra:\n  job_logging:\n    handlers:\n"
    b"      a: {class: logging.StreamHandler, stream: ext://os.environ}\n",
    "a schema that is none": b"defaults: [/schema/problem/none, _self_]\nname: a",
    "defaults of itself": b"defaults: [mine]",
    "defaults that are none": b"defaults: 3",
    "no schema": b"name: mine\ncoefficient: '2'\nforcing: '1'\n",
    "an unknown key": f"{_START}coeficient: '2'".encode(),
    "a wrong type": f"{_START}domain: 3".encode(),
    "a formula that is none": f"{_START}coefficient: __import__('os').system('touch hacked')".encode(),
    "an interpolation into itself": f"{_START}name: ${{problem.name}}".encode(),
    "a name of two lines": f'{_START}name: "a\\nb"'.encode(),
    "a name with a NUL": f'{_START}name: "a\\0b"'.encode(),
    "another group": b"# @package _global_\ndefaults: [override /method: nothing]\n",
    "a package that is none": b"# @package a.b@c\nname: a",
}


@pytest.mark.parametrize("content", YAML.values(), ids=YAML.keys())
def test_a_users_yaml_that_is_no_problem_is_refused_in_one_line(command: Command, content: bytes, tmp_path: Path):
    folder = tmp_path / "work" / "conf" / "problem"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_bytes(content)
    answer = command("--config-dir=conf", "problem=mine")
    assert answer.refused, answer
    assert not list(tmp_path.rglob("hacked"))


def test_a_users_yaml_with_aliases_is_read(command: Command, tmp_path: Path):
    folder = tmp_path / "work" / "conf" / "problem"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        f"{_START}domain:\n  lower: &zero [0.0, 0.0]\n  upper: [1.0, 2.0]\nparameters: {{a: 1.0}}\n"
    )
    answer = command("--config-dir=conf", "problem=mine", "--cfg=job")
    assert answer.accepted, answer
    assert "- 2.0" in answer.out


LINES = [
    (["--unknown"], "unrecognized arguments: --unknown"),
    (["--cfg=nothing"], "invalid choice: 'nothing'"),
    (["--config-dir"], "expected one argument"),
    (["--experimental-rerun=config.pickle"], "write the settings of the run again"),
    (["--exp", "config.pickle"], "write the settings of the run again"),
    (["name=a\nb"], "printable"),
    (["name=\udcff"], "printable"),
    (["name=" + "a" * 30_000], "write at most 20000"),
    (["name=" + "a" * 300], "200 printable characters"),
    (["problem.domain=${oc.env:HOME}"], "is not a subclass of DomainSettings"),
    (["-m", "seed=range(0,1e12)"], "the sweep has 1e+12 jobs"),
    (["-m", "seed=shuffle(range(0,1e12))"], "the sweep has 1e+12 jobs"),
    (["-m", "eps=range(0.1,1,0)"], "step other than 0"),
    (["+hydra.callbacks.a._target_=os.getcwd"], "calls nothing"),
    (["hydra.sweeper._target_=os.getcwd", "-m"], "plugin"),
    (["eps=${eps}"], ""),
    (["--package=nothing", "--cfg=job"], ""),
]


@pytest.mark.parametrize(("arguments", "told"), LINES, ids=lambda v: v[0][:24] if isinstance(v, list) else "")
def test_what_the_fuzzing_found(command: Command, arguments: list[str], told: str):
    answer = command(*arguments)
    assert answer.refused, answer
    assert told in answer.err


def test_flags_may_stand_anywhere(command: Command):
    assert command("eps=0.1", "-m", "seed=1,2").accepted
    assert "seed: 3" in command("seed=3", "--cfg", "job", "eps=0.2").out


NAMES = ["../../x", "/etc/x", "..", "%s%n[/red]", "{0}{run_id}", "$\\frac{$", "~/x"]


def test_no_name_leads_out_of_the_output_folder(command: Command, tmp_path: Path):
    """Everything that is written lies below HOMOG_HOME, whatever the names; the runs' folders side by side in it."""
    for name in NAMES:
        quoted = name.replace("\\", "\\\\").replace("$", "\\$")
        answer = command(f"name='{quoted}'", f"problem.name='{quoted}'", f"tracking.experiment='{quoted}'")
        assert answer.accepted or answer.refused, answer
    home = tmp_path / "work" / "home"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert path.resolve().relative_to(home).parts[0] == "runs"
    assert len(list((home / "runs").iterdir())) == len(NAMES)
    assert all(path.is_dir() for path in (home / "runs").iterdir())


def test_an_index_of_finished_runs_that_is_damaged_or_leads_elsewhere_finds_nothing(tmp_path: Path):
    home, outside = tmp_path / "home", tmp_path / "outside"
    settings = RunSettings(
        problem=FormulaProblem(name="p", coefficient="1", forcing="1"),
        method=DFLM(
            points=400, walkers=300, martingale="girsanov", step="euler", estimator="plain", boundary="penalty"
        ),
        optimizer=AdamCosine(iterations=1, learning_rate=1.0, average=0.0),
        eps=0.1,
    )
    index, run = FinishedIndex(home), home / "runs" / "a"
    for number, folder in enumerate((run, outside)):
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(f'{{"rel_l2": {number}}}')
    index.add(settings, run, None)
    assert index.find(settings) is not None
    path = home / "finished" / f"{identity(settings)}.json"
    sound = json.loads(path.read_text())
    for folder in ("../outside", str(outside), "runs/../../outside", "a\0b", 3, None, "runs/" + "a" * 300):
        path.write_text(json.dumps({**sound, "folder": folder}))
        assert index.find(settings) is None, folder
    for damaged in (b"", b"[]", b"3", b"{", b"\xff", b"[" * 100_000, json.dumps({**sound, "run_id": [3]}).encode()):
        path.write_bytes(damaged)
        assert index.find(settings) is None, damaged[:20]
    path.unlink()
    os.mkfifo(path)
    assert index.find(settings) is None
    path.unlink()
    for metrics in ("[1]", '{"rel_l2": [1]}'):
        (run / "metrics.json").write_text(metrics)
        index.add(settings, run, None)
        assert index.find(settings) is None, metrics
