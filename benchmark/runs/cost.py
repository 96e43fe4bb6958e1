"""What a run costs, in figures that compare across machines as far as figures can.

    seconds      wall clock and processor time (all threads, and children that have ended)
    memory       the most that was resident meanwhile, and on a GPU allocated
    energy       of the whole machine meanwhile, where the kernel counts it (powercap, RAPL)
    reference    milliseconds that a fixed piece of work takes here, so that a board can show a ratio beside the figure

A figure that this system does not give is None.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark.memory import kernel_figure

POWERCAP = Path("/sys/class/powercap")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what `CLEAR` takes to forget the highest resident size; see proc(5)
MOST_SINGLE = 16  # images asked one by one
SINGLE_SECONDS = 1.0  # after which no more are


class Cost(BaseModel):
    """What a run cost, as its record keeps it beside the seconds on the clock; None where this system did not say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    fit_processor_seconds: float | None = Field(default=None, ge=0, le=1e12, description="of all threads and children")
    single_ms: float | None = Field(default=None, ge=0, le=1e12, description="milliseconds for one image asked alone")
    peak_memory: int | None = Field(default=None, ge=0, le=2**53, description="bytes resident at most during the fit")
    gpu_memory: int | None = Field(default=None, ge=0, le=2**53, description="bytes allocated at most on a GPU")
    energy: float | None = Field(default=None, ge=0, le=1e12, description="joules of the whole machine during the fit")
    reference_ms: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="milliseconds for a fixed piece of work in that process; see `reference_ms`",
    )


@dataclass
class Spent:
    """What a piece of work took; filled when it ends.

    Attributes:
        seconds: Wall clock.
        processor_seconds: Of all threads of this process, and of children that have ended.
        peak_memory: Bytes resident at most, in this process; None where the system does not say.
        gpu_memory: Bytes allocated at most on a GPU; None where none is used.
        energy: Joules of the whole machine; None where the kernel does not count them.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_memory: int | None = None
    gpu_memory: int | None = None
    energy: float | None = None


@contextmanager
def measured() -> Iterator[Spent]:
    """What happens inside is measured, also where it raises."""
    spent = Spent()
    can_tell = _forget_peak()
    torch = sys.modules.get("torch")  # a detector without a network does not load it for this
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    counters, processor, started = _energy_counters(), _processor_seconds(), time.perf_counter()
    try:
        yield spent
    finally:
        spent.seconds = time.perf_counter() - started
        spent.processor_seconds = _processor_seconds() - processor
        spent.peak_memory = _peak() if can_tell else None
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            spent.gpu_memory = int(torch.cuda.max_memory_allocated()) or None
        spent.energy = _joules(counters, _energy_counters())


def single_ms(ask: Callable[[int], object], count: int) -> float | None:
    """Milliseconds for one image asked alone: the median of up to `MOST_SINGLE`, after one to warm up.

    Args:
        ask: Answers image i.
        count: How many images there are.
    """
    took: list[float] = []
    begun = time.perf_counter()
    for i in range(min(count, MOST_SINGLE) + 1):
        started = time.perf_counter()
        ask(i % count)
        took.append(time.perf_counter() - started)
        if time.perf_counter() - begun > SINGLE_SECONDS and len(took) > 1:
            break
    return 1000 * float(np.median(took[1:])) if len(took) > 1 else None


@cache
def reference_ms(threads: int) -> float:
    """Milliseconds for a fixed piece of work on this machine: products of matrices, a sort, a loop; the best of three.

    Args:
        threads: That the numeric libraries may use, set by the caller; each number is measured once a process.
    """
    random = np.random.default_rng(0)
    matrix, values = random.random((256, 256), dtype=np.float32), random.random(50_000)

    def work() -> float:
        started = time.perf_counter()
        product = matrix
        for _ in range(10):
            product = product @ matrix
            product /= np.abs(product).max()
        np.sort(values)
        total = 0
        for i in range(50_000):
            total += i & 7
        return time.perf_counter() - started

    return 1000 * min(work() for _ in range(3))


def _processor_seconds() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _forget_peak() -> bool:
    """Make the system count the highest resident size anew; False where it cannot."""
    try:
        CLEAR.write_text(RESET_PEAK)
    except OSError:
        return False
    return _peak() is not None


def _peak() -> int | None:
    return kernel_figure(STATUS, "VmHWM")


def _energy_counters() -> dict[Path, int]:
    """Microjoules counted so far, of each processor package that may be read."""
    counters = {}
    for folder in sorted(POWERCAP.glob("*-rapl:[0-9]*")):
        if folder.name.count(":") == 1:  # parts of a package are counted in it
            try:
                counters[folder] = int((folder / "energy_uj").read_text())
            except (OSError, ValueError):
                continue
    return counters


def _joules(before: dict[Path, int], after: dict[Path, int]) -> float | None:
    if not before or before.keys() != after.keys():
        return None
    total = 0
    for folder, count in after.items():
        used = count - before[folder]
        if used < 0:  # the counter began anew
            try:
                used += int((folder / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                return None
        total += used
    return total / 1e6
