"""Boards against pandas and brute force, on made stores."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.runs.store import Store
from benchmark.structures import Annotations, Predictions, UserError
from leaderboard import rows
from leaderboard.board import Board, boards, find_run
from leaderboard.compare import compare
from leaderboard.render import words
from leaderboard.render.tables import as_rows


def stored_scores(store: Store) -> pd.DataFrame:
    """What every finished run.json says, read as plain JSON."""
    found = []
    for path in store.root.rglob("run.json"):
        record = json.loads(path.read_text())
        if record["status"] == "finished":
            numbers = {k: v for k, v in record["scores"].items() if not isinstance(v, dict)}
            found.append({"detector": record["config"]["detector"], "fit": record["fit_seconds"], **numbers})
    return pd.DataFrame(found)


def test_metrics_are_the_mean_over_seeds_and_max_the_largest(filled: Store) -> None:
    (board,) = boards(filled)
    stored = stored_scores(filled)
    means = stored.groupby("detector").mean(numeric_only=True)
    largest = stored.groupby("detector")["max"].max()
    finished = (*board.rows, *board.references)
    assert {row.label for row in finished} == set(means.index)
    for row in finished:
        for name, value in row.metrics.items():
            if value is not None and name != "max":
                assert value == pytest.approx(means.loc[row.label, name], abs=1e-12), name
        assert row.metrics["max"] == pytest.approx(largest[row.label], abs=1e-12)
        assert row.fit_seconds == pytest.approx(means.loc[row.label, "fit"])


def test_rows_are_ranked_and_references_and_failures_stand_apart(filled: Store) -> None:
    (board,) = boards(filled)
    wanted = stored_scores(filled).groupby("detector")["mean"].mean().drop(["mean", "rule"]).sort_values()
    assert [row.label for row in board.rows] == list(wanted.index)
    assert [row.position for row in board.rows] == [1, 2, 3, 4]
    assert [row.label for row in board.references] == ["rule", "mean"]
    assert all((row.position, row.rank_low, row.untested) == (None, None, "unranked") for row in board.references)
    assert [(row.label, row.error) for row in board.failed] == [("broken", "ValueError: loss is nan")]


def ranks(board: Board) -> dict[str, tuple[int | None, int | None]]:
    return {row.label: (row.rank_low, row.rank_high) for row in board.rows}


def test_rank_intervals_follow_the_evidence(filled: Store) -> None:
    (board,) = boards(filled)
    assert ranks(board) == {"sharp": (1, 1), "blunt": (2, 3), "twin": (2, 3), "wild": (4, 4)}


def test_a_failure_is_as_bad_as_the_mean_s_worst_answer_whatever_the_rows(maker: Any, annotations: Annotations) -> None:
    assert annotations.baseline is not None
    worst = float(np.hypot(*(annotations.keypoints - annotations.baseline)[:, 0].T).max())
    maker.put("net", annotations, maker.answers(annotations, 0.25))
    (before,) = boards(maker.store)
    maker.put("broken", annotations, maker.answers(annotations, (900.0, 0.0)))
    (after,) = boards(maker.store)
    assert before.failure == after.failure == pytest.approx(worst)


def test_without_a_baseline_it_is_the_median_row_s_largest_error(maker: Any) -> None:
    annotations = replace(maker.annotations(), baseline=None)
    for name, shift in (("a", 1.0), ("b", 2.0), ("c", 900.0)):
        maker.put(name, annotations, maker.answers(annotations, (shift, 0.0)))
    assert boards(maker.store)[0].failure == pytest.approx(2.0)


def test_the_row_to_use_is_the_cheapest_shown_to_be_near_the_leader(maker: Any) -> None:
    annotations = maker.annotations(2000)
    noise = np.random.default_rng(0).normal(0, 0.2, (len(annotations), 1, 2))
    maker.put("dear", annotations, maker.answers(annotations, noise), fit_seconds=50.0)
    maker.put("cheap", annotations, maker.answers(annotations, noise[::-1]), fit_seconds=5.0)
    maker.put("poor", annotations, maker.answers(annotations, noise * 9), fit_seconds=0.1)
    (board,) = boards(maker.store)
    leader = board.rows[0].label
    assert (board.advice.code, board.advice.name, board.advice.leader) == ("shown", "cheap", leader)
    assert board.unaided is None
    assert words.advice(board) == [
        "Use cheap (5 s to fit, 0.5 ms an image), the leader: no cheaper row is shown (95 %) to be within 0.1 px of it."
        if leader == "cheap"
        else "Use cheap (5 s to fit, 0.5 ms an image): the cheapest row shown (95 %) to be within 0.1 px of the leader, dear."
    ]


def test_where_nothing_is_shown_the_advice_says_how_many_images_would_do(maker: Any, annotations: Annotations) -> None:
    noise = np.random.default_rng(0).normal(0, 2, (2, len(annotations), 1, 2))
    maker.put("dear", annotations, maker.answers(annotations, noise[0]), fit_seconds=50.0)
    maker.put("cheap", annotations, maker.answers(annotations, noise[1]), fit_seconds=5.0)
    (board,) = boards(maker.store)
    assert board.advice.code == "not_shown"
    (sentence,) = words.advice(board)
    assert sentence.startswith("None is advised: no row is shown (95 %) to be at most 0.2")
    assert board.rows[0].label in sentence
    assert re.search(r"About [\d,]+ test images would do \(there are 50\)\.$", sentence)


def test_a_helped_row_to_use_names_the_best_without_help(maker: Any) -> None:
    annotations = maker.annotations(2000)
    maker.put("linear:features=pts", annotations, maker.answers(annotations), oracle_features=True, fit_seconds=0.1)
    for name, shift, seconds in (("net", 0.25, 9.0), ("dear", 0.25, 90.0), ("poor", 3.0, 0.2)):
        maker.put(name, annotations, maker.answers(annotations, shift), fit_seconds=seconds)
    (board,) = boards(maker.store)
    assert board.unaided is not None
    assert (board.advice.name, board.unaided.name) == ("linear:features=pts", "net")
    assert words.advice(board) == [
        "Use linear:features=pts (oracle features, 0.1 s to fit, 0.5 ms an image), the leader: no cheaper row is shown "
        "(95 %) to be within 0.1 px of it.",
        "Without oracle features or the rule in its structure: use net (9 s to fit, 0.5 ms an image): the cheapest such row "
        "shown (95 %) to be within 0.1 px of the best of these, dear.",
    ]


def test_a_plain_row_to_use_needs_no_second_choice(maker: Any) -> None:
    annotations = maker.annotations(2000)
    maker.put("net", annotations, maker.answers(annotations), fit_seconds=0.1)
    maker.put("extrema", annotations, maker.answers(annotations), rule_structured=True, fit_seconds=9.0)
    maker.put("mean", annotations, maker.answers(annotations, 3.0), ranked=False)
    (board,) = boards(maker.store)
    assert (board.advice.name, board.unaided) == ("net", None)


def test_where_every_row_is_helped_there_is_no_second_choice(maker: Any, annotations: Annotations) -> None:
    maker.put("extrema", annotations, maker.answers(annotations), rule_structured=True, fit_seconds=9.0)
    (board,) = boards(maker.store)
    assert (board.advice.code, board.unaided) == ("one_row", None)
    assert words.advice(board) == [
        "None is advised: extrema (rule-structured, 9 s to fit, 0.5 ms an image) is the only row that was tested, so there is "
        "nothing to compare it with."
    ]


def test_rows_no_better_than_the_training_mean_are_not_advised(maker: Any, annotations: Annotations) -> None:
    """Both answer the centre of the image, a little off: near each other, and as far from the points as the mean is."""
    assert annotations.baseline is not None
    for name, shift in (("a", 0.5), ("b", 0.52)):
        maker.put(name, annotations, maker.answers(annotations, annotations.baseline + shift - annotations.keypoints))
    (board,) = boards(maker.store)
    assert (board.advice.code, board.advice.advised) == ("no_better_than_mean", None)
    (sentence,) = words.advice(board)
    assert sentence.startswith(
        "None is advised: no row is shown (95 %) to be better than the training mean, the same answer for every image; "
        "the leader is "
    )
    assert not any(row["advised"] for row in as_rows(board))


def test_the_separation_is_that_of_the_leader_and_the_next_row_seen_to_differ(
    maker: Any, annotations: Annotations
) -> None:
    noise = np.random.default_rng(5).normal(0, 1, (4, len(annotations), 1, 2))
    maker.put("a", annotations, maker.answers(annotations, noise[0]))
    maker.put("a2", annotations, maker.answers(annotations, noise[0]))
    maker.put("b", annotations, maker.answers(annotations, noise[1] * 1.1))
    maker.put("far", annotations, maker.answers(annotations, noise[2] * 20))
    (board,) = boards(maker.store)
    assert board.separation is not None
    assert (board.separation.leader, board.separation.other, board.separation.rows) == ("a", "b", 4)
    alone = compare(maker.store, "a", "b").power.images
    among = board.separation.power.images
    assert alone is not None
    assert among is not None
    assert alone < among < 2 * alone
    assert words.separation(board.separation).startswith("a and b are not told apart here; as two of 4 rows, about ")


def test_where_the_leader_is_shown_to_be_best_there_is_no_separation(maker: Any) -> None:
    annotations = maker.annotations(200)
    maker.put("near", annotations, maker.answers(annotations, 0.25))
    maker.put("far", annotations, maker.answers(annotations, 5.0))
    (board,) = boards(maker.store)
    assert ranks(board) == {"near": (1, 1), "far": (2, 2)}
    assert board.separation is None


def test_ties_go_by_exact_then_name(maker: Any, annotations: Annotations) -> None:
    maker.put("zeta", annotations, maker.answers(annotations, (0.6, 0.0)))
    maker.put("beta", annotations, maker.answers(annotations, (0.0, 0.6)))
    close = 0.6 / np.sqrt(2)  # the same distance, but within half a pixel on both axes
    maker.put("omega", annotations, maker.answers(annotations, (close, close)))
    assert [row.label for row in boards(maker.store)[0].rows] == ["omega", "beta", "zeta"]


def test_scores_come_from_predictions_not_from_run_json(maker: Any, annotations: Annotations) -> None:
    run = maker.put("net", annotations, maker.answers(annotations, (3.0, 4.0)))
    path = run.folder / "run.json"
    record = json.loads(path.read_text())
    record["scores"]["mean"] = 0.0
    path.write_text(json.dumps(record))
    assert boards(maker.store)[0].rows[0].metrics["mean"] == pytest.approx(5.0)


def test_seeds_of_different_settings_are_never_mixed(maker: Any, annotations: Annotations) -> None:
    for seed in range(3):
        maker.put(
            "net",
            annotations,
            maker.answers(annotations, 9.0),
            seed,
            config={"threads": 2},
            created="2026-01-01T10:00:00",
        )
    maker.put(
        "net", annotations, maker.answers(annotations, 1.0), 1, config={"threads": 4}, created="2026-01-02T10:00:00"
    )
    (board,) = boards(maker.store)
    (row,) = board.rows
    assert row.seeds == (1,)
    assert row.metrics["mean"] == pytest.approx(np.sqrt(2))
    assert [note.values for note in board.notes if note.code == "older"] == [{"count": 1}]


def test_rows_on_other_seeds_are_ranked_but_not_tested(maker: Any, annotations: Annotations) -> None:
    rng = np.random.default_rng(1)
    for name, seeds in (("a", (0, 1)), ("b", (0, 1)), ("c", (5,))):
        for seed in seeds:
            maker.put(name, annotations, maker.answers(annotations, rng.normal(0, 1, (len(annotations), 1, 2))), seed)
    rows = {row.label: row for row in boards(maker.store)[0].rows}
    assert rows["a"].rank_low is not None
    assert rows["c"].rank_low is None
    assert rows["c"].position is not None
    assert rows["c"].marks[-1] == "untested"
    assert rows["c"].untested == "other_seeds_or_images"


def test_a_first_row_that_is_not_tested_is_not_called_the_leader_by_the_advice(maker: Any) -> None:
    annotations = maker.annotations(300)
    maker.put("early", annotations, maker.answers(annotations), seed=9)
    for name, shift in (("a", 0.25), ("b", 2.0)):
        maker.put(name, annotations, maker.answers(annotations, shift))
    (board,) = boards(maker.store)
    assert board.rows[0].label == "early"
    (sentence,) = words.advice(board)
    assert sentence.startswith("Use a (1 s to fit, 0.5 ms an image), the best tested row: ")


def test_a_failed_seed_is_marked_and_left_out(maker: Any, annotations: Annotations) -> None:
    maker.put("net", annotations, maker.answers(annotations, 1.0), 0)
    maker.put("net", annotations, None, 1, error="RuntimeError: no luck")
    (row,) = boards(maker.store)[0].rows
    assert row.seeds == (0,)
    assert row.failures == {1: "RuntimeError: no luck"}
    assert "failed_seeds" in row.marks


def test_a_run_whose_predictions_are_gone_is_a_failed_row(maker: Any, annotations: Annotations) -> None:
    run = maker.put("net", annotations, maker.answers(annotations))
    (run.folder / "predictions.json").unlink()
    (board,) = boards(maker.store)
    assert not board.rows
    assert "predictions.json" in board.failed[0].error


def test_boards_never_mix_versions_data_or_folds(maker: Any, annotations: Annotations) -> None:
    for change in (
        {},
        {"version": 2},
        {"data_digest": "e" * 64, "data": "others"},
        {"folds": 5, "data": "dots-folds5"},
    ):
        maker.put("net", annotations, maker.answers(annotations), config=change)
    every = boards(maker.store)
    assert [(b.version, b.data, b.folds, len(b.rows)) for b in every] == [
        (1, "dots", 0, 1), (1, "dots-folds5", 5, 1), (1, "others", 0, 1), (2, "dots", 0, 1),
    ]  # fmt: skip
    assert [b.data for b in boards(maker.store, "made", "others")] == ["others"]
    assert boards(maker.store, "unknown") == []


def test_training_sizes_and_budgets_are_rows_of_their_own(maker: Any, annotations: Annotations) -> None:
    maker.put("net", annotations, maker.answers(annotations, 2.0), config={"n_train": 10})
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    maker.put("net", annotations, maker.answers(annotations, 1.5), config={"budget": "60s"})
    assert [row.label for row in boards(maker.store)[0].rows] == ["net n100", "net n100 60s", "net n10"]


def test_nothing_is_scored_twice_but_a_new_file_is(
    maker: Any, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = rows.score
    monkeypatch.setattr(rows, "score", lambda *a, **k: calls.append(1) or real(*a, **k))
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    maker.put("other", annotations, maker.answers(annotations, 1.0))
    boards(maker.store)
    boards(Store(maker.store.root))
    assert len(calls) == 2
    maker.put("net", annotations, maker.answers(annotations, 2.0625))
    assert max(row.metrics["mean"] or 0 for row in boards(maker.store)[0].rows) == pytest.approx(2.0625 * np.sqrt(2))
    assert len(calls) == 3


def test_several_instances_are_tested_where_all_rows_matched(maker: Any) -> None:
    annotations = maker.annotations(40, 2, 2)
    rng = np.random.default_rng(3)
    every = maker.answers(annotations, rng.normal(0, 0.5, (80, 2, 2)), rng.permutation(80) / 80)
    maker.put("every", annotations, every, has_confidence=True)
    some = np.flatnonzero(every.image_ids > 4)  # finds nothing in four images
    maker.put(
        "some",
        annotations,
        Predictions.of_category(every.image_ids[some], every.keypoints[some] + 0.5, every.scores[some], 1),
    )
    few = np.flatnonzero(every.image_ids < 4)
    maker.put(
        "few", annotations, Predictions.of_category(every.image_ids[few], every.keypoints[few], every.scores[few], 1)
    )
    (board,) = boards(maker.store)
    tested = {row.label: row.rank_low is not None for row in board.rows}
    assert tested == {"every": True, "some": True, "few": False}
    assert board.multi_instance
    assert "Rows are tested on the 36 images in which each of them matched an instance." in words.notes_of(board)
    recall = {row.label: row.metrics["recall"] for row in board.rows}
    assert recall["every"] == 1
    assert recall["some"] == pytest.approx(0.9)


def test_an_image_that_one_seed_matched_nothing_in_is_not_tested(maker: Any) -> None:
    annotations = maker.annotations(40, 1, 2)
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        for seed in range(2):
            found = maker.answers(annotations, rng.normal(0, 0.5, (80, 1, 2)))
            kept = np.flatnonzero(found.image_ids != (1 if (name, seed) == ("a", 1) else 0))
            maker.put(
                name,
                annotations,
                Predictions.of_category(found.image_ids[kept], found.keypoints[kept], found.scores[kept], 1),
                seed,
            )
    (board,) = boards(maker.store)
    assert "Rows are tested on the 39 images in which each of them matched an instance." in words.notes_of(board)
    assert set(ranks(board).values()) == {(1, 2)}


def test_a_file_changed_in_place_is_scored_again(maker: Any, annotations: Annotations) -> None:
    run = maker.put("net", annotations, maker.answers(annotations, 2.25))
    assert boards(maker.store)[0].rows[0].metrics["max"] == pytest.approx(2.25 * np.sqrt(2))
    path = run.folder / "predictions.json"
    text, before = path.read_text(), path.stat()
    points = json.loads(text)[0]["keypoints"]
    path.write_text(text.replace(str(points[0]), str(points[0] + 3), 1))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    assert boards(Store(maker.store.root))[0].rows[0].metrics["max"] == pytest.approx(np.hypot(5.25, 2.25))


def test_no_answers_at_all_still_make_a_row(maker: Any) -> None:
    many, nothing = (
        maker.annotations(10, 1, 2),
        Predictions.of_category(np.zeros(0, int), np.zeros((0, 1, 2)), np.zeros(0), 1),
    )
    maker.put("silent", many, nothing)
    (row,) = boards(maker.store)[0].rows
    assert row.metrics["mean"] is None
    assert (row.rank_low, row.untested) == (None, "too_few_answers")


def test_interval_holds_the_mean_and_narrows_with_images(maker: Any) -> None:
    widths = []
    for n in (30, 300):
        annotations = maker.annotations(n)
        noise = np.random.default_rng(n).normal(0, 1, (n, 1, 2))
        maker.put("net", annotations, maker.answers(annotations, noise), config={"data_digest": str(n), "data": str(n)})
        found = boards(maker.store, data=str(n))[0].rows[0]
        assert found.interval is not None
        assert found.interval.mean == pytest.approx(np.hypot(noise[:, 0, 0], noise[:, 0, 1]).mean())
        assert found.interval.low < found.interval.mean < found.interval.high
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] < widths[0] / 2


def test_find_run(filled: Store) -> None:
    assert find_run(filled, "sharp", "made", "dots").record.seed == 0
    assert find_run(filled, "sharp", "made", "dots", 2).record.seed == 2
    for arguments, message in (
        (("shrap", "made", "dots"), "did you mean 'sharp'"),
        (("sharp", "made", "dots", 7), "there are 0, 1, 2"),
        (("sharp", "made", "nowhere"), "no run of task made on data nowhere"),
        (("broken", "made", "dots"), "loss is nan"),
    ):
        with pytest.raises(UserError, match=message):
            find_run(filled, *arguments)


def test_a_row_is_ordered_ranked_and_bounded_by_one_mean(maker: Any) -> None:
    """Images hold different numbers of labelled keypoints: the mean is over keypoints, and so are ranks and intervals."""
    annotations = maker.annotations(600, 3)
    visible = annotations.visible.copy()
    visible[:400, 1:] = 0
    annotations = replace(annotations, visible=visible)
    shift = np.where(np.arange(600) < 400, 2.5, 1.0)[:, None, None]
    maker.put("alpha", annotations, maker.answers(annotations, shift / np.sqrt(2)))
    maker.put("beta", annotations, maker.answers(annotations, (3.5 - shift + 0.5) / np.sqrt(2)))
    (board,) = boards(maker.store)
    for row in board.rows:
        assert row.interval is not None
        assert row.interval.mean == pytest.approx(row.metrics["mean"], abs=1e-9)
        assert row.interval.low <= row.metrics["mean"] <= row.interval.high
    assert [row.rank_low for row in board.rows] == sorted(row.rank_low or 0 for row in board.rows)


def test_a_failed_seed_takes_no_finished_one_away(maker: Any, annotations: Annotations) -> None:
    """A run that fails before it has imported everything knows fewer files than the others."""
    code = {"det.py": "1", "late.py": "2"}
    for seed in (0, 2):
        maker.put("lazy", annotations, maker.answers(annotations, 1.0), seed, facts={"code": code})
    failed = {"facts": {"code": {"det.py": "1"}}, "created": "2030-01-01T00:00:00+00:00"}
    maker.put("lazy", annotations, None, 1, error="no luck", **failed)
    (row,) = boards(maker.store)[0].rows
    assert row.seeds == (0, 2)
    assert row.failures == {1: "no luck"}
    assert not [note for note in boards(maker.store)[0].notes if note.code == "older"]


def test_nothing_is_advised_where_rows_miss_different_shares(maker: Any) -> None:
    annotations = maker.annotations(40, 1, 3)
    every = maker.answers(annotations, 1.0)
    some = np.arange(0, len(every), 3)
    maker.put("all", annotations, every)
    few = Predictions(every.image_ids[some], every.keypoints[some] - 0.9, every.scores[some], every.category_ids[some])
    maker.put("a third", annotations, few)
    (board,) = boards(maker.store)
    assert board.advice.name is None
    assert words.advice(board)[0].startswith("None is advised: rows miss different shares")


def test_labels_are_unique_whatever_others_call_their_rows(maker: Any, annotations: Annotations) -> None:
    maker.put("a", annotations, maker.answers(annotations, 1.0))
    for name in ("a", "a (external)"):
        maker.put(name, annotations, maker.answers(annotations, 2.0), external=True, config={"n_train": 0})
    labels = [row.label for row in boards(maker.store)[0].rows]
    assert len(set(labels)) == 3
