"""One thread a process: the tests run side by side on every core, and threads beyond the cores only wait for each other."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
