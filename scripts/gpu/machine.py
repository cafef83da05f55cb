"""What the GPU can do at best: its clock, the rates of its arithmetic, its bandwidth."""

import itertools
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpu.findings import Findings

LANES = 128  # instructions that a multiprocessor issues in a clock: four schedulers, a warp of 32 threads each
_CHAINS = 8  # independent sums of a thread
_ROUNDS = 4
FMAS_A_TURN = _CHAINS * _ROUNDS


@dataclass(frozen=True)
class Machine:
    """A GPU.

    Attributes:
        multiprocessors: How many it has.
        clock: Highest clock of a multiprocessor, Hz.
    """

    multiprocessors: int
    clock: float

    @property
    def issue_rate(self) -> float:
        """Instructions of single threads in a second, at most."""
        return self.multiprocessors * LANES * self.clock


def seconds(launch: Callable[[], object], repeats: int = 9, warm_up: int = 2) -> float:
    """Median time of one launch by events on the GPU; they are queued without a gap."""
    for _ in range(warm_up):
        launch()
    torch.cuda.synchronize()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for event in events[1:]:
        launch()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) for a, b in itertools.pairwise(events)) / 1e3


def asked(field: str) -> float | None:
    """A number from nvidia-smi, which is only asked; None where it does not answer."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "-i", "0"]
    try:
        return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def machine() -> Machine:
    """This one.

    Raises:
        RuntimeError: If nobody knows its clock.
    """
    properties = torch.cuda.get_device_properties(0)
    highest = asked("clocks.max.sm") or getattr(properties, "clock_rate", 0) / 1e3  # MHz
    if not highest:
        raise RuntimeError("neither nvidia-smi nor PyTorch tells the clock")
    return Machine(properties.multi_processor_count, highest * 1e6)


def fma_kernel() -> Any:
    """A kernel of nothing but multiply-adds: 32 a turn in each thread, eight independent sums."""
    from numba import cuda, float32

    @cuda.jit
    def chains(out, factor, turns):
        thread = cuda.grid(1)  # pyright: ignore[reportCallIssue]
        x = factor
        a, b, c, d = float32(thread), float32(1), float32(2), float32(3)
        e, f, g, h = float32(4), float32(5), float32(6), float32(7)
        while turns > 0:
            turns -= 1
            a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
            e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
            a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
            e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
            a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
            e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
            a, b, c, d = cuda.fma(a, x, x), cuda.fma(b, x, x), cuda.fma(c, x, x), cuda.fma(d, x, x)
            e, f, g, h = cuda.fma(e, x, x), cuda.fma(f, x, x), cuda.fma(g, x, x), cuda.fma(h, x, x)
        out[thread] = a + b + c + d + e + f + g + h

    return chains


def measure() -> Findings:
    """Copy, matrix products, multiply-adds, and the clock while it works."""
    found = Findings("The machine at its best", ["what", "share of limit", "measured", "limit", "unit"])
    here = machine()
    flops = 2 * here.issue_rate

    source, copy = torch.randn(2**29, device="cuda"), torch.full((2**29,), torch.nan, device="cuda")  # 2 GiB each
    taken = seconds(lambda: copy.copy_(source))
    found.rows.append(["copy, bytes read and written", None, 2 * 4 * 2**29 / taken / 1e12, None, "TB/s"])
    del source, copy

    threads, turns = here.multiprocessors * 2048, 20_000
    out = torch.full((threads,), torch.nan, device="cuda")
    kernel = fma_kernel()
    launch = _fma_launch(kernel, out, threads, turns)
    rate = 2 * FMAS_A_TURN * turns * threads / seconds(launch)
    found.rows.append(["multiply-adds, kernel of nothing else", rate / flops, rate / 1e12, flops / 1e12, "TFLOP/s"])
    if not bool(torch.isfinite(out).all()):
        found.failed.append("the kernel of multiply-adds left numbers unwritten")

    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        left, right = (torch.randn(8192, 8192, device="cuda").to(kind) for _ in range(2))
        rate = 2 * 8192**3 / seconds(lambda left=left, right=right: left @ right, repeats=5)
        limit = flops if kind == torch.float32 else None
        share = rate / limit if limit else None
        name = f"matrix product, {name}, 8192 x 8192"
        found.rows.append([name, share, rate / 1e12, limit and limit / 1e12, "TFLOP/s"])
    for _ in range(300):  # work for a second or more, during which nvidia-smi is asked
        launch()
    busy = asked("clocks.sm")
    torch.cuda.synchronize()
    found.rows.append(["clock under load", busy and busy * 1e6 / here.clock, busy, here.clock / 1e6, "MHz"])
    found.notes.append(
        f"{torch.cuda.get_device_name(0)}: {here.multiprocessors} multiprocessors; the limit of float32 is"
        f" {LANES} multiply-adds a clock and multiprocessor at the highest clock."
    )
    return found


def _fma_launch(kernel: Any, out: torch.Tensor, threads: int, turns: int) -> Callable[[], object]:
    from numba import cuda

    stream = cuda.external_stream(torch.cuda.current_stream().cuda_stream)
    seen = cuda.as_cuda_array(out, sync=False)
    return lambda: kernel[threads // 256, 256, stream](seen, np.float32(0.999), np.int32(turns))
