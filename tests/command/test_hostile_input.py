"""Twenty thousand command lines and formulas made to break homog-run: it takes them, or says in one line why not."""

import gc
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import Answer, Command, prepare, time_limit
from hostile_texts import arguments, formula, matrix, vector, walls

from homog.config import BoundsTimeStep, Energy, FormulaProblem, Legendre, RunSettings
from homog.errors import UserError

SECONDS = 60  # for one answer, on a busy machine
ALL, CHUNK = 10_000, 500


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with pytest.MonkeyPatch.context() as patch:
        yield Command(patch, tmp_path_factory.mktemp("hostile") / "home")


def check(answer: Callable[[int], tuple[Answer, object]], seeds: range) -> None:
    """One answer a seed."""
    counts, slowest = Counter[str](), 0.0
    gc.collect()
    gc.disable()  # half the time otherwise: the process holds a million objects of torch
    try:
        for seed in seeds:
            given, what = answer(seed)
            assert given.accepted or given.refused, f"seed {seed}, {what!r}: {given}"
            counts["accepted" if given.accepted else "refused"] += 1
            slowest = max(slowest, given.seconds)
            if seed % 100 == 0:
                gc.collect()
    finally:
        gc.enable()
    print(f"{seeds}: {dict(counts)}, slowest {slowest:.1f} s")


def of_command(command: Command) -> Callable[[int], tuple[Answer, object]]:
    def answer(seed: int) -> tuple[Answer, object]:
        given = arguments(random.Random(seed))
        return command(*given), given

    return answer


def of_formula(seed: int) -> tuple[Answer, object]:
    """Formulas in their places, a matrix, or what holds on the faces, as far as the walkers' source code."""
    chance = random.Random(seed)
    place = chance.choice(
        ["coefficient"] * 4 + ["forcing", "boundary", "period", "reaction", "faces", "matrix", "velocity"]
    )
    texts: dict[str, Any] = {"coefficient": "2", "forcing": "1"}
    if place == "faces":
        texts |= {"boundary": walls(chance)}
    elif place == "matrix":
        texts |= {"coefficient": matrix(chance)}
    elif place == "velocity":
        texts |= {"velocity": vector(chance)}
    else:
        texts |= {place: formula(chance)}
    status, told, start = 0, "", time.process_time()
    try:
        with time_limit(SECONDS):
            settings = RunSettings(
                problem=FormulaProblem(name="hostile", **texts),
                timestep=BoundsTimeStep(macro_factor=1.0),
                method=Energy(),
                network=Legendre(count=4),
                eps=0.1,
            )
            prepare(settings, Path("unused"))
    except UserError as error:
        status, told = 2, f"homog-run: {error}\n"
    except BaseException:
        status, told = None, traceback.format_exc()
    return Answer(status, "", told, time.process_time() - start), texts


def test_a_few_hostile_command_lines(command: Command):
    check(of_command(command), range(60))


def test_a_few_hostile_formulas(command: Command):
    check(of_formula, range(140))


def test_what_is_sound_is_accepted(command: Command):
    """The harness itself: it refuses nothing that homog-run would run, and finds a traceback where there is one."""
    for line in (
        [],
        ["problem=nonlinear"],
        ["seed=3", "-m", "eps=0.1,0.2"],
        ["--cfg", "job"],
        ["--cfg", "job", "eps=0.1"],
    ):
        assert command(*line).accepted, line
    assert command("problem.name=${eps}", "hydra.output_subdir=null").accepted


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, ALL, CHUNK))
def test_ten_thousand_hostile_command_lines(command: Command, first: int):
    check(of_command(command), range(first, first + CHUNK))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(0, ALL, CHUNK))
def test_ten_thousand_hostile_formulas(command: Command, first: int):
    check(of_formula, range(first, first + CHUNK))
