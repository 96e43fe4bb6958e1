"""The page scores as Python does: random parts of made boards, in a real browser, against the product's own functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_cases import Made, annotated, filled, run
from scipy import special

from benchmark.metrics import metrics
from benchmark.metrics.evaluation import Evaluation
from benchmark.statistics.intervals import exact_share, interval
from benchmark.statistics.paired import paired
from benchmark.statistics.ranks import rank_intervals
from benchmark.structures import Annotations, Predictions
from leaderboard import board as board_module
from leaderboard import rows as rows_module
from leaderboard.board import Board, boards
from leaderboard.render.page import answers, packing, payload
from leaderboard.rows import BoardRow, answered, groups_of
from leaderboard.tested import LEVEL, rows_to_test

ASSETS = Path(payload.__file__).parent / "assets"
SCRIPTS = ("score.js", "ranks.js", "statistics.js", "special.js", "unpack.js")  # in any order
SETTINGS = 200
Setting = dict[str, Any]


@cache
def plain() -> Board:
    return filled(annotated(240, 1))


@cache
def uneven() -> Board:
    """Three keypoints, some unlabelled, one on no lattice; images in groups of different sizes; some without an answer."""
    annotations = annotated(140, 3, seed=1)
    visible = np.where(np.random.default_rng(2).random((140, 3)) < 0.2, 0, 2)
    visible[0] = 2
    groups = tuple(f"video {int(24 * (i / 140) ** 1.5)}" for i in range(140))
    annotations = replace(annotations, visible=visible, groups=groups, spacing=np.array([1.0, np.nan, 0.5]))
    return filled(annotations, missed=0.02)


@cache
def several() -> Board:
    return filled(annotated(120, 2, instances=2, seed=3), missed=0.1)


BOARDS: dict[str, tuple[Callable[[], Board], int]] = {
    "in full": (plain, payload.BUDGET),
    "on a lattice": (plain, 60_000),
    "uneven": (uneven, payload.BUDGET),
    "uneven on a lattice": (uneven, 70_000),
    "several": (several, payload.BUDGET),
}


def seeds_of(board: Board) -> list[int]:
    return sorted({seed for row in board.finished for seed in row.seeds})


def settings_of(board: Board, held: dict[str, Any], count: int) -> list[Setting]:
    """Random parts of a board, the whole first."""
    rng = np.random.default_rng(11)

    def some(names: list[Any]) -> list[Any] | None:
        chosen = [name for name in names if rng.random() < 0.6]
        return chosen if chosen and rng.random() < 0.7 else None

    found: list[Setting] = [{"tolerance": None, "classes": None, "keypoints": None, "seeds": None}]
    while len(found) < count:
        found.append(
            {
                "tolerance": float(rng.choice([0.5, 1.0, 2.0, rng.uniform(0, 4)])),
                "classes": some(held["classes"]["names"]),
                "keypoints": some(list(board.keypoints)),
                "seeds": some(seeds_of(board)),
            }
        )
    return found


def held_answers(board: Board, held: dict[str, Any]) -> dict[tuple[str, int], Evaluation]:
    """What a payload holds beside the annotations: the stored predictions where they are in full, else those of the lattice."""
    found = {}
    for row, kept in zip(board.finished, held["rows"]):
        truth = packing.unpack(held["truth"])
        points = answers.unpack_answers(kept["answers"], truth, held["scoring"]["power"])
        annotations = row.runs[0].annotations
        counted = payload._counted(annotations)
        for seed, stored, of_seed in zip(row.seeds, row.runs, points):
            if held["scoring"]["power"] is None:
                found[row.label, seed] = Evaluation(annotations, stored.predictions)
                continue
            given = ~np.isnan(of_seed[:, :, 0]).all(axis=1)
            rows = counted[given]
            held_here = np.nan_to_num(of_seed[given])
            predictions = Predictions.of_category(
                annotations.image_ids[annotations.index[rows]], held_here, np.ones(len(rows)), 1
            )
            found[row.label, seed] = Evaluation(annotations, predictions)
    return found


@dataclass(frozen=True)
class Reference:
    """The rows of a part of a board, by the product's own functions."""

    rows: dict[str, BoardRow]
    pck: dict[str, float | None]
    failure: float
    annotations: Annotations
    ranks: dict[str, tuple[int | None, int | None]]
    order: list[str]


