"""What the tests of a board's rows give: intervals of ranks, the row to use, and what would tell the best rows apart.

A hundred rows are five thousand pairs, which take longer to test than 10,000 runs to read. The tests are a pure function
of errors, costs and code, so what they gave is kept in the index (`benchmark.runs.index`) under a hash of all of these, and
taken from there while the hash stands. A board is the same with it and without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy
from pydantic import TypeAdapter

import benchmark.statistics
from benchmark.metrics.oks import BoolArray
from benchmark.metrics.pixels import distance
from benchmark.runs.store import Results
from benchmark.statistics.advice import Advice, advise
from benchmark.statistics.components import TIE
from benchmark.statistics.power import Power, power
from benchmark.statistics.ranks import RankInterval, Row, on_shared_seeds, rank_intervals
from benchmark.structures import Annotations, FloatArray
from leaderboard.rows import ORACLE, STRUCTURED, BoardRow, groups_of

LEVEL = 0.95
"""Of every interval, test and advice on a board."""


@dataclass(frozen=True)
class Separation:
    """What would tell the leader from the row next to it that it is not shown to be better than.

    Attributes:
        leader: Label of the leader.
        other: Label of the best row that is seen to be worse, and not shown to be.
        rows: How many rows are tested with them, which is what makes the test strict.
        power: How many seeds or images would do.
    """

    leader: str
    other: str
    rows: int
    power: Power


@dataclass(frozen=True)
class Tested:
    """What the tests of a board's rows give.

    Attributes:
        intervals: Of the rank of each row that can be tested, in the order of these.
        advice: The row to use.
        unaided: The row to use among those without oracle features or the rule in their structure; None where the advised
            row is one of these, or there is none.
        separation: What would tell the best rows apart; None where they are told apart.
    """

    intervals: tuple[RankInterval, ...]
    advice: Advice
    unaided: Advice | None
    separation: Separation | None


def rows_to_test(ranked: Sequence[BoardRow]) -> tuple[list[Row], int | None]:
    """What the tests need of the rows that can be tested, and on how many images, where these are not all.

    Where images hold several instances a row may have matched none of an image's: rows are then tested on the images in
    which all of them matched some, and a row that matched in less than half of the images is left out. Where rows have
    several seeds, and not all the same, they are tested on those they share.
    """
    answered = [np.isfinite(row.errors).all(axis=0) for row in ranked]
    most = max((int(known.sum()) for known in answered), default=0)
    enough = [row.errors.size > 0 and int(known.sum()) * 2 >= most > 0 for row, known in zip(ranked, answered)]
    shared: dict[tuple[str, ...], BoolArray] = {}
    for row, known, is_enough in zip(ranked, answered, enough):
        if is_enough:
            shared[row.annotation_digests] = np.asarray(known & shared.get(row.annotation_digests, known))
    constants = [constant_errors(row.runs[0].annotations) for row in ranked]
    tests = [
        Row(
            row.label,
            row.errors[:, shared[row.annotation_digests]],
            row.seeds,
            row.annotation_digests,
            row.metrics["exact"],
            groups=groups_of(row.runs[0].annotations, np.flatnonzero(shared[row.annotation_digests])),
            constant=None if constant is None else constant[shared[row.annotation_digests]],
        )
        for row, constant, is_enough in zip(ranked, constants, enough)
        if is_enough and shared[row.annotation_digests].any()
    ]
    limits = sorted(int(known.sum()) for known in shared.values() if not known.all())
    return on_shared_seeds(tests), limits[0] if limits else None


def constant_errors(annotations: Annotations) -> FloatArray | None:
    """What always answering with the training mean costs.

    Args:
        annotations: Of the test images.

    Returns:
        (N,) float64 px, the mean error of each image, NaN where nothing is labelled; None where the mean is unknown, or images
        hold other than one instance.
    """
    if annotations.baseline is None or not annotations.single_instance:
        return None
    errors = distance(annotations.points - annotations.baseline)
    labelled = np.isfinite(errors)
    counts = labelled.sum(axis=1)
    total = np.where(labelled, errors, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, counts, np.full(len(counts), np.nan), where=counts > 0))


def tested_rows(
    results: Results, board: str, ranked: Sequence[BoardRow], tests: Sequence[Row], failure: float
) -> Tested:
    """What the tests of a board's rows give: from the index, where it is known there.

    Args:
        results: Where the runs are.
        board: A name of the board that can be a file's.
        ranked: Its ranked rows, best first.
        tests: What `rows_to_test` takes of them.
        failure: Pixels; how bad a failure is on these images.
    """
    costs = {
        row.label: (row.fit_seconds, row.predict_ms)
        for row in ranked
        if row.fit_seconds is not None and row.predict_ms is not None
    }
    aided = {row.label for row in ranked if {ORACLE, STRUCTURED} & set(row.marks)}
    key = _key(ranked, tests, failure, costs, aided)
    if (text := results.recall(f"tests of {board}", key)) is not None:
        return _TESTED.validate_json(text)
    intervals = tuple(rank_intervals(tests, failure, LEVEL))
    advice, unaided = _advice(tests, costs, aided, failure)
    made = Tested(intervals, advice, unaided, _separation(tests, intervals, failure))
    text = _TESTED.dump_json(made).decode()
    if _TESTED.validate_json(text) == made:
        results.remember(f"tests of {board}", key, text)
    return made


_TESTED = TypeAdapter(Tested)


def _key(
    ranked: Sequence[BoardRow],
    tests: Sequence[Row],
    failure: float,
    costs: dict[str, tuple[float, float]],
    aided: set[str],
) -> str:
    """A hash over all that the tests stand on, and over where the runs' answers lie and since when."""
    digest = hashlib.blake2b(digest_size=16)
    told = (_code(), scipy.__version__, LEVEL, failure, sorted(costs.items()), sorted(aided))
    digest.update(repr((told, [[run.fingerprint for run in row.runs] for row in ranked])).encode())
    for row in tests:
        members = None if row.groups is None else row.groups.members.tolist()
        if row.constant is not None:
            digest.update(np.ascontiguousarray(row.constant, dtype="<f8").tobytes())
        digest.update(repr((row.name, row.seeds, row.images, row.exact, members, row.errors.shape)).encode())
        digest.update(np.ascontiguousarray(row.errors, dtype="<f8").tobytes())
    return digest.hexdigest()


