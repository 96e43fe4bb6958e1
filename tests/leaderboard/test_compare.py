"""Comparing two rows: figures against numpy and scipy, refusals in one line."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import ttest_rel

from benchmark.runs.store import Store
from benchmark.statistics.paired import paired
from benchmark.structures import Annotations, UserError
from leaderboard.board import boards
from leaderboard.compare import compare
from leaderboard.render import words
from leaderboard.render.terminal import print_comparison


def test_one_seed_is_students_paired_test_over_images_and_the_tail_test(maker: Any, annotations: Annotations) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, (2, len(annotations), 1, 2))
    maker.put("a", annotations, maker.answers(annotations, first))
    maker.put("b", annotations, maker.answers(annotations, second * 1.4))
    (board,) = boards(maker.store)
    found = compare(maker.store, "a", "b")
    one, other = np.hypot(*first[:, 0].T), np.hypot(*(1.4 * second)[:, 0].T)
    assert found.result.difference == pytest.approx((one - other).mean())
    assert found.result.p == pytest.approx(paired(one[None], other[None], failure=board.failure).p)
    student = ttest_rel(one, other)
    assert found.result.p >= student.pvalue
    low, high = student.confidence_interval()
    assert found.result.low <= low + 1e-12
    assert found.result.high >= high - 1e-12


def test_a_comparison_of_two_rows_agrees_with_their_ranks(filled: Store) -> None:
    (board,) = boards(filled)
    rows = {row.label: row for row in board.rows}
    for a, b in (("sharp", "blunt"), ("twin", "wild"), ("sharp", "wild")):
        assert (rows[a].rank_high or 9) < (rows[b].rank_low or 0)
        assert compare(filled, a, b).better == a


def test_turning_it_round_turns_the_sign(filled: Store) -> None:
    forth, back = compare(filled, "twin", "wild"), compare(filled, "wild", "twin")
    assert forth.result.difference == pytest.approx(-back.result.difference)
    assert forth.result.p == pytest.approx(back.result.p)
    assert forth.better == back.better == "twin"


def test_the_deciding_images_carry_the_difference(filled: Store) -> None:
    found = compare(filled, "blunt", "twin")
    gaps = (found.errors_a - found.errors_b).mean(axis=0)
    deciding = found.result.images_that_decide
    assert 0 < len(deciding) < len(gaps)
    assert gaps.sum() * np.delete(gaps, deciding).sum() <= 1e-9
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    names = [entry["file_name"] for entry in document["deciding"]]
    assert names == [f"{i + 1:03d}.png" for i in deciding.tolist()]
    assert document["deciding"][0]["a"] - document["deciding"][0]["b"] == pytest.approx(gaps[deciding[0]])


def test_equal_rows_cannot_be_told_apart(maker: Any, annotations: Annotations) -> None:
    for name in ("a", "b"):
        maker.put(name, annotations, maker.answers(annotations, 1.0))
    found = compare(maker.store, "a", "b")
    assert (found.result.difference, found.result.p, found.better) == (0.0, 1.0, None)
    assert found.as_dict()["deciding"] == []
    out = io.StringIO()
    print_comparison(found, Console(file=out, width=80))
    assert "cannot be told apart" in out.getvalue()


def test_rows_on_other_seeds_are_compared_on_those_they_share(maker: Any, annotations: Annotations) -> None:
    rng = np.random.default_rng(0)
    for name, seeds in (("a", (0, 1, 2)), ("b", (1, 2, 3)), ("c", (7,))):
        for seed in seeds:
            maker.put(name, annotations, maker.answers(annotations, rng.normal(0, 1, (len(annotations), 1, 2))), seed)
    found = compare(maker.store, "a", "b")
    assert found.seeds == (1, 2)
    assert "Compared on the seeds both have (1, 2)." in map(words.comparison_note, found.notes)
    with pytest.raises(UserError, match="give both the same"):
        compare(maker.store, "a", "c")


def test_what_is_printed(filled: Store) -> None:
    out = io.StringIO()
    print_comparison(compare(filled, "sharp", "wild"), Console(file=out, width=100))
    text = out.getvalue()
    for part in (
        "sharp against wild",
        "seeds 0, 1, 2",
        "95 % interval",
        "p value",
        "sharp is better than wild",
        "power",
    ):
        assert part in text


def test_refusals(filled: Store, maker: Any, annotations: Annotations) -> None:
    cases = {
        ("sharp", "blnt", None, None): "did you mean 'blunt'",
        ("sharp", "sharp", None, None): "same row",
        ("sharp", "broken", None, None): "'broken' has failed on made@1 on dots: ValueError: loss is nan",
        ("sharp", "blunt", "elsewhere", None): "no run of task elsewhere",
    }
    for arguments, message in cases.items():
        with pytest.raises(UserError, match=message):
            compare(filled, *arguments)
    for name in ("sharp", "blunt"):
        maker.put(name, annotations, maker.answers(annotations), config={"data": "more", "data_digest": "f" * 64})
    with pytest.raises(UserError, match="choose with --task and --data"):
        compare(filled, "sharp", "blunt")
    assert compare(filled, "sharp", "blunt", data="more").result.p == 1
    maker.put("sharp", annotations, maker.answers(annotations), config={"n_train": 7})
    with pytest.raises(UserError, match="choose one of 'sharp n7', 'sharp n100'"):
        compare(filled, "sharp", "wild n100", data="dots")
    assert compare(filled, "sharp n100", "wild", data="dots").better == "sharp n100"


def test_another_annotations_is_refused(maker: Any, annotations: Annotations) -> None:
    maker.put("a", annotations, maker.answers(annotations))
    other = maker.annotations(len(annotations), seed=5)
    maker.put("b", other, maker.answers(other))
    with pytest.raises(UserError, match="different annotations"):
        compare(maker.store, "a", "b")
    for name in ("c", "d"):  # the same two annotations each, a seed on either
        maker.put(name, annotations, maker.answers(annotations), 0)
        maker.put(name, other, maker.answers(other), 1)
    with pytest.raises(UserError, match="different annotations"):
        compare(maker.store, "c", "d")


def test_several_instances_are_compared_where_both_matched(maker: Any) -> None:
    annotations = maker.annotations(20, 1, 2)
    rng = np.random.default_rng(0)
    maker.put("a", annotations, maker.answers(annotations, rng.normal(0, 0.3, (40, 1, 2))))
    offsets = rng.normal(0, 0.3, (40, 1, 2))
    offsets[:4] = 500.0  # the two instances of two images: matched by nothing
    maker.put("b", annotations, maker.answers(annotations, offsets))
    found = compare(maker.store, "a", "b")
    assert found.images.tolist() == list(range(2, 20))
    assert [note.values for note in found.notes if note.code == "matched_images"] == [{"images": 20}]
