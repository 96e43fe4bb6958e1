"""What is said of a grid while it runs."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from benchmark.api import grid_config, run_grid, run_grids
from benchmark.progress import Bars, Tally
from benchmark.runs.plan import plan

BROKEN = '''
from benchmark.detector import Card, Detector
from benchmark.registry import register

@register("broken")
class Broken(Detector):
    """Fails."""
    card = Card("nothing")
    def fit(self, train, val, *, seed, budget):
        raise ValueError("no")
    def predict(self, images): ...
'''


def test_a_tally_knows_failures_the_best_and_the_time_left(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    named = ["ridge", str(tmp_path / "broken.py")]
    grid = grid_config(named, n=20, seeds=2, results=tmp_path / "results", threads=1)
    tally = Tally()
    planned = plan(grid)
    tally.planned(planned)
    assert tally.text(1) == ""
    done = run_grid(grid)
    for one, stored in zip((p for p in planned if p.asked), done, strict=True):
        tally.finished(one, stored)
    best = min(run.record.scores["mean"] for run in done if run.record.status == "finished")
    assert tally.text(2).startswith(f"2 failed, best ridge {best:.3g} px")
    again = Tally()
    again.planned(plan(grid.model_copy(update={"seeds": (5,), "detectors": ("ridge",)})))
    assert again.text(1).endswith(" left")


def test_several_grids_share_one_bar_and_a_log_has_no_control_characters(tmp_path: Path) -> None:
    out = io.StringIO()
    grids = [grid_config("ridge", n=n, results=tmp_path / "results", threads=1) for n in (20, 30)]
    with Bars(Console(file=out, width=80)) as bars:
        run_grids(grids, bars)
        assert [task.total for task in bars._bars.tasks] == [4]
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("fitted in") == 2
