"""What scripts/crash_safety.py counts in the large, in the small: kills, two writers, files cut off, full disks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "crash_safety.py"


def test_nothing_finished_is_lost_and_nothing_half_finished_counts() -> None:
    faults = ("kills", "two-writers", "truncated", "full-disk", "read-only")
    words = [sys.executable, str(SCRIPT), "--kills", "3", *(word for name in faults for word in ("--only", name))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines.keys() == set(faults)
    for name, line in lines.items():
        lost = re.search(r"(\d+) rows lost", line)
        assert line.startswith("skipped") or name == "truncated" or (lost and lost.group(1) == "0"), (name, line)
    assert "3 kills" in lines["kills"]
