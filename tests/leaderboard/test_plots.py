"""Plots: their records against figures from elsewhere, their specifications, and what is drawn of them."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli import plots as command
from benchmark.runs.bundle import open_results
from benchmark.runs.store import Store
from benchmark.structures import UserError
from leaderboard.board import Board, boards
from leaderboard.compare import compare
from leaderboard.render.plots import cost as cost_module
from leaderboard.render.plots.files import svg, write_plot
from leaderboard.render.plots.kind import Kind, Record
from leaderboard.render.plots.kinds import KINDS, load
from leaderboard.render.plots.records import choose
from leaderboard.render.plots.specification import document, panels, spec
from leaderboard.render.plots.theme import INKS, SERIES, THEMES

STUDIES = Path(__file__).parents[2] / "studies"
ASSETS = Path(__file__).parents[2] / "leaderboard" / "render" / "page" / "assets"
HOSTILE = "<script>alert(1)</script>\u0007&\"'\u2028"


@cache
def board_of(name: str) -> Board:
    (board,) = boards(open_results(STUDIES / name))
    return board


def sixty() -> Board:
    return board_of("ablations/runs/topleft@1-tiny.bundle.zip")


def few() -> Board:
    """Two rows of three seeds, and the training mean."""
    return board_of("extrema/runs/digit-dependent@1-tiny.bundle.zip")


def records(kind: str, board: Board, names: tuple[str, ...] = (), against: str | None = None) -> list[Record]:
    made: Kind = load(kind)
    return made.data(board, choose(board, made, names), board.row(against) or board.rows[0])


def test_the_catalog_has_every_kind_and_the_command_every_choice() -> None:
    files = {path.stem for path in Path(cost_module.__file__).parent.glob("*.py")}
    assert set(KINDS) <= files
    assert [load(name).name for name in KINDS] == list(KINDS)
    assert command.THEMES == THEMES
    assert tuple(load("cost").variants) == command.COSTS


@pytest.mark.parametrize("name", KINDS)
def test_a_specification_knows_no_data_and_tells_what_it_shows(name: str) -> None:
    """Altair checks it against the schema of Vega-Lite."""
    kind = load(name)
    for variant in kind.variants:
        for theme in THEMES[:1]:
            made = spec(kind, variant, theme)
            assert "datasets" not in made
            assert kind.reading in made["description"]
            assert json.loads(json.dumps(made)) == made
            text = json.dumps(made)
            assert '"values": [{' not in text
            for field in kind.fields:
                assert re.fullmatch(r"\w+", field.name)  # no dots or brackets, which Vega would read as a path


def test_cost_shows_the_figures_of_the_board() -> None:
    made = {one["row"]: one for one in records("cost", sixty())}
    assert len(made) == len(sixty().finished) == 65
    for row in sixty().finished:
        one = made[row.label]
        assert one["mean"] == row.metrics["mean"]
        assert (one["fit_seconds"], one["predict_ms"]) == (row.fit_seconds, row.predict_ms)
        assert one["reference"] == (row.position is None)
    assert {one["row"] for one in made.values() if one["aided"]} >= {"extrema", "linear:features=pts"}
    assert made["keypointrcnn"]["family"] == "rcnn"


@pytest.mark.parametrize("board", [sixty, few])
def test_pck_at_a_threshold_is_the_metric(board: Callable[[], Board]) -> None:
    made = records("pck", board())
    assert len({one["row"] for one in made}) <= 8
    for row in {one["row"] for one in made}:
        own = [one for one in made if one["row"] == row]
        metrics = board().row(row).metrics  # type: ignore[union-attr]
        for one in own:
            if one["listed"]:
                assert one["share"] == pytest.approx(metrics[f"pck@{one['error']:g}"], abs=1e-12)
        shares = [one["share"] for one in sorted(own, key=lambda one: one["error"])]
        assert shares == sorted(shares)


def test_pck_draws_the_best_of_every_family_and_the_training_mean() -> None:
    kind = load("pck")
    chosen = [row.label for row in choose(sixty(), kind)]
    assert {"extrema", "linear:features=pts", "fcos", "featsnet3", "heatmap", "mean"} <= set(chosen)
    assert chosen == [row.label for row in sixty().finished if row.label in chosen]


def test_the_r2_of_axes_make_the_metric_and_points_are_the_stored_answers() -> None:
    board = few()
    made = records("actual", board, ("heatmap",))
    panels_of = {one["axis"]: one["panel"] for one in made}
    values = [float(text.rpartition(" ")[2]) for text in panels_of.values()]
    row = board.row("heatmap")
    assert row is not None
    assert np.mean(values) == pytest.approx(row.metrics["r2"], abs=1e-3)
    run = row.runs[0]
    own = [one for one in made if one["axis"] == "x"][: len(run.annotations)]
    assert [one["actual"] for one in own] == run.annotations.keypoints[:, 0, 0].tolist()
    by_image = dict(zip(run.predictions.image_ids.tolist(), run.predictions.keypoints[:, 0, 0].tolist()))
    said = [by_image[number] for number in run.annotations.image_ids.tolist()]
    assert [one["predicted"] for one in own] == pytest.approx(said, abs=1e-9)


def test_many_points_are_thinned_out_evenly() -> None:
    board = board_of("extrema/runs/topleft@1-tiny-wide.bundle.zip")
    made = [one for one in records("actual", board, ("extrema",)) if one["axis"] == "y"]
    assert len(made) == 1000
    files = [one["image"] for one in made]
    assert files[0] == board.rows[0].runs[0].annotations.file_names[0]
    assert files[-1] == board.rows[0].runs[0].annotations.file_names[-1]


def test_histories_are_those_stored() -> None:
    made = records("history", few())
    row = few().row("extrema")
    assert row is not None
    for run in row.runs:
        own = [
            one["value"]
            for one in made
            if (one["row"], one["seed"], one["quantity"], one["split"]) == ("extrema", run.record.seed, "loss", "val")
        ]
        assert own == [float(line["val_loss"]) for line in run.history]
    assert not [one for one in made if one["row"] == "mean"]


def test_pairs_are_what_compare_says() -> None:
    made = {one["row"]: one for one in records("pairs", few(), against="heatmap")}
    said = compare(
        open_results(STUDIES / "extrema" / "runs" / "digit-dependent@1-tiny.bundle.zip"), "extrema", "heatmap"
    )
    one = made["extrema"]
    assert (one["difference"], one["low"], one["high"], one["p"]) == (
        said.result.difference,
        said.result.low,
        said.result.high,
        said.result.p,
    )
    assert one["shown"] == {"extrema": "better", "heatmap": "worse", None: "not told apart"}[said.better]
    assert "heatmap" not in made


def test_ranks_hold_every_seed() -> None:
    made = {one["row"]: one for one in records("ranks", few())}
    row = few().row("extrema")
    assert row is not None
    assert made["extrema"]["seeds"] == [run["mean"] for run in row.scores]
    assert (made["extrema"]["rank_low"], made["extrema"]["rank_high"]) == (row.rank_low, row.rank_high)
    assert made["mean"]["rank_low"] is None


def test_learning_curves_are_of_detectors_with_several_n(maker: Any, annotations: Any) -> None:
    rng = np.random.default_rng(0)
    for n in (10, 50, 200):
        for name, scale in (("sharp", 1), ("blunt", 4)):
            noise = rng.normal(0, scale / n**0.5, (len(annotations), 1, 2))
            maker.put(name, annotations, maker.answers(annotations, noise), config={"n_train": n})
    maker.put("once", annotations, maker.answers(annotations, 3.0), config={"n_train": 50})
    (board,) = boards(maker.store)
    made = records("learning", board)
    assert {one["row"] for one in made} == {"sharp", "blunt"}
    for name in ("sharp", "blunt"):
        assert [one["n"] for one in made if one["row"] == name] == [10, 50, 200]
        for one in made:
            if one["row"] == name:
                row = board.row(f"{name} n{one['n']}")
                assert row is not None
                assert one["mean"] == row.metrics["mean"]


def test_a_row_is_chosen_by_label_or_detector_and_a_wrong_name_is_said() -> None:
    kind = load("cost")
    assert [row.label for row in choose(sixty(), kind, ("forest:features=hog",))] == ["forest:features=hog"]
    assert {row.label for row in choose(sixty(), kind, ("mean", "heatmap"))} == {"heatmap", "mean"}
    with pytest.raises(UserError, match=r"no row 'heatmab': did you mean 'heatmap'"):
        choose(sixty(), kind, ("heatmab",))
    with pytest.raises(UserError, match=r"nothing to plot as history: none of these rows trains"):
        document(sixty(), load("history"), rows=["ridge"])


@pytest.mark.parametrize("name", [name for name in KINDS if name != "learning"])
def test_every_kind_draws(name: str) -> None:
    pytest.importorskip("vl_convert")
    made = document(few(), load(name), theme="dark")
    assert all("width" in panel for panel in panels(made))
    drawn = svg(made)
    ET.fromstring(drawn)
    assert load(name).title in drawn
    assert few().title in drawn
    assert svg(document(few(), load(name), theme="dark")) == drawn


def test_exact_zeros_stand_on_a_line_that_says_so(maker: Any, annotations: Any) -> None:
    pytest.importorskip("vl_convert")
    maker.put("off", annotations, maker.answers(annotations, 2.0))
    (board,) = boards(maker.store)
    assert "exactly 0" not in svg(document(board, load("cost")))
    maker.put("right", annotations, maker.answers(annotations, 1e-13))
    (board,) = boards(maker.store)
    assert "exactly 0" in svg(document(board, load("cost")))
    assert "exactly 0" in svg(document(board, load("ranks")))


def test_hostile_names_are_text(maker: Any, annotations: Any) -> None:
    pytest.importorskip("vl_convert")
    for name in (HOSTILE, "datum['x']", "a.b[0]"):
        maker.put(name, annotations, maker.answers(annotations, np.full((len(annotations), 1, 2), 1.0 + len(name))))
    (board,) = boards(maker.store)
    for kind in ("cost", "pck", "actual", "pairs", "ranks"):
        drawn = svg(document(board, load(kind), rows=["datum['x']", HOSTILE, "a.b[0]"], against="a.b[0]"))
        root = ET.fromstring(drawn)
        assert {node.tag.rpartition("}")[2] for node in root.iter()} <= {"svg", "g", "path", "text", "tspan", "rect", "line", "defs", "clipPath", "title"}  # fmt: skip
        assert "alert(1)" in "".join(root.itertext())


def test_files_are_written_by_their_ending(tmp_path: Path) -> None:
    made = document(few(), load("ranks"))
    write_plot(made, tmp_path / "deep" / "ranks.json")
    assert json.loads((tmp_path / "deep" / "ranks.json").read_text())["datasets"]["rows"][0]["row"] == "extrema"
    with pytest.raises(UserError, match=r"ranks.pdf: a plot ends in .svg, .png or .json"):
        write_plot(made, tmp_path / "ranks.pdf")
    pytest.importorskip("vl_convert")
    write_plot(made, tmp_path / "ranks.PNG")
    assert (tmp_path / "ranks.PNG").read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UserError, match=r"pip install 'keypoint-benchmark\[plots\]'"):
        write_plot(document(few(), load("ranks")), tmp_path / "ranks.svg")
    write_plot(document(few(), load("ranks")), tmp_path / "ranks.json")


def test_the_colours_are_those_of_the_page() -> None:
    css = (ASSETS / "page.css").read_text(encoding="utf-8")
    for theme, found in (("light", css.split("}")[0]), ("dark", css.partition(':root[data-theme="dark"]')[2])):
        known = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", found.split("}")[0]))
        long = {
            name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:]) for name, value in known.items()
        }
        assert {name: long[name] for name in INKS[theme]} == INKS[theme]
        assert tuple(long[f"c{i}"] for i in range(8)) == SERIES[theme]


def test_a_failed_row_is_said(filled: Store) -> None:
    (board,) = boards(filled)
    with pytest.raises(UserError, match=r"'broken' has failed on made@1 on dots: ValueError"):
        choose(board, load("cost"), ("broken",))
