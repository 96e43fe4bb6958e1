"""The page scores as Python does: random parts of made boards, in a real browser, against the product's own functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.metrics import metrics, score
from benchmark.metrics.evaluation import Evaluation
from benchmark.runs.config import RunConfig
from benchmark.runs.store import Record, Results, StoredRun
from benchmark.statistics.groups import Groups
from benchmark.statistics.intervals import exact_share, interval
from benchmark.statistics.paired import paired
from benchmark.statistics.ranks import rank_intervals
from benchmark.structures import Annotations, Category, FloatArray, Predictions
from leaderboard import board as board_module
from leaderboard import rows as rows_module
from leaderboard.board import LEVEL, Board, boards
from leaderboard.render.page import answers, packing, payload
from leaderboard.rows import BoardRow, answered, groups_of

ASSETS = Path(payload.__file__).parent / "assets"
SCRIPTS = ("unpack.js", "special.js", "statistics.js", "score.js")
SETTINGS = 200
Setting = dict[str, Any]


class MadeRun(StoredRun):
    """A run in memory."""

    def __init__(self, record: Record, annotations: Annotations, predictions: Predictions | None) -> None:
        self.record, self.place, self._known = record, "made", (annotations, predictions)

    @property
    def annotations(self) -> Annotations:
        return self._known[0]

    @property
    def predictions(self) -> Predictions:
        assert self._known[1] is not None
        return self._known[1]

    @property
    def history_text(self) -> str:
        return "epoch,loss,word\n0,1.23456789,x\n1,nan,x\n2,0.5,x\n"

    @property
    def fingerprint(self) -> Any:
        return id(self)


class Made(Results):
    """Runs in memory."""

    root = Path("made")

    def __init__(self, runs: list[MadeRun]) -> None:
        self._runs = runs

    def runs(self) -> Iterator[StoredRun]:
        return iter(self._runs)


def run(detector: str, seed: int, annotations: Annotations, predictions: Predictions | None, **fields: Any) -> MadeRun:
    config = RunConfig(
        task="made", version=1, data="dots", data_digest="d" * 64, n_train=9, detector=detector, name=detector
    )
    record = Record(
        status="finished" if predictions is not None else "failed",
        key=config.key(seed),
        config=config,
        seed=seed,
        annotations=annotations.digest[:16],
        **{"fit_seconds": 1.0, "predict_ms": 2.0, "created": "2026-01-01", **fields},
    )
    return MadeRun(record, annotations, predictions)


def annotated(n: int, k: int, instances: int = 1, seed: int = 0) -> Annotations:
    """n images of 28 x 28 px with labels, ``instances`` each (of two categories in turn), whole-pixel points."""
    rng = np.random.default_rng(seed)
    m = n * instances
    points = rng.integers(4, 24, (m, k, 2)).astype(np.float64)
    return Annotations(
        image_ids=np.arange(1, n + 1),
        file_names=tuple(f"{i}.png" for i in range(n)),
        sizes=np.tile([28, 30], (n, 1)),
        index=np.repeat(np.arange(n), instances),
        keypoints=points,
        visible=np.full((m, k), 2),
        boxes=np.column_stack([points.min(axis=1) - 3, np.full((m, 2), 6.0)]),
        areas=np.full(m, 784.0),
        crowd=np.zeros(m, dtype=bool),
        category_ids=np.arange(m) % instances + 1,
        keypoint_names=tuple(f"<b>{j}" for j in range(k)),
        sigmas=np.full(k, 0.09),
        spacing=np.ones(k),
        labels=rng.integers(0, 4, n) if instances == 1 else None,
        baseline=np.full((n, k, 2), 13.25) if instances == 1 else None,
        categories=tuple(Category(c + 1, f"kind {c}") for c in range(instances)),
    )


def answering(
    annotations: Annotations, rng: np.random.Generator, spread: float, missed: float = 0.0, whole: bool = False
) -> Predictions:
    """Answers ``spread`` px off, a few by far; ``whole``: in whole pixels, mostly right."""
    shape = annotations.keypoints.shape
    offsets = rng.normal(0, spread, shape) * np.where(rng.random(shape[:2])[..., None] < 0.03, 12, 1)
    if whole:
        offsets = np.rint(offsets)
    kept = np.flatnonzero(rng.random(len(offsets)) >= missed)
    return Predictions(
        annotations.image_ids[annotations.index[kept]],
        (annotations.keypoints + offsets)[kept],
        rng.random(len(kept)),
        annotations.category_ids[kept],
    )


def filled(annotations: Annotations, missed: float = 0.0, rows: int = 7) -> Board:
    """Rows from good to bad, two alike, one deterministic, one on other seeds, a reference and a failure."""
    rng = np.random.default_rng(5)
    runs = []
    for i in range(rows):
        spread = (0.2, 0.28, 0.3, 0.3, 0.6, 0.9, 2.5)[i % 7]
        given = [answering(annotations, rng, spread, missed, whole=i in (1, 2)) for _ in range(3)]
        given = [given[0]] * 3 if i == 4 else given
        seeds = (0, 1) if i == 5 else (0, 1, 2)
        runs += [run(f"row{i}", seed, annotations, given[seed]) for seed in seeds]
    runs += [
        run("twin", seed, annotations, answering(annotations, np.random.default_rng(5), 0.2, missed))
        for seed in (0, 1, 2)
    ]
    runs += [run("reference", 0, annotations, answering(annotations, rng, 5.0, missed), ranked=False)]
    runs += [run("broken", 0, annotations, None, error="ValueError: <i>nan</i>")]
    (board,) = boards(Made(runs))
    return board


@cache
def plain() -> Board:
    return filled(annotated(60, 1))


@cache
def uneven() -> Board:
    """Three keypoints, some unlabelled, one on no lattice; images in groups of different sizes; some without an answer."""
    annotations = annotated(70, 3, seed=1)
    visible = np.where(np.random.default_rng(2).random((70, 3)) < 0.2, 0, 2)
    visible[0] = 2
    groups = tuple(f"video {int(12 * (i / 70) ** 1.5)}" for i in range(70))
    annotations = replace(annotations, visible=visible, groups=groups, spacing=np.array([1.0, np.nan, 0.5]))
    return filled(annotations, missed=0.02)


@cache
def several() -> Board:
    return filled(annotated(40, 2, instances=2, seed=3), missed=0.1)


BOARDS: dict[str, tuple[Callable[[], Board], int]] = {
    "in full": (plain, payload.BUDGET),
    "on a lattice": (plain, 16_000),
    "uneven": (uneven, payload.BUDGET),
    "uneven on a lattice": (uneven, 50_000),
    "several": (several, payload.BUDGET),
}


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
                "seeds": some([0, 1, 2]),
            }
        )
    return found


def held_predictions(board: Board, held: dict[str, Any]) -> dict[tuple[str, int], Predictions]:
    """What a payload holds, as predictions: the stored ones where they are in full, else those of the lattice."""
    found = {}
    for row, kept in zip(board.finished, held["rows"]):
        truth = packing.unpack(held["truth"])
        points = answers.unpack_answers(kept["answers"], truth, held["scoring"]["power"])
        annotations = row.runs[0].annotations
        counted = payload._counted(annotations)
        for seed, stored, of_seed in zip(row.seeds, row.runs, points):
            if held["scoring"]["power"] is None:
                found[row.label, seed] = stored.predictions
                continue
            given = ~np.isnan(of_seed[:, :, 0]).all(axis=1)
            rows = counted[given]
            found[row.label, seed] = Predictions.of_category(
                annotations.image_ids[annotations.index[rows]], np.nan_to_num(of_seed[given]), np.ones(len(rows)), 1
            )
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
    board: Board, held: dict[str, Any], known: dict[tuple[str, int], Predictions], setting: Setting
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
            evaluation = Evaluation(annotations, known[row.label, seed])
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
    tests, _ = board_module.test_rows([row for row in ordered if row.record.ranked])
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


IN_BROWSER = """async ([board, settings, pairs]) => {
  await KB.score.unpack(board);
  const found = [];
  for (const [i, plain] of settings.entries()) {
    const setting = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, Array.isArray(value) ? new Set(value) : value]));
    const rows = KB.score.evaluate(board, setting);
    const again = i % 10 ? null : await KB.score.ranks({...board}, setting, KB.score.figures({...board}, setting));
    found.push({
      rows: rows.map((row) => ({...row, errors: row.errors.map((own) => Array.from(own)), distances: null})),
      again: again && again.map((row) => [row.rank_low, row.rank_high]),
      pair: KB.score.pair(board, ...pairs[i], setting),
    });
  }
  return found;
}"""


def close(found: Any, wanted: Any, size: float = 1.0) -> bool:
    if found is None or wanted is None:
        return found is None and wanted is None
    return found == wanted or abs(found - wanted) <= 1e-9 * size


@pytest.mark.parametrize("name", BOARDS)
def test_browser_equals_python(name: str, score_page: Any) -> None:
    make, budget = BOARDS[name]
    board = make()
    held = payload.payload(board, budget)
    assert held["scoring"]["mode"] == ("lattice" if "lattice" in name else "full")
    known = held_predictions(board, held)
    settings = settings_of(board, held, SETTINGS // len(BOARDS))
    rng = np.random.default_rng(1)
    labels = [row.label for row in board.finished]
    pairs = [list(rng.choice(labels, 2, replace=False)) for _ in settings]
    told_apart = 0
    for setting, pair, found in zip(
        settings, pairs, score_page.evaluate(IN_BROWSER, [held, settings, pairs]), strict=True
    ):
        wanted = reference(board, held, known, setting)
        if found["again"] is not None:
            assert found["again"] == [[row["rank_low"], row["rank_high"]] for row in found["rows"]]
        assert len(found["rows"]) == len(board.finished)
        for row in found["rows"]:
            compare_row(row, wanted, setting, board, held)
            told_apart += row["rank_low"] is not None and row["rank_low"] > 1
        compare_pair(found["pair"], pair, wanted)
    assert told_apart > 20


def compare_row(row: dict[str, Any], wanted: Reference, setting: Setting, board: Board, held: dict[str, Any]) -> None:
    own = wanted.rows.get(row["label"])
    if own is None:
        assert row["mean"] is None and row["reason"] == "no run with these seeds"
        return
    whole = all(setting[part] is None for part in ("classes", "keypoints", "seeds"))
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
    np.testing.assert_allclose(np.array(row["errors"], dtype=float), own.errors, atol=1e-9)
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