def reference(
    board: Board, held: dict[str, Any], known: dict[tuple[str, int], Evaluation], setting: Setting
) -> Reference:
    """`benchmark.metrics` of the labelled keypoints of a part, then what `leaderboard` makes of it."""
    annotations = board.finished[0].runs[0].annotations
    single = annotations.single_instance
    columns = np.array([setting["keypoints"] is None or name in setting["keypoints"] for name in board.keypoints])
    of = annotations.labels[annotations.index] if annotations.labels is not None else annotations.category_ids
    names = np.array(held["classes"]["names"])[np.unique(of, return_inverse=True)[1]]
    chosen = np.ones(len(of), bool) if setting["classes"] is None else np.isin(names, setting["classes"])
    part = replace(annotations, visible=np.where(chosen[:, None] & columns, annotations.visible, 0))
    made, pck = [], {}
    for row in board.finished:
        seeds = [seed for seed in row.seeds if setting["seeds"] is None or seed in setting["seeds"]]
        if not seeds:
            continue
        tables, distances, exact = [], [], []
        for seed in seeds:
            evaluation = known[row.label, seed]
            pairs = evaluation.pairs.rows
            errors = replace(evaluation.errors, labelled=evaluation.errors.labelled & chosen[pairs][:, None] & columns)
            tables.append(
                {
                    name: entry.compute(errors)
                    if errors.any_labelled and (name != "exact" or errors.any_on_lattice)
                    else None
                    for name, entry in metrics().items()
                    if name in ("mean", "median", "exact")
                }
            )
            tables[-1]["pck@1"] = (
                float((errors.labelled_distances <= (setting["tolerance"] or 1.0)).mean())
                if errors.any_labelled
                else None
            )
            distances.append(evaluation.per_image(errors.distances, errors.labelled))
            exact.append(evaluation.per_image(errors.exact, errors.on_lattice))
        of_image = np.stack(distances) * (rows_module._image_weights(part) if single else 1.0)
        pooled = rows_module.over_seeds(tables)
        pck[row.label] = pooled["pck@1"]
        at = [row.seeds.index(seed) for seed in seeds]
        scores = tuple(replace(row.scores[i], distances=own) for i, own in zip(at, distances))
        made.append(
            replace(
                row,
                runs=tuple(row.runs[i] for i in at),
                scores=scores,
                metrics=pooled,
                errors=of_image,
                exact=np.stack(exact),
            )
        )
    ordered = board_module._ordered(made)
    alone = replace(
        part,
        keypoints=part.keypoints[:, columns],
        visible=part.visible[:, columns],
        baseline=None if part.baseline is None else part.baseline[:, columns],
    )
    alone = alone.take(np.flatnonzero(chosen)) if single else alone
    failure = board_module.failure_size(alone, ordered)
    tests, _ = rows_to_test([row for row in ordered if row.record.ranked])
    ranks = {test.name: (found.low, found.high) for test, found in zip(tests, rank_intervals(tests, failure, LEVEL))}
    return Reference(
        {row.label: row for row in made},
        pck,
        failure,
        annotations,
        ranks,
        [row.label for row in ordered if row.record.ranked],
    )


@pytest.fixture
def score_page(open_page: Callable[..., Any]) -> Any:
    scripts = "".join(f"<script>{(ASSETS / name).read_text()}</script>" for name in SCRIPTS)
    return open_page(f"<!doctype html><meta charset=utf-8><title>score</title>{scripts}")


IN_BROWSER = """async (text) => {
  const [board, settings, pairs] = JSON.parse(text);
  await KB.score.unpack(board);
  const found = [];
  for (const [i, plain] of settings.entries()) {
    const setting = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, Array.isArray(value) ? new Set(value) : value]));
    const rows = KB.score.evaluate(board, setting);
    const again = i % 10 ? null : await KB.score.ranks({...board}, setting, KB.score.figures({...board}, setting));
    found.push({
      rows: rows.map((row) => ({...row, errors: i % 5 ? null : row.errors.map((own) => Array.from(own)), distances: null})),
      again: again && again.map((row) => [row.rank_low, row.rank_high]),
      pair: KB.score.pair(board, ...pairs[i], setting),
    });
  }
  return JSON.stringify(found, (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value));
}"""  # text, since Playwright takes its time over every number of an object


