"""Where a network trains."""

import torch

from homog.errors import UserError
from homog.machine import torchrun


def chosen(wanted: str) -> torch.device:
    """The device that a setting asks for; of several ranks on one machine each takes a GPU of its own.

    Args:
        wanted: `cpu`, `cuda`, or `auto` for a GPU where there is one.

    Raises:
        UserError: If there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch sees no GPU here; write device=cpu or device=auto")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    local = torchrun.rank_here() % torch.cuda.device_count()
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def name(device: torch.device) -> str:
    """The GPU's, or how many threads of the CPU torch takes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
