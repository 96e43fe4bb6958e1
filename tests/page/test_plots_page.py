"""Plots on the page, in a real browser: drawn without eval, of what the reader has scored; their records are Python's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.runs.bundle import open_results
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Store
from benchmark.structures import Annotations, Predictions
from leaderboard.board import Board, boards
from leaderboard.render.page.page import page_html
from leaderboard.render.plots.kinds import KINDS, load
from leaderboard.render.plots.records import choose

ABLATIONS = Path(__file__).parents[2] / "studies" / "ablations" / "runs"
MARKUP = "<img src=x onerror=\"document.title='owned'\">"
OpenPage = Callable[..., Any]
ONLY_PYTHON = {"image"}  # the file, where the page has the number of the image
ONLY_PAGE = {"chosen"}


def made_board(root: Path) -> Board:
    """Two keypoints, one of them at times not labelled, two classes, two seeds, several n; a histories' worth of epochs."""
    rng = np.random.default_rng(5)
    n, k = 60, 2
    annotations = Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i}.png" for i in range(n)),
        sizes=np.tile([28, 20], (n, 1)),
        index=np.arange(n),
        keypoints=rng.integers(4, 16, (n, k, 2)).astype(float),
        visible=np.where(rng.random((n, k)) < 0.1, 0, 2),
        boxes=np.tile([0.0, 0.0, 28.0, 20.0], (n, 1)),
        areas=np.full(n, 560.0),
        crowd=np.zeros(n, dtype=bool),
        category_ids=np.ones(n, dtype=np.int64),
        keypoint_names=("tip", MARKUP),
        sigmas=np.full(k, 0.05),
        spacing=np.ones(k),
        labels=np.arange(n) % 2,
        baseline=np.full((n, k, 2), 10.0),
    )
    store = Store(root)
    digest = store.put_annotations(annotations)
    for name, error in (("sharp", 1.0), (f"blunt{MARKUP}", 6.0), ("mean", 9.0)):
        for n_train in (10, 40) if name != "mean" else (40,):
            for seed in range(2):
                off = rng.normal(0, error / n_train**0.5, (n, k, 2))
                off[::2] *= 0.5
                points = np.full((n, k, 2), 10.0) if name == "mean" else annotations.keypoints + off
                config = RunConfig(
                    task="made",
                    version=1,
                    data="dots",
                    data_digest="d" * 64,
                    n_train=n_train,
                    detector=name,
                    name=name,
                )
                record = Record(
                    status="finished",
                    key=config.key(seed),
                    config=config,
                    seed=seed,
                    annotations=digest,
                    ranked=name != "mean",
                    fit_seconds=error * n_train,
                    predict_ms=error,
                )
                history = [{"epoch": e, "val_px": 9.0 / (e + 1), "loss": 1.0 / (e + 1)} for e in range(4)]
                answers = Predictions.of_category(annotations.image_ids, points, rng.random(n), 1)
                store.write(record, predictions=answers, history=history if name == "sharp" else [])
    (board,) = boards(store)
    return board


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return made_board(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def file(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page_html([board]), encoding="utf-8")
    return path


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait until the page says so; asked from here, since its policy refuses what ``wait_for_function`` would evaluate."""
    end = time.monotonic() + 20
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def drawn(page: Any, kind: str) -> Any:
    """The place of a plot, once it is drawn."""
    page.evaluate("() => KB.sections.find(({ id }) => id === 'plots').root.scrollIntoView()")
    page.locator(f"#plot-{kind}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#plot-{kind} .plot[data-drawn]", state="attached")
    return page.locator(f"#plot-{kind} .plot")


def data(page: Any, kind: str, name: str = "rows") -> list[dict[str, Any]]:
    return list(page.evaluate(f"() => document.querySelector('#plot-{kind} .plot').plotView.data('{name}')"))


def agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict):
        names = set(ours) - ONLY_PYTHON
        return names == set(theirs) - ONLY_PAGE - ONLY_PYTHON and all(agree(ours[one], theirs[one]) for one in names)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(agree, ours, theirs))
    if isinstance(ours, float) and not isinstance(theirs, bool) and theirs is not None:
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return bool(ours == theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_those_of_python(open_page: OpenPage, file: Path, board: Board, kind: str) -> None:
    page = open_page(file)
    labels = [row.label for row in board.finished if row.label != "mean n40"][:2]
    page.locator("html:not([data-busy])").wait_for(state="attached")
    until(page, "() => Boolean(KB.app.scored)")
    theirs = page.evaluate(
        """([kind, chosen]) => {
            const { board, setting } = KB.app.state;
            const scored = KB.score.figures(board, setting);
            return KB.plotRecords[kind]({ board, setting, scored, chosen, against: board.rows[0].label });
        }""",
        [kind, labels],
    )
    made = load(kind)
    names = [*labels, "mean"] if kind == "pck" else labels if kind in ("actual", "history") else ()
    rows = choose(board, made, names) if names else list(board.finished)
    ours = made.data(board, rows, board.rows[0])
    if kind in ("pck", "actual", "history"):  # there the order of the board, here that of the reader's choice
        for field in ("order", "place"):
            for one in (*ours, *theirs):
                one.pop(field, None)
    if kind == "history":
        for one in ours:
            one["value"] = float(f"{one['value']:.5g}")
    for one in (*ours, *theirs):
        one.pop("means", None)  # for people
    assert len(ours) == len(theirs) > 0
    assert [pair for pair in zip(ours, theirs) if not agree(*pair)][:1] == []


def test_every_plot_is_drawn_and_follows_the_reader(open_page: OpenPage, file: Path) -> None:
    """The fixture fails for any message of the console, as of an eval that the policy refuses."""
    page = open_page(file)
    for kind in KINDS:
        place = drawn(page, kind)
        assert place.locator("svg, canvas").count() == 1, kind
    assert page.title() != "owned"
    for kind in KINDS:
        figure = page.locator(f"#plot-{kind}")
        assert figure.locator("figcaption").inner_text()
        assert figure.locator(".plot").get_attribute("aria-describedby") == figure.locator("figcaption").get_attribute(
            "id"
        )
    drawn(page, "pck")
    page.evaluate("() => KB.app.set({ tolerance: 0.7 })")
    until(page, "() => document.querySelector('#plot-pck svg')?.textContent.includes('0.7 px')")
    page.evaluate("() => KB.app.set({ tolerance: 5 })")  # beyond the last threshold: the curves go on
    until(
        page,
        "() => Math.max(...document.querySelector('#plot-pck .plot').plotView.data('rows').map((row) => row.error)) === 5",
    )
    before = {one["row"]: one["mean"] for one in data(page, "cost")}
    drawn(page, "cost")
    page.evaluate("() => KB.app.set({ classes: new Set([0]) })")
    until(
        page,
        "(old) => document.querySelector('#plot-cost .plot').plotView.data('rows').find(({ row }) => row === 'sharp n10').mean !== old",
        before["sharp n10"],
    )
    after = {one["row"]: one["mean"] for one in data(page, "cost")}
    assert after["sharp n10"] < before["sharp n10"]  # even images, of class 0, have half the error


def test_r2_of_a_part_is_that_of_numpy(open_page: OpenPage, file: Path, board: Board) -> None:
    page = open_page(file)
    page.locator("html:not([data-busy])").wait_for(state="attached")
    until(page, "() => Boolean(KB.app.scored)")
    theirs = page.evaluate(
        """() => {
            const { board } = KB.app.state;
            const setting = { tolerance: null, classes: new Set([1]), keypoints: new Set(["tip"]), seeds: new Set([1]) };
            return KB.plotRecords.r2({ board, setting, scored: KB.score.figures(board, setting), chosen: [] });
        }"""
    )
    for one in theirs:
        row = next(row for row in board.finished if row.label == one["row"])
        run = next(run for run in row.runs if run.record.seed == 1)
        annotations = run.annotations
        part = (np.arange(60) % 2 == 1) & (annotations.visible[:, 0] > 0)
        off = (run.predictions.keypoints - annotations.keypoints)[part, 0]
        base = np.hypot(*(annotations.keypoints[part, 0] - 10.0).T)
        assert one["dist_avg"] == pytest.approx(np.hypot(off[:, 0] / 14, off[:, 1] / 10).mean(), rel=1e-9)
        assert one["dist_r2"] == pytest.approx(1 - np.hypot(*off.T).sum() / base.sum(), rel=1e-9)
    assert len(theirs) == 5


def test_the_front_is_what_nothing_beats(open_page: OpenPage, tmp_path: Path) -> None:
    """By brute force, on the board of sixty rows; Vega-Lite's transforms say the same."""
    (sixty,) = boards(open_results(ABLATIONS / "topleft@1-tiny.bundle.zip"))
    path = tmp_path / "page.html"
    path.write_text(page_html([sixty]), encoding="utf-8")
    page = open_page(path, viewport={"width": 390, "height": 844})
    drawn(page, "cost")
    everything = page.evaluate(
        """() => {
            const view = document.querySelector("#plot-cost .plot").plotView;
            const names = Object.keys(view.getState({ data: () => true }).data);
            return names.map((name) => view.data(name)).find((data) => data.length > 60 && "plain_front" in data[0]);
        }"""
    )
    assert len(everything) == 65
    for name, counts in (
        ("front", lambda one: not one["reference"]),
        ("plain_front", lambda one: not one["reference"] and not one["aided"]),
    ):
        rows = [one for one in everything if counts(one)]
        alone = {
            a["row"]
            for a in rows
            if not any(
                (b["fit_seconds"], b["mean"]) != (a["fit_seconds"], a["mean"])
                and b["fit_seconds"] <= a["fit_seconds"]
                and b["mean"] <= a["mean"] + 1e-9
                for b in rows
            )
        }
        assert {one["row"] for one in everything if one[name]} == alone
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_theme_opponent_table_and_an_opened_row(open_page: OpenPage, file: Path) -> None:
    page = open_page(file, color_scheme="light")
    drawn(page, "cost")

    assert page.locator("#plot-cost svg").count() == 1
    light = page.locator("#plot-cost").inner_html()
    page.locator("#theme").select_option("dark")
    until(page, "(old) => document.querySelector('#plot-cost').innerHTML !== old", light)
    until(page, "() => document.querySelector('#plot-cost .plot svg')?.outerHTML.includes('#e4e8ec')")
    drawn(page, "pairs")
    page.locator("#pairs-against").select_option("sharp n10")
    until(
        page,
        "() => document.querySelector('#plot-pairs .plot').plotView.data('rows').every(({ against }) => against === 'sharp n10')",
    )
    assert "sharp n10" not in {one["row"] for one in data(page, "pairs")}
    figure = page.locator("#plot-ranks")
    figure.scroll_into_view_if_needed()
    figure.get_by_text("Data as a table").click()
    table = figure.locator("table")
    table.wait_for()
    assert table.locator("tbody tr").count() == 5
    assert MARKUP in table.inner_text()
    page.locator("#board").scroll_into_view_if_needed()
    page.get_by_role("button", name="sharp n40", exact=True).click()
    page.wait_for_selector(".part-training .plot[data-drawn] svg", state="attached")
