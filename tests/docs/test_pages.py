"""The pages of the documentation are about this code: what is generated is complete, and links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

import baselines
import detectors
from benchmark.cli import app
from benchmark.metrics import metrics
from datasets.corruptions import CORRUPTIONS
from datasets.tasks.build import build
from datasets.tasks.catalog import get_task, tasks
from leaderboard.expected import expected
from leaderboard.render.plots.kinds import KINDS
from leaderboard.render.words import MARKS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as the site is made of them, but for the photographs, which another test makes."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(script.GENERATED, "photos", lambda folder: "")
        script.write_pages(folder)
    return folder


def section(page: str, name: str) -> str:
    """What stands under a heading, up to the next."""
    found = re.search(rf"^##+ {re.escape(name)}\n(.*?)(?=^##+ |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert found, f"no heading {name}"
    return found[1]


@pytest.mark.parametrize("name", sorted(metrics()))
def test_a_metric_is_explained_and_not_only_listed(name: str) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    base, _, threshold = name.partition("@")
    if base == "pck":
        assert "**`pck@T`**" in page
    elif threshold:
        assert re.search(rf"`{base}@[^|]*@?{re.escape(threshold)}`", page)
    else:
        assert f"`{name}`" in page


def test_the_table_of_metrics_has_every_one_with_its_unit(written: Path) -> None:
    page = (written / "metrics.md").read_text(encoding="utf-8")
    rows = {cells[1].strip(" `"): cells for line in page.splitlines() if len(cells := line.split("|")) == 7}
    for name, one in metrics().items():
        assert rows[name][3].strip() == one.better
        assert one.unit in rows[name][2]


def test_every_task_has_a_picture(written: Path) -> None:
    page = (written / "tasks.md").read_text(encoding="utf-8")
    for name in tasks():
        assert f"(assets/tasks/{name}.png)" in section(page, name)
        assert (written / "assets" / "tasks" / f"{name}.png").stat().st_size < 60_000


def test_a_picture_rings_the_pixel_that_is_asked_for(script: ModuleType, written: Path) -> None:
    """The ring's middle, counted back to pixels, is the first ink of the first image, found here by its definition."""
    labels = build(get_task("topleft"), "tiny")[2]
    first = int(np.flatnonzero(labels.annotations.labels == 3)[0])
    ink = labels.images[first] > 0
    y = int(np.flatnonzero(ink.any(axis=1))[0])
    x = int(np.flatnonzero(ink[y])[0])
    picture = np.asarray(Image.open(written / "assets" / "tasks" / "topleft.png").convert("RGB"))
    zoom = picture.shape[0] // 28
    rows, columns = np.nonzero((picture[:, : 28 * zoom] == script.COLOURS["orange"]).all(axis=2))
    middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
    assert np.allclose((np.array(middle) + 0.5) / zoom - 0.5, (x, y), atol=0.5 / zoom)


def test_every_detector_stands_there_with_its_published_figures(written: Path) -> None:
    page = (written / "detectors.md").read_text(encoding="utf-8")
    for name in (*baselines.CATALOG, *detectors.CATALOG):
        text = section(page, name)
        assert "Follows: " in text
        if name in expected():
            assert (
                f"Published: {expected()[name]['mean']:.3f} px, {100 * expected()[name]['exact']:.1f} % exact" in text
            )
        else:
            assert "Published" not in text


def test_every_command_and_option_stands_there(written: Path) -> None:
    page = (written / "commands.md").read_text(encoding="utf-8")
    root: Any = get_command(app)
    for name, command in root.commands.items():
        text = section(page, name)
        for flag in [flag for one in command.params if one.param_type_name == "option" for flag in one.opts]:
            assert f"`{flag}" in text
        assert command.epilog.removeprefix("Example: ") in text


def test_every_mark_is_explained(written: Path) -> None:
    page = (written / "concepts.md").read_text(encoding="utf-8")
    assert [mark.letter for mark in MARKS.values() if f"| **{mark.letter}** |" not in page] == []


def test_the_page_on_boards_has_every_kind_of_plot_a_picture_and_a_page(written: Path) -> None:
    text = (written / "boards.md").read_text(encoding="utf-8")
    assert [name for name in (*KINDS, *CORRUPTIONS) if f"| `{name}` |" not in text] == []
    for theme in ("light", "dark"):
        assert f"(assets/ranks-{theme}.svg#only-{theme})" in text
        assert "cascadercnn" in (written / "assets" / f"ranks-{theme}.svg").read_text(encoding="utf-8")
    assert "(assets/topleft.html)" in text
    assert (written / "assets" / "topleft.html").stat().st_size < 2_000_000


def test_nothing_is_left_to_be_generated(written: Path) -> None:
    assert [page.name for page in written.glob("*.md") if "<!-- generated" in page.read_text(encoding="utf-8")] == []


def anchors(text: str) -> set[str]:
    """The places of a page that a link may name: headings as Python-Markdown calls them, and documented objects."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
    return slugs | set(re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_leads_somewhere(page: Path, written: Path) -> None:
    text = (written / page.name).read_text(encoding="utf-8")
    for link in LINK.findall(text):
        file, _, anchor = link.partition("#")
        target = written / (file or page.name)
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_in_the_navigation() -> None:
    sections = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    listed = [
        page
        for entry in sections
        for value in entry.values()
        for page in ([value] if isinstance(value, str) else value)
    ]
    assert sorted(listed) == [page.name for page in PAGES]


def test_text_marks_nothing_up(script: ModuleType) -> None:
    assert script.text("a|b *c* <d> `e`\n_f_ [g](h)") == r"a\|b \*c\* &lt;d&gt; \`e\` \_f\_ \[g\](h)"


def test_the_table_of_suggestions_is_that_of_the_stored_pairs() -> None:
    """Whoever makes the back-test again writes its table again."""
    page = section((ROOT / "docs" / "statistics.md").read_text(encoding="utf-8"), "Which images to label next")
    rows = {cells[1].strip(): cells[2:-1] for line in page.splitlines() if len(cells := line.split("|")) == 9}
    kept, apart = (
        json.loads((ROOT / "scripts" / f"backtest_suggest{name}.json").read_text(encoding="utf-8"))
        for name in ("", "_spread")
    )
    tasks_asked = {pair["task"] for pair in kept}
    assert set(rows) == {*tasks_asked, "all", "task", "---"}
    for name in {*tasks_asked, "all"}:
        own, other = ([pair for pair in pairs if name in (pair["task"], "all")] for pairs in (kept, apart))
        promised = [pair["win"] for pair in own if pair["promised"]]
        expected = []
        for pairs in (own, other):
            error = np.mean([pair["suggested"] / pair["random"] - 1 for pair in pairs])
            expected += [f"{100 * np.mean([pair['win'] for pair in pairs]):.0f} %", f"{100 * error:+.1f} %"]
        expected[2:2] = [f"{len(promised)} of {len(own)}", f"{100 * np.mean(promised):.0f} %"]
        assert [cell.strip() for cell in rows[name]] == expected
