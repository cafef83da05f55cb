"""Several processes at one run, each with its share of the points: data parallel, begun by torchrun.

What is drawn is a function of seed, iteration and walker alone, so that the points and paths of all ranks together are
those of one process; sums over ranks differ from its sums by the order of summation. In one process nothing here does
anything.
"""

import datetime
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

from homog.machine import torchrun

_PATIENCE = datetime.timedelta(hours=24)  # the others wait for rank 0 while it computes a reference


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Within, the processes that torchrun has begun work together.

    Args:
        device: On which this rank trains.
    """
    if torchrun.processes() == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """The ranks that work together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own() -> int:
    """This one's number."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def share(size: int) -> slice:
    """This rank's share of so many points: consecutive ones."""
    return slice(size * own() // count(), size * (own() + 1) // count())


def add(parts: Sequence[Tensor]) -> None:
    """Replace tensors of one type and device by their sums over all ranks, in one message."""
    if count() == 1:
        return
    flat = torch.cat([part.detach().reshape(-1) for part in parts])
    distributed.all_reduce(flat)
    for part, total in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
        part.detach().copy_(total.view_as(part))


def joint(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows of all ranks, where each has those of its `share` of `size`."""
    if count() == 1:
        return rows
    whole = np.zeros((size, *rows.shape[1:]))
    whole[share(size)] = rows
    add([torch.from_numpy(whole)])
    return whole


def largest(number: float) -> float:
    """The largest of the numbers that the ranks name."""
    if count() == 1:
        return number
    found = torch.tensor(number, dtype=torch.float64)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return float(found)


def from_first(state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What rank 0 has, on every rank: tensors and plain values in dictionaries and lists, or None."""
    if count() == 1:
        return state
    body = io.BytesIO()
    torch.save(state, body)
    sent = torch.frombuffer(bytearray(body.getbuffer()), dtype=torch.uint8)
    size = torch.tensor(len(sent))
    distributed.broadcast(size, 0)
    received = sent if own() == 0 else torch.empty(int(size), dtype=torch.uint8)
    distributed.broadcast(received, 0)
    return torch.load(io.BytesIO(received.numpy().tobytes()), weights_only=True)
