"""The figures of the README are those of the published runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leaderboard.expected import expected

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \*?([\w:=,+.-]+)\*?(?: \[\w\])? \| ([\d.]+) \| ([\d.]+) \|", TEXT, flags=re.MULTILINE)


def test_the_readme_has_a_board() -> None:
    assert len(ROWS) >= 9


@pytest.mark.parametrize(("name", "px", "exact"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_readme_is_a_published_one(name: str, px: str, exact: str) -> None:
    known = expected()[name]
    assert px == f"{known['mean']:.3f}"
    assert exact == f"{100 * known['exact']:.1f}"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
