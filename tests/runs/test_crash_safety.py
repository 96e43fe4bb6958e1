"""What scripts/crash_safety.py counts in the large, in the small: kills, several writers, files cut off, clocks, disks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "crash_safety.py"


def test_nothing_finished_is_lost_and_nothing_half_finished_counts() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--kills", "4"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines.keys() == {
        "kills", "two-writers", "four-writers", "truncated", "clock", "full-disk", "read-only"
    }  # fmt: skip
    for name, line in lines.items():
        lost = re.search(r"(\d+) rows (lost|made twice)", line)
        assert line.startswith("skipped") or name == "truncated" or (lost and lost.group(1) == "0"), (name, line)
    assert "4 kills" in lines["kills"]
