"""Kernels run on a CUDA device, on torch's stream and in its memory: the host hands work over and waits for nothing."""

import importlib.util
import warnings
from itertools import chain
from typing import Any

import numpy as np
import torch

from homog.errors import UserError
from homog.walkers.batch import Batch, Found
from homog.walkers.kernel import cuda_source
from homog.walkers.lookup import Table
from homog.walkers.medium import Medium
from homog.walkers.placing import placed
from homog.walkers.step import Scheme

THREADS = 128  # of a block


def missing_for_cuda() -> str | None:
    """What walkers on a GPU lack here, in one line that says what to do; None if nothing."""
    if importlib.util.find_spec("numba_cuda") is None:
        return "walkers on a GPU need numba-cuda: pip install 'homog[gpu]'"
    if not torch.cuda.is_available():
        built = "finds no GPU or no driver" if torch.version.cuda else "was built without CUDA"
        return f"walkers on a GPU need one that PyTorch can use, and this PyTorch {built}: take the CPU"
    from numba import cuda

    if not cuda.is_available():
        return "walkers on a GPU need NVVM and a driver that Numba can use: pip install 'homog[gpu]', or take the CPU"
    return None


class Cuda:
    """A GPU.

    Args:
        device: The GPU.

    Raises:
        UserError: If walkers cannot run there.
    """

    def __init__(self, device: torch.device) -> None:
        if missing := missing_for_cuda():
            raise UserError(missing)
        from homog.walkers import cuda_rounding  # noqa: F401

        self._device = device

    def source(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        return cuda_source(medium, dimension, scheme)

    def source_by_pace(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        raise ValueError("walkers that choose their steps by the place walk on the CPU")

    def hold(self, table: Table) -> tuple[Any, ...]:
        arrays = [part for part in (table.coefficients, table.values) if part is not None]
        return *(placed(part, self._device) for part in arrays), *table.counts, *table.per_length

    def run(self, kernel: Any, batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]) -> Found:
        from numba import cuda

        total = batch.walkers
        with torch.cuda.device(self._device):
            found = torch.empty((Found.rows(batch), total), dtype=torch.float32, device=self._device)
            left = torch.empty(total, dtype=torch.bool, device=self._device)
            stream = cuda.external_stream(torch.cuda.current_stream().cuda_stream)
            places, keys = placed(batch.places, self._device), placed(batch.keys.view(np.int64), self._device)
            # torch exports no stream with its tensors, so that nothing would wait; `sync` says that nothing may
            seen = [cuda.as_cuda_array(tensor, sync=False) for tensor in (places, keys, found, left)]
            held = [
                tuple(cuda.as_cuda_array(p, sync=False) if isinstance(p, torch.Tensor) else p for p in parts)
                for parts in tables
            ]
            launch(kernel, batch, constants, seen, held, stream)
        return Found.of(batch, found, left)


def launch(
    kernel: Any, batch: Batch, constants: np.ndarray, arrays: list[Any], tables: list[tuple[Any, ...]], stream: Any
) -> None:
    """Start a kernel that `cuda_source` wrote.

    Args:
        kernel: `walk`.
        batch: What to walk.
        constants: Constants of the medium, float32.
        arrays: As the kernel can reach them: the batch's places and keys, room for what is found of shape
            (`Found.rows`, n s), float32, with the rows of `Found`, and for `left` of shape (n s,), bool.
        tables: As `Cuda.hold` gives them, their coefficients as the kernel can reach them.
        stream: Numba's stream.
    """
    blocks = -(-batch.walkers // THREADS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Numba finds few walkers too little work
        configured = kernel[blocks, THREADS, stream]
    configured(
        *arrays, np.int32(batch.per_point), np.int32(batch.count), batch.micro_step, batch.safe,
        *constants, *chain.from_iterable(tables),
    )  # fmt: skip
