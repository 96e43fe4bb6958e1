"""With what a run was made: code, library versions, processor, instruction set. Facts beside its key, no part of it.

Same key, same facts: the same bits. Another processor or instruction set rounds otherwise, and what a network learns
then differs as another seed's does; that is why both are written down.
"""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benchmark.structures import UserError

PACKAGES = (
    "keypoint-benchmark",
    "albumentations",
    "mlxtend",
    "numpy",
    "opencv-python-headless",
    "pycocotools",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "torchvision",
)
# The widest of these that a processor has is what numeric libraries use, unless one of the settings says otherwise.
INSTRUCTION_SETS = ("avx512f", "avx2", "avx", "sse4_1", "sse2")
SETTINGS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE")


class Facts(BaseModel):
    """With what a run was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: dict[str, str] = Field(
        default_factory=dict, description="file or module -> digest; see `benchmark.code_digest`"
    )
    file: str = Field(default="", description="the detector's own file, relative to the folder of results")
    data: str = Field(default="", description="the folder of the data, relative to the folder of results")
    options: dict[str, str | float] = Field(
        default_factory=dict, description="what was said about that folder; a file of sigmas relative to the results"
    )
    python: str = ""
    platform: str = ""
    processor: str = ""
    instruction_set: str = Field(default="", description="the widest there is, and settings that narrow it")
    cores: int | None = None
    commit: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)

    @property
    def hardware(self) -> str:
        """Processor and instruction set, as boards name them."""
        return ", ".join(filter(None, (self.processor, self.instruction_set)))


@cache
def machine() -> Facts:
    """The facts of this machine and installation, without any code."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Facts(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        instruction_set=instruction_set(),
        cores=cores(),
        commit=_commit(),
        packages=versions,
    )


def instruction_set() -> str:
    """The widest vector instructions of this processor, and the environment's settings that narrow them."""
    flags = _cpuinfo("flags").split() or _cpuinfo("Features").split()
    widest = next((name for name in INSTRUCTION_SETS if name in flags), platform.machine())
    narrowed = [f"{name}={os.environ[name]}" for name in SETTINGS if os.environ.get(name)]
    return " ".join([widest.upper().replace("AVX512F", "AVX512"), *narrowed])


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(wanted: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` is "cuda" where torch sees one. Asks torch only when it must.

    Raises:
        UserError: For any other name, and for ``cuda`` where there is none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"device {wanted!r}: give auto, cpu or cuda")
    if wanted == "cpu":
        return wanted
    if _may_have_cuda():
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if wanted == "cuda":
        raise UserError("device cuda: torch sees no CUDA device on this machine; give cpu or auto")
    return "cpu"


def _may_have_cuda() -> bool:
    """Whether an NVIDIA driver is here at all: a look at the file system, where importing torch takes seconds."""
    return (
        Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidia0").exists() or platform.system() == "Windows"
    )


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@cache
def _cpuinfo(field: str) -> str:
    """A field of the first processor in /proc/cpuinfo; "" where there is none."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for row in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.partition(":")[0].strip() == field:
                return row.partition(":")[2].strip()
    return ""


def _commit() -> str | None:
    """The commit of the checkout this package runs from, "+" behind it where tracked files differ; None elsewhere."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(where: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
