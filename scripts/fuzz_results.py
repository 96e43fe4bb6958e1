"""Mutants of perfect results files: each is refused with one clear line, or scores no better than perfect.

    python scripts/fuzz_results.py --count 100000

Half of the files answer one-instance data, half several instances an image. Of one-instance files that are accepted the
mean error is recomputed from the JSON in plain Python, so that nothing can be dropped unseen. Stops with the traceback
and the text of the first mutant that breaks the rule.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "metrics")]

from scoring_fuzz import fuzz  # noqa: E402  (on the path since the line above)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = fuzz(options.count, options.seed, Path(folder))
    print(", ".join(f"{count} {what}" for what, count in sorted(verdicts.items())))
    print(f"{options.count} mutants in {time.perf_counter() - start:.0f} s, none scored better than perfect")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
