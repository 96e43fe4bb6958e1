"""The figures of the README are those of the published runs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs.bundle import open_results
from leaderboard.board import boards
from leaderboard.render.tables import as_rows

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| ([\d–]+) \| ([\w:=,+.-]+) \| (\d+\.\d{3}) \| (\d+\.\d) \| ([\d.]+) \|", TEXT, flags=re.MULTILINE
)
TASKS = re.findall(
    r"^\| ([a-z-]+) \| ([\d.]*) \| ([\d.]+(?: px)?) \| ([\d.]*) \| ([\d.]*) \|$",
    TEXT.partition("\n| task |")[2],
    flags=re.MULTILINE,
)


def test_the_readme_has_both_tables() -> None:
    assert len(ROWS) >= 9
    assert len(TASKS) >= 9


@cache
def rows_of(folder: str) -> list[dict[str, Any]]:
    made = boards(open_results(ROOT / "leaderboard" / "published" / folder))
    return [row for board in made for row in as_rows(board)]


@pytest.mark.parametrize(("rank", "name", "px", "exact", "fit"), ROWS, ids=[row[1] for row in ROWS])
def test_a_row_of_the_readme_is_a_published_one(rank: str, name: str, px: str, exact: str, fit: str) -> None:
    place = {"detector": name, "task": "topleft", "data": "tiny", "seeds": [0]}
    (known,) = (row for row in rows_of(".") if place.items() <= row.items())
    assert rank == (known["rank"] or "–").replace("-", "–")
    assert px == f"{known['mean']:.3f}"
    assert exact == f"{100 * known['exact']:.1f}"
    seconds = known["fit_seconds"]
    assert fit == (f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}")


@pytest.mark.parametrize("row", TASKS, ids=[row[0] for row in TASKS])
def test_a_task_of_the_readme_is_published_with_three_seeds(row: tuple[str, ...]) -> None:
    name, untrained, *cells = row
    rows = [r for r in (*rows_of("confirmed"), *rows_of(".")) if (r["detector"], r["task"]) == ("extrema", name)]

    def cell(data: str) -> str:
        found: dict[str, Any] | None = next((r for r in rows if r["data"] == data), None)
        if found is None:
            return ""
        assert found["seeds"] == [0, 1, 2]
        exact = found.get("exact_all") if name == "both" else found["exact"]
        return f"{found['mean']:.2f} px" if exact is None else "100" if exact == 1 else f"{100 * exact:.2f}"

    assert cells == [cell("tiny"), cell("tiny-wide"), cell("tiny-moved")]
    if untrained:
        shown = next(r for r in rows if r["data"] == "tiny")
        assert untrained == f"{100 * shown['untrained_exact']:.1f}"


def test_the_probe_of_the_readme_is_the_published_one() -> None:
    """Whose own figures ``test_published`` makes again from the bundles."""
    published = (ROOT / "leaderboard" / "published" / "probe" / "PROBE.md").read_text(encoding="utf-8")
    assert published[published.index("| backbone |") :] in TEXT


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
