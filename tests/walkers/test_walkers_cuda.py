"""Walkers on a GPU, as far as this can be seen without one: in Numba's simulator, and in what its compiler writes."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import simulated_gpu
import torch
from numba import cuda, types
from numba.cuda import dispatcher
from simulated_gpu import (
    CASES,
    KEY,
    NEXT_KEY,
    PER_POINT,
    POINTS,
    Case,
    SimulatedGpu,
    arrays_of,
    require_same_walks,
)

from homog.errors import UserError
from homog.walkers import Walkers, missing_for_cuda, on_cuda, point_keys, walk

GPU = torch.device("cuda")
NAMES = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the walkers of all cases bring back in the simulator."""
    folder = tmp_path_factory.mktemp("simulated")
    choices = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}  # of overflow
    subprocess.run([sys.executable, simulated_gpu.__file__, folder], env={**os.environ, **choices}, check=True)
    return folder


@NAMES
def test_gpu_and_cpu_agree_on_two_iterations_walked_together(simulated: Path, kernels: Path, name: str):
    """Each point's walkers have a key of their own: one launch for both iterations, two walks on the CPU."""
    case = CASES[name]
    walks = [case.walk(kernels, "cpu", case.points(seed), key) for seed, key in ((1, KEY), (2, NEXT_KEY))]
    first, second = map(arrays_of, walks)
    exact = {array: np.concatenate([first[array], second[array]], axis=-2) for array in first}
    found = dict(np.load(simulated / f"{name}.npz"))
    assert found.keys() == exact.keys()
    require_same_walks(*(SimpleNamespace(**{"variance": None, **arrays}) for arrays in (found, exact)))


def test_the_cpu_walks_points_of_two_iterations_together_too(kernels: Path):
    case = CASES["linear"]
    points = [case.points(seed) for seed in (1, 2)]
    separate = [case.walk(kernels, "cpu", p, key) for p, key in zip(points, (KEY, NEXT_KEY), strict=True)]
    keys = np.concatenate([point_keys(key, POINTS, PER_POINT) for key in (KEY, NEXT_KEY)])
    together = case.walk(kernels, "cpu", np.concatenate(points), keys)
    for array, values in arrays_of(together).items():
        np.testing.assert_array_equal(values, np.concatenate([getattr(part, array) for part in separate], axis=-2))


class _Asked:
    """Stands for a kernel that is launched, to see with what."""

    def __getitem__(self, configuration: object) -> "_Asked":
        return self

    def __call__(self, *arguments: object) -> None:
        self.signature = types.void(*map(numba.typeof, arguments))


def hopper_code(case: Case, cache: Path, patch: pytest.MonkeyPatch) -> str:
    """The PTX of a case's kernel, for the arguments that it is launched with."""
    asked = _Asked()
    patch.setattr(walk, "Cuda", lambda device: SimulatedGpu())
    patch.setattr(walk, "load_module", lambda source, cache: SimpleNamespace(walk=asked))
    case.walk(cache, "cuda", case.points(1), KEY)
    patch.undo()
    patch.setattr(walk, "Cuda", lambda device: SimulatedGpu())
    kernel = Walkers(case.problem, case.scheme, cache, GPU)._walk
    # no device is asked for its kind: the kind is given
    patch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    fast = kernel.targetoptions["fastmath"]
    return cuda.compile_ptx(kernel.py_func, asked.signature, fastmath=fast, cc=(9, 0))[0]


@NAMES
def test_every_kernel_builds_for_hopper_without_double_precision_calls_or_local_memory(
    kernels: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    from homog.walkers import cuda_rounding  # noqa: F401

    code = hopper_code(CASES[name], kernels, monkeypatch)
    assert ".target sm_90" in code
    operations = [line.split()[0] for line in code.splitlines() if line.startswith("\t") and line.strip()]
    assert sum(operation.startswith("fma.rn.ftz.f32") for operation in operations) > 30
    assert not [operation for operation in operations if re.search(r"\.f64|^call|\.local", operation)]


def test_what_is_missing_is_said_in_one_line(make_problem, kernels: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(on_cuda.importlib.util, "find_spec", lambda name: None)
    assert missing_for_cuda() == "walkers on a GPU need numba-cuda: pip install 'homog[gpu]'"
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = missing_for_cuda()
    assert line is not None
    assert "take the CPU" in line
    assert "\n" not in line
    with pytest.raises(UserError, match="one that PyTorch can use"):
        Walkers(make_problem(), CASES["linear"].scheme, kernels, GPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "is_available", lambda: False)
    assert "NVVM" in str(missing_for_cuda())
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    assert missing_for_cuda() is None
