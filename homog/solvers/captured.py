"""One iteration as one CUDA graph: what the host would launch a hundred times, it replays in one call."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

_WARM = 3  # calls before the capture: libraries make their handles and workspaces in the first ones


class CapturedStep:
    """A step that is captured once, and then replayed on new contents of the same tensors.

    Args:
        step: Takes a dataclass of tensors, some of them perhaps None, and returns a tensor. Nothing but operations on
            the device, the same for each call.
    """

    def __init__(self, step: Callable[[Any], Tensor]) -> None:
        self._step = step
        self._inputs: Any = None
        self._calls = 0
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, inputs: Any) -> Tensor:
        """One step; what it returns is overwritten by the next."""
        tensors = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
        tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        if self._inputs is None:
            self._inputs = replace(inputs, **{name: tensor.clone() for name, tensor in tensors.items()})
        else:
            for name, tensor in tensors.items():
                getattr(self._inputs, name).copy_(tensor)
        self._calls += 1
        if self._calls <= _WARM:
            return _aside(lambda: self._step(self._inputs))
        if self._replay is None:
            self._replay = _captured(lambda: self._step(self._inputs))
        return self._replay()


def _aside(step: Callable[[], Tensor]) -> Tensor:
    """A call on another stream than the device's default one, as a capture wants the calls before it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = step()
    torch.cuda.current_stream().wait_stream(stream)
    return result


def _captured(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """What does the same as a call from now on. The capture itself computes nothing."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay
