"""The page in a real browser: what it shows first, and what a reader can do with its board."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_cases import Made, annotated, answering, inaccessible, run
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.metrics.registry import percent
from benchmark.runs.bundle import open_results
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Store
from benchmark.structures import Annotations, Predictions, UserError
from leaderboard.board import Board, boards
from leaderboard.render import words
from leaderboard.render.columns import mean, rank, short
from leaderboard.render.page import page as page_module
from leaderboard.render.page.page import page_html

ABLATIONS = Path(__file__).parents[2] / "studies" / "ablations" / "runs"
MARKUP = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>\u2028 &amp; ${1} 'q'"
OpenPage = Callable[..., Any]


@cache
def board_of_sixty() -> Board:
    (board,) = boards(open_results(ABLATIONS / "topleft@1-tiny.bundle.zip"))
    return board


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the published board of sixty rows."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page_html([board_of_sixty()]), encoding="utf-8")
    return path


def made(root: Path, names: dict[str, float], keypoints: tuple[str, ...] = ("tip", "tail"), **config: Any) -> Store:
    """A store of two seeds of each named detector, which errs by so many px about 40 points of classes 0 and 1."""
    rng = np.random.default_rng(3)
    n, k = 40, len(keypoints)
    annotations = Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"<img src=x onerror=1>{i}.png" for i in range(n)),
        sizes=np.full((n, 2), 28),
        index=np.arange(n),
        keypoints=rng.integers(4, 24, (n, k, 2)).astype(float),
        visible=np.full((n, k), 2),
        boxes=np.tile([0.0, 0.0, 28.0, 28.0], (n, 1)),
        areas=np.full(n, 784.0),
        crowd=np.zeros(n, dtype=bool),
        category_ids=np.ones(n, dtype=np.int64),
        keypoint_names=keypoints,
        sigmas=np.full(k, 0.05),
        spacing=np.ones(k),
        labels=np.arange(n) % 2,
        baseline=np.full((n, k, 2), 14.0),
    )
    store = Store(root)
    digest = store.put_annotations(annotations)
    for name, error in names.items():
        for seed in range(2):
            points = annotations.keypoints + rng.normal(0, abs(error), (n, k, 2))
            known: dict[str, Any] = {
                "task": "made",
                "version": 1,
                "data": "dots",
                "data_digest": "d" * 64,
                "n_train": 9,
            }
            whole = RunConfig(**{**known, "detector": name, "name": name, "parameters": {"x": MARKUP}, **config})
            failed = error < 0
            store.write(
                Record(
                    status="failed" if failed else "finished",
                    key=whole.key(seed),
                    config=whole,
                    seed=seed,
                    annotations=digest,
                    summary=f"finds {name}",
                    error="lost its way" if failed else "",
                    **({} if failed else {"fit_seconds": 1 + error, "predict_ms": 0.5}),
                ),
                predictions=None if failed else Predictions.of_category(annotations.image_ids, points, np.ones(n), 1),
            )
    return store


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made board: two seeds of two rows, a row that failed, two keypoints, two classes."""
    path = tmp_path_factory.mktemp("page") / "small.html"
    store = made(path.parent / "r", {"sharp": 0.5, "blunt": 2.0, "broken": -1.0})
    path.write_text(page_html(boards(store)), encoding="utf-8")
    return path


def labels(page: Any) -> list[str]:
    return page.locator("button.open").all_text_contents()


def cells(page: Any, column: str) -> list[str]:
    """The texts of a column of the board, from top to bottom."""
    return page.evaluate(
        """(id) => {
            const heads = [...document.querySelectorAll(".board thead th")];
            const before = heads.slice(0, heads.findIndex((head) => head.dataset.column === id));
            const place = before.reduce((sum, head) => sum + head.colSpan, 0);
            return [...document.querySelectorAll(".board tbody tr:not(.details)")].map((row) => row.cells[place].textContent);
        }""",
        column,
    )


def settled(page: Any) -> None:
    """Wait until what was asked for is scored."""
    page.locator("html:not([data-busy])").wait_for(state="attached")


def test_the_first_screen_answers_and_its_figures_are_those_of_every_other_board(
    open_page: OpenPage, file: Path
) -> None:
    page, board = open_page(file), board_of_sixty()
    for sentence in words.advice(board):
        assert page.get_by_text(sentence, exact=True).bounding_box()["y"] < 900
    assert page.locator("table.board").bounding_box()["y"] < 700
    assert labels(page) == [row.label for row in board.finished]
    assert cells(page, "rank") == [rank(row) for row in board.finished]
    assert cells(page, "mean") == [mean(row) for row in board.finished]
    assert cells(page, "exact") == [percent(row.metrics["exact"] or 0.0) for row in board.finished]
    shares = [0.0, 8.2e-11, 0.0001, 0.0003, 0.0007, 0.07649, 0.99951, 1.0]
    assert page.evaluate("(shares) => shares.map(KB.dom.percent)", shares) == list(map(percent, shares))
    assert cells(page, "fit") == [short(row.fit_seconds) for row in board.finished]
    for note in words.notes_of(board):
        assert page.get_by_text(note, exact=True).count() == 1
    assert page.get_by_text("Asked for: first inked pixel of the top inked row.").count() == 1
    assert page.locator("article", has_text="How sure").get_by_text(words.faultless(board)).count() == 1
    assert page.get_by_text("0 % beyond 1 px", exact=True).count() == 1
    page.get_by_role("link", name="How to read it").click()
    page.get_by_text(board.digest, exact=True).wait_for()


def test_a_long_board_shows_its_best_rows_first_and_all_on_demand(open_page: OpenPage, file: Path) -> None:
    page, board = open_page(file), board_of_sixty()
    chosen = page.evaluate("KB.app.state.chosen")
    leader, plain = (
        board.rows[0],
        [row for row in board.rows if not {"oracle_features", "rule_structured"} & set(row.marks)],
    )
    assert chosen[:2] == [leader.label, plain[0].label]
    families = [
        page.evaluate("(label) => KB.app.state.board.rows.find((row) => row.label === label).family", one)
        for one in chosen
    ]
    assert len(set(families)) == len(chosen) == 4  # what is drawn at first differs

    def seen() -> list[str]:
        return [one.inner_text() for one in page.locator("button.open").all() if one.is_visible()]

    first = [
        row.label for i, row in enumerate(board.finished) if i < 20 or row in board.references or row.label in chosen
    ]
    assert seen() == first
    assert page.locator(".count").inner_text() == f"{len(first)} of 65 rows"
    page.get_by_role("button", name="Show all 65 rows").press("Enter")
    assert seen() == [row.label for row in board.finished]
    assert (
        page.evaluate("document.activeElement.textContent") == board.finished[20].label
    )  # goes on where the rest begins
    page.get_by_role("button", name="Show the first 20 rows").click()
    assert seen() == first
    page.emulate_media(media="print")
    assert len(seen()) == 65


def test_half_an_interval_is_that_of_every_other_board_where_images_hold_several_instances(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """There a row's mean is over matched pairs, its interval over images; and one image alone leaves an interval open."""
    annotations, rng = annotated(30, 2, instances=2), np.random.default_rng(1)
    given = {
        "near": answering(annotations, rng, 1.0, missed=0.3),
        "far": answering(annotations, rng, 3.0, missed=0.6),
        "once": Predictions.of_category(annotations.image_ids[:1], annotations.keypoints[:1] + 1.0, np.ones(1), 1),
    }
    (board,) = boards(Made([run(name, 0, annotations, answers) for name, answers in given.items()]))
    whole = {row.label: mean(row) for row in board.finished}
    assert "±" not in whole["once"]
    near = board.row("near")
    assert near is not None
    assert near.interval is not None
    assert abs(near.interval.mean - (near.metrics["mean"] or 0)) > 0.001  # else nothing is told apart
    path = tmp_path / "page.html"
    path.write_text(page_html([board]), encoding="utf-8")
    page = open_page(path)
    settled(page)
    assert dict(zip(labels(page), cells(page, "mean"))) == whole
    for place, seeds in enumerate(([0], None)):  # scored again in the browser, and back
        page.evaluate("(seeds) => KB.app.set({ seeds: seeds && new Set(seeds) })", seeds)
        settled(page)
        assert dict(zip(labels(page), cells(page, "mean"))) == whole, place


def test_sorting_by_a_heading_and_back(open_page: OpenPage, file: Path) -> None:
    page = open_page(file)
    heading = page.locator("th[data-column=fit]")
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    rows = [row for row in board_of_sixty().finished if row.fit_seconds is not None]
    assert labels(page) == [row.label for row in sorted(rows, key=lambda row: row.fit_seconds or 0.0)]
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")  # the heading keeps the focus
    assert labels(page)[0] == max(rows, key=lambda row: row.fit_seconds or 0.0).label
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator("th[data-column=exact] button").click()  # where more is better the best comes first
    assert cells(page, "exact")[0] == "100"


def test_filters_and_columns(open_page: OpenPage, file: Path) -> None:
    page, board = open_page(file), board_of_sixty()
    page.get_by_label("Filter rows by name").fill("HEATMAP conv")
    assert labels(page) == [
        r.label for r in board.finished if "heatmap" in r.label and "conv" in r.label.replace("_", "")
    ]
    assert re.fullmatch(r"\d+ of 65 rows", page.locator(".count").inner_text())
    page.get_by_label("Filter rows by name").fill("")
    page.locator("summary", has_text="Marks").click()
    for name in ("oracle features", "rule-structured", "references"):
        page.get_by_role("checkbox", name=name).uncheck()
    plain = [r for r in board.rows if not {"oracle_features", "rule_structured"} & set(r.marks)]
    assert labels(page) == [row.label for row in plain]
    page.keyboard.press("Escape")
    assert not page.get_by_role("checkbox", name="references").count()
    page.locator("summary", has_text="Families").click()
    page.get_by_role("checkbox", name="rcnn", exact=True).uncheck()
    assert "keypointrcnn" not in labels(page)
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("p95 px").check()
    assert (
        cells(page, "metric-p95")[0]
        == f"{next(r for r in board.rows if r.label == labels(page)[0]).metrics['p95']:.2f}"
    )
    page.get_by_role("checkbox", name="family").uncheck()
    assert not page.locator("th[data-column=family]").count()


def test_a_row_opens_by_the_keyboard_and_says_all_that_is_known(open_page: OpenPage, file: Path) -> None:
    page = open_page(file)
    page.get_by_role("button", name="Show all 65 rows").click()
    button = page.get_by_role("button", name="forest", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    details = page.locator(f"#{button.get_attribute('aria-controls')}")
    row = board_of_sixty().row("forest")
    assert row is not None
    details.get_by_role("heading", name="Parameters").wait_for()
    text = details.inner_text()
    for known in (row.record.summary, row.runs[0].record.key, row.config.digest, *row.packages):
        assert known in text
    classes = details.get_by_role("table", name="Classes").locator("tbody tr").all_inner_texts()
    assert [line.split("\t")[0] for line in classes] == ["3", "7"]
    page.locator("th[data-column=mean] button").click()  # it stays open below its row
    assert button.get_attribute("aria-expanded") == "true"
    assert details.evaluate("row => row.previousElementSibling.cells[0].innerText.startsWith('forest')")
    button.press("Space")
    assert not details.count()


def test_the_readers_own_tolerance_and_part(open_page: OpenPage, small: Path) -> None:
    (board,) = boards(Store(small.parent / "r"))
    page = open_page(small)
    said, reset = page.locator(".said"), page.get_by_role("button", name="Reset")
    assert not reset.is_visible()
    settled(page)
    sharp = next(row for row in board.rows if row.label == "sharp")
    errors = np.stack([np.linalg.norm(r.predictions.keypoints - r.annotations.keypoints, axis=-1) for r in sharp.runs])
    page.locator("#tolerance").fill("0.37")
    page.locator(".said", has_text="0.37 px").wait_for()
    assert cells(page, "within")[0] == percent(float((errors <= 0.37).mean()))
    assert cells(page, "mean")[0] == mean(sharp)  # which no tolerance changes
    page.locator("#tolerance-slider").focus()
    page.keyboard.press("ArrowRight")
    page.locator(".said", has_text="0.37 px").wait_for(state="detached")

    page.locator("summary", has_text="Columns").click()
    page.get_by_label("p95 px").check()
    page.locator(".rescoring summary", has_text="Keypoints").click()
    page.get_by_role("button", name="only tail").click()
    page.locator(".rescoring summary", has_text="Classes").click()
    page.get_by_label("0", exact=True).uncheck()
    page.locator(".rescoring summary", has_text="Seeds").click()
    page.get_by_role("button", name="only seed 1").click()
    settled(page)
    assert "class 1; keypoint tail; seed 1" in said.inner_text()
    assert cells(page, "mean")[0].split(" ")[0] == f"{errors[1, 1::2, 1].mean():.3f}"
    assert cells(page, "metric-p95")[0] == "–"  # never a figure of other images
    reset.click()
    settled(page)
    assert cells(page, "mean")[0] == mean(sharp)
    assert not reset.is_visible()
    assert "broken: lost its way" in page.locator(".failed").inner_text()


def test_the_address_shows_another_reader_the_same(
    open_page: OpenPage, small: Path, file: Path, tmp_path: Path
) -> None:
    page = open_page(small)
    settled(page)
    assert "#" not in page.url
    page.locator("#tolerance").fill("0.37")
    page.locator(".rescoring summary", has_text="Keypoints").click()
    page.get_by_role("button", name="only tail").click()
    page.get_by_label("show blunt in plots").uncheck()
    page.wait_for_url("**#?within=0.37&keypoint=tail&row=sharp")
    page.get_by_role("link", name="Plots").click()  # a link to a section keeps what was asked for
    page.wait_for_url("**#plots?within=0.37&keypoint=tail&row=sharp")
    settled(page)
    other = open_page(small)
    other.goto(page.url)
    other.reload()
    settled(other)
    assert other.locator(".said").inner_text() == page.locator(".said").inner_text()
    assert cells(other, "within") == cells(page, "within")
    assert other.evaluate("KB.app.state.chosen") == ["sharp"]
    assert other.locator("#plots").bounding_box()["y"] < 900  # and leads to the section
    other.locator("#tolerance").scroll_into_view_if_needed()
    other.get_by_role("button", name="Reset").click()
    other.wait_for_url("**#plots?row=sharp")
    both = tmp_path / "both.html"
    both.write_text(page_html([board_of_sixty(), *boards(Store(small.parent / "r"))]), encoding="utf-8")
    third = open_page(both)
    third.goto(f"{both.as_uri()}#board?board=made@1+on+dots&seed=1&seed=0&seed=9&class=0&row=none&within=-1")
    third.reload()
    settled(third)
    assert third.locator("h1").inner_text().startswith("made@1 on dots")
    assert third.locator(".said").inner_text().startswith("Recomputed for: class 0.")  # both seeds are all there are
    assert third.evaluate("KB.app.state.chosen") == ["sharp", "blunt"]
    third.evaluate("location.hash = '#?within=2'")  # typed in
    third.locator("h1", has_text="topleft@1 on tiny").wait_for()
    third.locator(".said", has_text="2 px").wait_for()


@pytest.mark.parametrize(
    "named", ["#%zz", "#?within=%zz&board=%3Cimg%20src=x%20onerror=1%3E", "#gallery?class=&row=", "#??&&="]
)
def test_an_address_that_says_nothing_of_this_page_changes_nothing(
    open_page: OpenPage, small: Path, named: str
) -> None:
    page = open_page(small)
    page.goto(small.as_uri() + named)
    page.reload()
    settled(page)
    assert page.evaluate("KB.app.isAsStored")
    assert len(labels(page)) == 2


@pytest.mark.parametrize(
    ("scheme", "chosen", "dark"), [("dark", None, True), ("light", "dark", True), ("dark", "light", False)]
)
def test_light_and_dark_by_the_system_or_by_choice(
    open_page: OpenPage, small: Path, scheme: str, chosen: str | None, dark: bool
) -> None:
    page = open_page(small, color_scheme=scheme)
    if chosen:
        page.get_by_label("Theme").select_option(chosen)
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (light[0] > light[1]) is dark
    assert abs(light[0] - light[1]) > 500


def test_a_screen_reader_finds_its_way(open_page: OpenPage, small: Path) -> None:
    page = open_page(small, color_scheme="light")
    settled(page)
    page.locator("button.open").first.click()
    page.get_by_role("heading", name="Parameters").wait_for()
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("link", name="Plots").click()
    page.locator("#plots svg").nth(2).wait_for()
    assert inaccessible(page) == []
    page.emulate_media(color_scheme="dark")
    settled(page)
    assert inaccessible(page) == []


def test_a_telephone_scrolls_the_table_and_not_the_page(open_page: OpenPage, file: Path) -> None:
    page = open_page(file, viewport={"width": 390, "height": 844})
    page.locator("button.open").first.click()
    page.get_by_role("heading", name="Parameters").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".box").evaluate("box => box.scrollWidth > box.clientWidth")


def test_print_has_the_board_and_no_controls(open_page: OpenPage, file: Path) -> None:
    page = open_page(file, viewport={"width": 1031, "height": 700})  # A4 across, in px, without its margins
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("table.board").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 1031
    for gone in ("#filter", "header.top", "#tolerance"):
        assert not page.locator(gone).is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper')").strip() == "#fff"


def test_hostile_names_are_text(open_page: OpenPage, tmp_path: Path) -> None:
    """Markup in the names of detector, task, data, keypoint, parameter and file; where Python writes it and where it does not."""
    store = made(tmp_path / "r", {MARKUP: 1.0, "plain": 2.0}, (MARKUP, "tail"), task=MARKUP, data=MARKUP)
    path = tmp_path / "page.html"
    path.write_text(page_html(boards(store)), encoding="utf-8")
    source = path.read_text(encoding="utf-8")
    assert source.count("</script") == source.count("<script")  # none of a name closes or opens one
    assert "\u2028" not in source.partition("<noscript>")[2].partition("</noscript>")[2]
    page = open_page(path)
    settled(page)
    assert labels(page)[0] == MARKUP
    page.locator("button.open").first.click()
    page.get_by_role("heading", name="Parameters").wait_for()
    page.evaluate("KB.app.set({ keypoints: new Set([0]) })")
    settled(page)
    assert page.locator("main img").count() == 0
    assert page.locator("script").count() == 2 + len(page_module.vendored())
    assert page.locator("h1").inner_text().startswith("<img src=x")
    assert page.title() != "owned"


def test_a_script_that_came_in_would_not_run(browser: Any, small: Path, tmp_path: Path) -> None:
    """The second wall: the policy knows the page's own scripts by their hashes, and lets nothing out."""
    evil = tmp_path / "evil.html"
    injected = "<main><script>window.owned = 1</script><img src='http://localhost/x' onerror='window.owned = 2'>"
    evil.write_text(small.read_text(encoding="utf-8").replace("<main>", injected, 1), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.goto(evil.as_uri())
    assert page.evaluate("window.owned") is None
    assert sum("Content Security Policy" in text for text in refused) >= 2
    assert page.locator("table.board").is_visible()
    context.close()


def test_several_boards_have_a_chooser(open_page: OpenPage, tmp_path: Path) -> None:
    made(tmp_path / "r", {"a": 1.0, "b": 2.0}, data="dots")
    store = made(tmp_path / "r", {"c": 1.0}, ("only",), task="other", data="lines")
    shown = boards(store)
    path = tmp_path / "page.html"
    path.write_text(page_html(shown), encoding="utf-8")
    page = open_page(path)
    assert labels(page) == ["a", "b"]
    page.locator("button.open").first.click()
    page.get_by_role("combobox", name="Board").select_option("other@1 on lines")
    assert page.locator("h1").inner_text() == "other@1 on lines"
    assert labels(page) == ["c"]
    assert not page.locator("tr.details").count()
    settled(page)
    assert page.title().startswith("other@1 on lines")
    page.get_by_role("link", name="All boards").click()
    page.get_by_role("table", name="All boards").get_by_role("button", name="made@1 on dots").click()
    assert labels(page) == ["a", "b"]
    assert page.get_by_role("combobox", name="Board").input_value() == "0"


def test_without_javascript_the_boards_can_be_read(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("noscript table tbody tr").count() in (
        0,
        65,
    )  # some versions hide what noscript holds from queries
    assert "keypointrcnn" in page.locator("body").inner_text()
    context.close()


def test_the_same_runs_give_the_same_page(small: Path) -> None:
    assert page_html(boards(Store(small.parent / "r"))) == small.read_text(encoding="utf-8")


def test_the_commands_write_it(small: Path, tmp_path: Path) -> None:
    results, out = str(small.parent / "r"), tmp_path / "page.html"
    said = CliRunner().invoke(app, ["page", "--results", results, "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    said = CliRunner().invoke(app, ["leaderboard", "--results", results, "--html", str(tmp_path / "b.html"), "--json"])
    assert {row["row"] for row in json.loads(said.stdout)} == {"sharp", "blunt", "broken"}
    assert (tmp_path / "b.html").stat().st_size == out.stat().st_size
    for words_of, why in (
        (["--out", str(tmp_path)], "is a folder; name a file"),
        (["--task", "none"], "holds no run of none"),
        (["--pair", "tip,nose"], "'nose' is no keypoint"),
    ):
        wrong = CliRunner().invoke(app, ["page", "--results", results, "--out", str(out), *words_of])
        assert isinstance(wrong.exception, UserError)
        assert why in str(wrong.exception)


def test_no_file_of_ours_makes_markup_of_text() -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", page_module.script()
    )


def test_payload_is_json_that_no_parser_of_html_ends(file: Path) -> None:
    text = file.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(text)["boards"][0]["title"] == "topleft@1 on tiny"
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_page_of_sixty_rows_is_small(file: Path) -> None:
    ours = len(page_module.script()) + len(page_module.style())
    assert ours < 200_000
    assert file.stat().st_size < 1_000_000
