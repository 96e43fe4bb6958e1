"""Which board is meant, what boards of one name are called, and what is said of seeds that rows lack."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.runs.config import Job, RunConfig
from benchmark.runs.plan import Planned
from benchmark.runs.store import Store
from benchmark.statistics.notes import Note
from benchmark.structures import Annotations, UserError
from leaderboard.board import boards
from leaderboard.compare import compare
from leaderboard.missing_seeds import commands
from leaderboard.render import words
from leaderboard.render.status import print_grid
from leaderboard.status import GridStatus, JobStatus
from leaderboard.which import boards_on, find_only_run


def put(maker: Any, annotations: Annotations, *names: str, **config: Any) -> None:
    for name in names:
        maker.put(name, annotations, maker.answers(annotations, 1.0), config=config)


def test_boards_of_one_title_are_told_apart_by_their_digests(maker: Any, annotations: Annotations) -> None:
    for digest in ("abcdef00", "abcdef01"):
        put(maker, annotations, "net", data_digest=digest + "0" * 56)
    assert [board.title for board in boards(maker.store)] == [
        "made@1 on dots (data abcdef00)",
        "made@1 on dots (data abcdef01)",
    ]
    put(maker, annotations, "net", data_digest="abcdef01" + "1" * 56)
    assert [board.title.partition("(")[2] for board in boards(maker.store)] == [
        "data abcdef000)", "data abcdef010)", "data abcdef011)",
    ]  # fmt: skip
    assert boards(maker.store, "made", "none") == []


def test_grouped_and_random_folds_are_told_apart_by_their_groups(maker: Any, annotations: Annotations) -> None:
    groups = tuple(str(i // 5) for i in range(len(annotations)))
    put(maker, replace(annotations, groups=groups), "net", data_digest="a" * 64, folds=5, data="dots-folds5")
    put(maker, annotations, "net", data_digest="b" * 64, folds=5, data="dots-folds5")
    put(maker, annotations, "net", data_digest="b" * 64)
    assert [board.title for board in boards(maker.store)] == [
        "made@1 on dots",
        "made@1 on dots-folds5 (images in groups)",
        "made@1 on dots-folds5 (images alone)",
    ]
    put(maker, annotations, "net", data_digest="b" * 64, folds=3, data="dots")
    titles = [board.title for board in boards(maker.store, "made", "dots")]
    assert titles == ["made@1 on dots (no folds)", "made@1 on dots (3 folds)"]


def test_data_is_named_by_title_digest_or_path(maker: Any, annotations: Annotations, tmp_path: Path) -> None:
    for digest, folder in (("abc123", "one"), ("abc777", "two")):
        (tmp_path / folder).mkdir()
        config = {"data_digest": digest + "0" * 58}
        facts = {"data": f"../{folder}"}
        maker.put("net", annotations, maker.answers(annotations, 1.0), config=config, facts=facts)
    found = {
        asked: [board.digest[:6] for board in boards_on(maker.store, "made", asked)]
        for asked in (None, "dots", "abc777", "abc777000", "abc", "none", str(tmp_path / "two"))
    }
    assert found == {
        None: ["abc123", "abc777"],
        "dots": ["abc123", "abc777"],
        "abc777": ["abc777"],
        "abc777000": ["abc777"],
        "abc": [],  # too short to be meant
        "none": [],
        str(tmp_path / "two"): ["abc777"],
    }


def test_one_row_alone_says_which_board(maker: Any, annotations: Annotations) -> None:
    put(maker, annotations, "net", data_digest="a" * 64)
    put(maker, annotations, "other", "net", data_digest="b" * 64, task="more")
    assert find_only_run(maker.store, "other").record.config.task == "more"
    assert find_only_run(maker.store, "net", "made").record.config.task == "made"
    with pytest.raises(UserError, match=r"'net' is on 2 boards \(made@1 on dots, more@1 on dots\): choose with --task"):
        find_only_run(maker.store, "net")
    with pytest.raises(UserError, match="'nut' has no run of any task: did you mean 'net'"):
        find_only_run(maker.store, "nut")
    with pytest.raises(UserError, match="'other' has no finished run with seed 3 of more@1 on dots; there are 0"):
        find_only_run(maker.store, "other", seed=3)


def test_a_comparison_tells_the_metrics_of_a_pair(maker: Any) -> None:
    """Points 10 px apart; errors of 5 px are half of that."""
    known: Annotations = maker.annotations(20, 2)
    known = replace(known, keypoints=known.keypoints[:, :1] + [[0.0, 0.0], [10.0, 0.0]])
    maker.put("a", known, maker.answers(known, (3.0, 4.0)))
    maker.put("b", known, maker.answers(known, (0.0, 1.0)))
    found = compare(maker.store, "a", "b", pair=("p0", "p1"))
    assert (found.metrics_a["nme_pair"], found.metrics_b["nme_pair"]) == pytest.approx((50.0, 10.0))
    assert found.as_dict()["pck_pair@0.2"] == [0.0, 1.0]
    assert not [name for name in compare(maker.store, "a", "b").as_dict() if "pair" in name]
    with pytest.raises(UserError, match="'p7' is no keypoint"):
        compare(maker.store, "a", "b", pair=("p0", "p7"))


def test_the_command_that_makes_missing_seeds(maker: Any, annotations: Annotations) -> None:
    config = {"task": "topleft", "data": "tiny"}
    for name, seeds in (("a", 1), ("b:x=1,y='2'", 1), ("c", 3)):
        for seed in range(seeds):
            maker.put(name, annotations, maker.answers(annotations, 1.0 + seed), seed, config=config)
    (board,) = boards(maker.store)
    (command,) = commands(board)
    begin = "python -m benchmark run --task topleft --data tiny --device cpu --threads 1 --seeds 3 -d a -d "
    assert command.startswith(begin)
    assert shlex.split(command.removeprefix(begin)) == ["b:x=1,y='2'"]
    assert f"This makes the missing seeds: {command}" in words.notes_of(board)
    for name in ("a", "b:x=1,y='2'"):
        for seed in (1, 2):
            maker.put(name, annotations, maker.answers(annotations, 1.0 + seed), seed, config=config)
    (mended,) = boards(Store(maker.store.root))
    assert commands(mended) == []
    assert all(row.rank_low for row in mended.rows)


def test_missing_seeds_are_those_that_the_tested_rows_share(maker: Any, annotations: Annotations) -> None:
    """Two rows with five seeds do not ask for more of six with three; the one with a single seed is brought to three."""
    for name, seeds in (("slow", 1), *((f"r{i}", 3) for i in range(6)), ("a", 5), ("b", 5)):
        for seed in range(seeds):
            maker.put(name, annotations, maker.answers(annotations, 1.0 + seed), seed)
    (board,) = boards(maker.store)
    assert [row.label for row in board.rows if row.untested] == ["slow"]
    assert commands(board) == ["python -m benchmark run --data PATH --device cpu --threads 1 --seeds 3 -d slow"]


def test_missing_seeds_of_own_data_and_several_budgets(maker: Any, annotations: Annotations) -> None:
    rows = (("a", "5epochs", 1), ("b", "recipe", 1), ("c", "recipe", 1), ("d", "recipe", 3), ("e", "recipe", 3))
    for name, budget, seeds in rows:
        for seed in range(seeds):
            maker.put(name, annotations, maker.answers(annotations, 1.0), seed, config={"budget": budget})
    (board,) = boards(maker.store)
    assert sorted(commands(board)) == [
        "python -m benchmark run --data PATH --budget 5epochs --device cpu --threads 1 --seeds 3 -d a",
        "python -m benchmark run --data PATH --device cpu --threads 1 --seeds 3 -d b -d c",
    ]


def test_one_is_not_plural(maker: Any) -> None:
    annotations = maker.annotations(1)
    maker.put("a", annotations, maker.answers(annotations, 1.0))
    (board,) = boards(maker.store)
    assert words.size(board).startswith("1 test image, ")
    assert words.statistic(Note("student_t", {"images": 1, "seeds": 1})) == "t interval over 1 image"
    assert words.statistic(Note("student_t", {"images": 1001, "seeds": 1})) == "t interval over 1,001 images"
    assert words.statistic(Note("student_t_groups", {"groups": 1, "effective": 1.0})).startswith(
        "t interval over 1 group of"
    )


@pytest.mark.parametrize("width", [70, 80])
def test_a_grid_breaks_no_word_where_there_is_room(width: int) -> None:
    names = ["keypointrcnn-fpn", "linear:features=pix+max+min"]
    jobs = []
    for name in names:
        config = RunConfig(
            task="digit-dependent", version=1, data="tiny", data_digest="d", n_train=568, detector=name, name=name
        )
        job = Job(specification=name, data={"data": "tiny"}, config=config, seed=0, results="r")
        jobs.append(JobStatus(Planned(job), "missing", True, 30.0, False))
    out = io.StringIO()
    print_grid(GridStatus("r", tuple(jobs)), Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert lines[0] == "digit-dependent@1 on tiny"
    for name in names:
        assert any(line.startswith(name + " ") for line in lines)
    assert lines[1].split() == ["detector", "n", "budget", "missing", "time", "left"]  # no column without an entry
    assert "2 runs in r: 2 missing" in lines
