"""Where a run happened: versions, commit, processor. Recorded with every run; none of it is part of a run's key."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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


@cache
def environment() -> dict[str, Any]:
    """Python, platform, processor, cores, the project's git commit, and the versions of what decides numbers."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": cores(),
        "commit": _commit(),
        "packages": versions,
    }


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(wanted: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` is "cuda" where torch sees one. Asks torch only when it must.

    UserError for any other name, and for ``cuda`` where there is none.
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


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for row in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith("model name"):
                return row.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout this package runs from, "+" behind it where tracked files differ; None elsewhere."""
    here = Path(__file__).resolve().parent.parent
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
