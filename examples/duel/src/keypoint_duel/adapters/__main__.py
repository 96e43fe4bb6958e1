"""The program that a tool's Python runs; see the package."""

import importlib
import os
import sys
import threading
import time
from pathlib import Path


def end_with(process):
    """End where the suite has ended: a tool must not go on for hours with nobody to answer to."""
    while os.getppid() == process:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent)
    name, step, folder = sys.argv[1:4]
    if os.name == "posix" and os.environ.get("KEYPOINT_DUEL_PROCESS") == str(os.getppid()):
        threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    job = importlib.import_module("protocol").Job(Path(folder))
    job.check_version()
    getattr(importlib.import_module(name), step)(job)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is written: a tool's threads and caches take seconds to end, by the clock
