"""Which run a command goes on with, and which it refuses."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from homog import config
from homog.config.identity import describe, differences
from homog.equation import build
from homog.errors import UserError
from homog.run import folder as run_folder
from homog.tracking import is_going_on, open_recorder

SETTINGS = config.RunSettings(
    eps=0.1, method=config.Energy(), optimizer=config.Galerkin(iterations=4), tracking=config.NoTracking(), resume=True
)


PROBLEM = build(config.FormulaProblem(name="a test", coefficient="1", forcing="1"), 0.1)


def begin(home: Path, name: str, settings: config.RunSettings, age: int = 0) -> Path:
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    run_folder.begin(folder, settings, PROBLEM, {"version.torch": "2.11", "device": "cpu, 2 threads"})
    os.utime(folder / run_folder.RECORD, (1e9 - age, 1e9 - age))
    return folder


def test_the_newest_unfinished_run_of_the_same_settings_is_resumed(tmp_path: Path):
    begin(tmp_path, "older", SETTINGS, age=20)
    wanted = begin(tmp_path, "newer", replace(SETTINGS, name="another", tracking=config.LocalTracking()), age=10)
    finished = begin(tmp_path, "finished", SETTINGS)
    (finished / run_folder.RESULT).write_text("{}")
    begin(tmp_path, "other", replace(SETTINGS, seed=1))
    (begin(tmp_path, "damaged", SETTINGS) / run_folder.RECORD).write_text('{"settings": [')
    for resume in (True, "auto", str(wanted)):
        assert run_folder.folder_to_resume(replace(SETTINGS, resume=resume), tmp_path) == wanted
    assert run_folder.folder_to_resume(replace(SETTINGS, resume=False), tmp_path) is None
    with open_recorder(config.NoTracking(), wanted, tmp_path, "", {}, {}):  # it goes on in another process, say
        assert is_going_on(wanted)
        assert run_folder.folder_to_resume(SETTINGS, tmp_path) == tmp_path / "runs" / "older"
    assert not is_going_on(wanted)


def test_other_settings_are_refused_with_the_difference(tmp_path: Path):
    with pytest.raises(UserError, match="no unfinished run in"):
        run_folder.folder_to_resume(SETTINGS, tmp_path)
    folder = begin(tmp_path, "one", SETTINGS)
    begin(
        tmp_path,
        "far",
        replace(
            SETTINGS,
            seed=1,
            eps=0.2,
            method=config.DFLM(
                points=400, walkers=300, martingale="girsanov", step="euler", estimator="plain", boundary="penalty"
            ),
        ),
    )
    changed = replace(SETTINGS, seed=5, optimizer=config.Galerkin(iterations=4, cutoff=1e-6))
    told = "seed: 0 -> 5"
    with pytest.raises(UserError, match=rf"nearest is {folder} with .*cutoff: 1e-07 -> 1e-06; {told}"):
        run_folder.folder_to_resume(changed, tmp_path)
    with pytest.raises(UserError, match=told):
        run_folder.folder_to_resume(replace(changed, resume=str(folder)), tmp_path)
    assert run_folder.folder_to_resume(replace(changed, resume="auto"), tmp_path) is None
    (folder / run_folder.RESULT).write_text("{}")
    with pytest.raises(UserError, match="is finished"):
        run_folder.folder_to_resume(replace(SETTINGS, resume=str(folder)), tmp_path)
    with pytest.raises(UserError, match="no run to resume was begun in"):
        run_folder.folder_to_resume(replace(SETTINGS, resume=str(tmp_path)), tmp_path)


def test_the_kind_of_a_group_is_a_difference_even_where_the_settings_are_equal():
    one = replace(SETTINGS, network=config.Cosines(count=8))
    found = differences(describe(one), describe(replace(one, network=config.Legendre(count=8))))
    assert found == ["network: Cosines -> Legendre"]
    assert json.loads(json.dumps(describe(one))) == describe(one)


def test_another_environment_is_told_and_recorded(tmp_path: Path):
    folder = begin(tmp_path, "one", SETTINGS)
    same = {"version.torch": "2.11", "device": "cpu, 2 threads"}
    fewer = {**same, "device": "cpu, 1 threads"}

    def go_on(iteration: int, environment: dict[str, str]) -> list[str]:
        return run_folder.go_on(folder, run_folder.require_resumable(folder, SETTINGS), iteration, environment)

    assert go_on(7, same) == []
    (line,) = go_on(9, fewer)
    assert "device: cpu, 2 threads -> cpu, 1 threads" in line
    (line,) = go_on(11, same)  # a part of the run was made by fewer threads
    assert "device: cpu, 1 threads -> cpu, 2 threads" in line
    record = run_folder.require_resumable(folder, SETTINGS)
    assert [one["iteration"] for one in record.environments] == [0, 7, 9, 11]
    assert record.environments[2]["device"] == "cpu, 1 threads"


def test_a_problem_whose_file_has_changed_is_refused(tmp_path: Path):
    folder = begin(tmp_path, "one", SETTINGS)
    record = run_folder.require_resumable(folder, SETTINGS)
    run_folder.require_same_problem(record, PROBLEM)
    with pytest.raises(UserError, match="a file that its problem is made of has changed"):
        run_folder.require_same_problem(
            record, build(config.FormulaProblem(name="a test", coefficient="2", forcing="1"), 0.1)
        )


def test_a_folder_with_a_run_in_it_is_not_used_for_another(tmp_path: Path):
    run_folder.require_unused(tmp_path)
    with pytest.raises(UserError, match="holds another run"):
        run_folder.require_unused(begin(tmp_path, "one", SETTINGS))
