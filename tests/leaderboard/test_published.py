"""The published board is what its stored runs say, and they pass the audit."""

from __future__ import annotations

from pathlib import Path

from benchmark.store import Store
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.tables import markdown

PUBLISHED = Store(Path(__file__).parents[2] / "leaderboard" / "published")


def test_the_published_board_is_made_of_the_runs_beside_it() -> None:
    """Stale? ``python -m benchmark leaderboard --results leaderboard/published`` writes it again."""
    assert (PUBLISHED.root / "LEADERBOARD.md").read_text(encoding="utf-8") == markdown(boards(PUBLISHED))


def test_the_published_runs_pass_the_audit() -> None:
    assert [problem for check in audit(PUBLISHED).checks for problem in check.problems] == []
