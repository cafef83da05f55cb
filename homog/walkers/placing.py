"""Arrays of the host on the device where they are wanted."""

import numpy as np
import torch
from torch import Tensor


def placed(values: np.ndarray | Tensor, device: torch.device | None = None) -> Tensor:
    """The same values as a tensor on a device; the host does not wait until they are there.

    Args:
        values: Array on the host; a tensor stays as it is.
        device: None: the CPU.
    """
    if isinstance(values, Tensor):
        return values
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device is None or device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)  # torch keeps the pinned memory until it has been read