def close(found: Any, wanted: Any, size: float = 1.0) -> bool:
    if found is None or wanted is None:
        return found is None and wanted is None
    return float(found) == wanted or abs(float(found) - wanted) <= 1e-9 * size


@pytest.mark.parametrize("name", BOARDS)
def test_browser_equals_python(name: str, score_page: Any) -> None:
    make, budget = BOARDS[name]
    board = make()
    held = payload.payload(board, budget)
    assert held["scoring"]["mode"] == ("lattice" if "lattice" in name else "full")
    known = held_answers(board, held)
    settings = settings_of(board, held, SETTINGS // len(BOARDS))
    rng = np.random.default_rng(1)
    labels = [row.label for row in board.finished]
    pairs = [list(rng.choice(labels, 2, replace=False)) for _ in settings]
    told_apart = 0
    for setting, pair, found in zip(
        settings, pairs, json.loads(score_page.evaluate(IN_BROWSER, json.dumps([held, settings, pairs]))), strict=True
    ):
        wanted = reference(board, held, known, setting)
        if found["again"] is not None:
            assert found["again"] == [[row["rank_low"], row["rank_high"]] for row in found["rows"]]
        assert len(found["rows"]) == len(board.finished)
        for row in found["rows"]:
            compare_row(row, wanted, setting, board, held)
            told_apart += row["rank_low"] is not None and row["rank_low"] > 1
        compare_pair(found["pair"], pair, wanted)
    assert told_apart > 0


def compare_row(row: dict[str, Any], wanted: Reference, setting: Setting, board: Board, held: dict[str, Any]) -> None:
    own = wanted.rows.get(row["label"])
    if own is None:
        assert row["mean"] is None
        assert row["reason"] == "no run with these seeds"
        return
    every = {"classes": held["classes"]["names"], "keypoints": list(board.keypoints), "seeds": seeds_of(board)}
    whole = all(setting[part] in (None, names) for part, names in every.items())
    for name in ("mean", "median", "exact"):
        figure = board.row(row["label"]).metrics[name] if whole else own.metrics[name]
        assert close(row[name], figure), (row["label"], name, row[name], figure, setting)
    assert close(row["pck"], wanted.pck[row["label"]]), (row["label"], setting)
    if whole and held["scoring"]["power"] is not None:  # the board's own; the lattice's differ in the last digits
        of_board = board.row(row["label"])
        assert (row["rank_low"], row["rank_high"]) == (of_board.rank_low, of_board.rank_high)
        return
    (position,) = [i + 1 for i, label in enumerate(wanted.order) if label == row["label"]] or [None]
    assert row["position"] == position or own.metrics["mean"] is None
    assert (row["rank_low"], row["rank_high"]) == wanted.ranks.get(row["label"], (None, None)), (row["label"], setting)
    seen, lattice = answered(own.errors), answered(own.exact)
    spans = (
        ("interval", interval(own.errors[:, seen], groups=groups_of(wanted.annotations, seen)) if len(seen) else None),
        (
            "exact_interval",
            exact_share(own.exact[:, lattice], groups=groups_of(wanted.annotations, lattice)) if len(lattice) else None,
        ),
    )
    for name, span in spans:
        assert (row[name] is None) == (span is None), (name, setting)
        assert span is None or (close(row[name]["low"], span.low) and close(row[name]["high"], span.high)), (
            name,
            setting,
        )
    if row["errors"] is not None:
        np.testing.assert_allclose(np.array(row["errors"], dtype=float), own.errors, rtol=0, atol=1e-9)
    assert [one["seed"] for one in row["perSeed"]] == list(own.seeds)


def compare_pair(found: dict[str, Any], pair: list[str], wanted: Reference) -> None:
    first, second = (wanted.rows.get(label) for label in pair)
    seeds = [seed for seed in first.seeds if seed in second.seeds] if first and second else []
    if not first or not second or not seeds:
        assert "error" in found
        return
    a, b = (row.errors[[row.seeds.index(seed) for seed in seeds]] for row in (first, second))
    both = answered(np.concatenate([a, b]))
    if not len(both):
        assert "error" in found
        return
    result = paired(a[:, both], b[:, both], LEVEL, wanted.failure, groups_of(wanted.annotations, both))
    assert close(found["difference"], result.difference)
    assert close(found["p"], result.p)
    span = 2 * max(1.0, wanted.failure, np.abs(a[:, both] - b[:, both]).max())  # the ends are found to 1e-9 of it
    assert close(found["low"], result.low, span), (found, result)
    assert close(found["high"], result.high, span), (found, result)


@pytest.mark.parametrize("make", [plain, uneven])
def test_the_reference_is_the_board_of_that_part(make: Callable[[], Board]) -> None:
    """What the browser is compared with, against whole boards made of the part alone."""
    board = make()
    held = payload.payload(board)
    known = held_answers(board, held)
    for setting in settings_of(board, held, 6):
        wanted = reference(board, held, known, setting)
        annotations = wanted.annotations
        columns = [k for k, name in enumerate(board.keypoints) if name in (setting["keypoints"] or board.keypoints)]
        labels = np.array([str(label) for label in annotations.labels])  # type: ignore[union-attr]
        images = np.flatnonzero(np.isin(labels, setting["classes"] or held["classes"]["names"]))
        part = replace(
            annotations.take(images),
            keypoint_names=tuple(board.keypoints[k] for k in columns),
            keypoints=annotations.keypoints[images][:, columns],
            visible=annotations.visible[images][:, columns],
            sigmas=annotations.sigmas[columns],
            spacing=annotations.spacing[columns],  # type: ignore[index]
            baseline=annotations.baseline[images][:, columns],  # type: ignore[index]
        )
        runs = []
        for row in board.finished:
            for seed, stored in zip(row.seeds, row.runs):
                if seed in (setting["seeds"] or seeds_of(board)):
                    given = stored.predictions
                    at = np.flatnonzero(np.isin(given.image_ids, part.image_ids))
                    answered_here = Predictions(
                        given.image_ids[at], given.keypoints[at][:, columns], given.scores[at], given.category_ids[at]
                    )
                    runs.append(run(row.label, seed, part, answered_here, ranked=row.record.ranked))
        (alone,) = boards(Made(runs))
        assert {row.label for row in alone.finished} == set(wanted.rows)
        assert alone.failure == pytest.approx(wanted.failure, abs=1e-12)
        assert [row.label for row in alone.rows] == wanted.order
        for row in alone.finished:
            for name in ("mean", "median", "exact"):
                assert close(row.metrics[name], wanted.rows[row.label].metrics[name]), (name, setting)
            assert (row.rank_low, row.rank_high) == wanted.ranks.get(row.label, (None, None))


def test_distributions_are_those_of_scipy(score_page: Any) -> None:
    rng = np.random.default_rng(0)
    calls: list[tuple[Any, ...]] = []
    wanted = []
    for _ in range(300):
        df = float(rng.choice([1, 2, 3, 9, 290, 4290, 1e5, 1 + 9 * rng.random()]))
        t, p, z = float(np.exp(rng.uniform(-8, 5))), float(10 ** rng.uniform(-25, np.log10(0.5))), rng.uniform(-6, 30)
        n = float(rng.choice([5, 291, 4291, 1e5]))
        right = float(rng.integers(0, int(n)))
        calls += [("studentCdf", df, -t), ("studentQuantile", df, p), ("normalTail", z)]
        wanted += [special.stdtr(df, -t), special.stdtrit(df, p), special.ndtr(-z)]
        calls += [("betaQuantile", right + 1, n - right, level) for level in (0.025, 0.975)]
        wanted += [special.betaincinv(right + 1, n - right, level) for level in (0.025, 0.975)]
    found = score_page.evaluate("(calls) => calls.map(([name, ...values]) => KB.special[name](...values))", calls)
    np.testing.assert_allclose([float(value) for value in found], wanted, rtol=1e-10)  # large ones arrive as integers
