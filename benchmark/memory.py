"""How much memory there is, so that what would need more says so before it starts and not after an hour."""

from __future__ import annotations

from pathlib import Path

from benchmark.structures import UserError

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that a process may still take: of the machine, and of the container it runs in; None where unknown."""
    known = [n for n in (_of_machine(), _of_container()) if n is not None]
    return min(known) if known else None


def require(needed: int, what: str, mend: str) -> None:
    """Refuse to start what does not fit.

    Args:
        needed: Bytes.
        what: Who needs them, for the error.
        mend: What would make it fit.

    Raises:
        UserError: Where more is needed than there is.
    """
    there = available()
    if there is not None and needed > there:
        raise UserError(f"{what} would need about {_gib(needed)} of memory, and {_gib(there)} are free: {mend}")


def kernel_figure(path: Path, name: str) -> int | None:
    """Bytes that a file of ``/proc`` gives under a name, in KiB; None where it does not."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)
    return None if found is None else 1024 * int(found)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _of_machine() -> int | None:
    return kernel_figure(MEMINFO, "MemAvailable")


def _of_container() -> int | None:
    try:
        most, used = ((CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return None if most == "max" else int(most) - int(used)
    except (OSError, ValueError):
        return None