@cache
def _code() -> str:
    """A hash over the files that decide what the tests give."""
    folder = Path(str(benchmark.statistics.__file__)).parent
    contents = [path.read_bytes() for path in (*sorted(folder.glob("*.py")), Path(__file__))]
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()


def _advice(
    tests: Sequence[Row], costs: Mapping[str, tuple[float, float]], aided: set[str], failure: float
) -> tuple[Advice, Advice | None]:
    """The row to use; and, where that has oracle features or the rule in its structure, the row to use without these."""
    advice = advise(tests, costs, failure, LEVEL)
    plain = [test for test in tests if test.name not in aided]
    if advice.name not in aided or not plain:
        return advice, None
    return advice, advise(plain, costs, failure, LEVEL)


def _separation(tests: Sequence[Row], intervals: Sequence[RankInterval], failure: float) -> Separation | None:
    """What would show the leader to be better than the next row that is seen to be worse.

    The pair has to pass as the rank intervals ask it (Holm's correction): at 5 % divided by the number of rows that the
    leader is not shown to be better than.
    """
    tested = [(test, interval) for test, interval in zip(tests, intervals) if interval.low is not None]
    if not tested or tested[0][1].high in (None, 1):
        return None
    leader, first = tested[0]
    unshown = (first.high or 1) - 1
    for other, _ in tested[1:]:
        if other.errors.mean() - leader.errors.mean() <= TIE:
            continue
        level = 1 - (1 - LEVEL) / unshown
        needed = power(other.errors, leader.errors, level=level, failure=failure, groups=leader.groups)
        if needed.code == "separated":
            continue
        return Separation(leader.name, other.name, len(tested), needed)
    return None
