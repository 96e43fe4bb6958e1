"""The one table of codes: what every mark, note, reason and advice says, in words.

`MARKS` has the letter and the legend of a row's marks; `notes_of`, `undefined`, `advice`, `separation` and `power` make sentences
of what boards, rows and `benchmark.statistics` hold as codes with values. A code without an entry here fails a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from benchmark.metrics.registry import REASONS as METRIC_REASONS
from benchmark.metrics.registry import metrics
from benchmark.statistics.advice import MARGIN_SHARE, SMALLEST_MARGIN, Advice
from benchmark.statistics.intervals import Interval
from benchmark.statistics.power import Power
from datasets.tasks.catalog import tasks
from leaderboard import missing_seeds
from leaderboard.board import NEAR_FLOOR, Board
from leaderboard.compare import Comparison
from leaderboard.keypoints import KeypointRow
from leaderboard.rows import (
    AT_FLOOR,
    EXTERNAL,
    FAILED,
    GIVEN_BOXES,
    NO_CATEGORIES,
    ORACLE,
    STALE,
    STRUCTURED,
    TIED,
    UNTESTED,
    BoardRow,
)
from leaderboard.tested import LEVEL, Separation

SURE = f"{100 * LEVEL:.0f} %"


class Mark(NamedTuple):
    """How a mark is shown.

    Attributes:
        letter: Stands behind the row's name.
        name: In a sentence about one row.
        legend: What it means.
    """

    letter: str
    name: str
    legend: str


MARKS: dict[str, Mark] = {
    ORACLE: Mark(
        "o",
        "oracle features",
        "oracle features: a linear fit on its hand-made inputs is at least 99.9 % exact on train",
    ),
    STRUCTURED: Mark("r", "rule-structured", "rule-structured: the network's structure is the rule of a task itself"),
    EXTERNAL: Mark("e", "external", "external: predictions made by another tool"),
    GIVEN_BOXES: Mark(
        "b", "given boxes", "given boxes: it was told where the test instances are (boxes=truth), which others find"
    ),
    TIED: Mark(
        "t",
        "tied scores",
        "tied scores: it has no confidence, or equal ones, so its AP changes with the order of the images",
    ),
    NO_CATEGORIES: Mark(
        "k",
        "tells no categories apart",
        "tells no categories apart: every answer is given the commonest category",
    ),
    AT_FLOOR: Mark(
        "n",
        "at the noise floor",
        f"noise floor reached: not shown ({SURE}) to be above the error that noise in the labels alone would give a perfect "
        f"detector, and shown to be below {NEAR_FLOOR:g} times that; what such rows still differ by may be noise",
    ),
    STALE: Mark("c", "code changed since", "code changed since it was run, or was not recorded then"),
    FAILED: Mark("f", "failed seeds", "failed seeds: some seeds failed; the figures are those of the others"),
    UNTESTED: Mark(
        "s",
        "not tested",
        "not tested: other seeds than most rows, other annotations, or too few answers, so it has no rank",
    ),
}
"""Mark -> letter, name and legend."""

FEW_GROUPS = 10  # effectively; below that intervals of groups are wide, and rough where sizes differ

COUNTED = (STALE,)
"""The marks whose legend says how many rows carry them."""

RULES = (
    "Rows are ordered by mean pixel error on the test images; every figure is scored from stored predictions.",
    "Rank: a row that is shown to be worse than 2 rows and better than 5 of 10 has rank 3–5: paired tests on the same "
    f"images and seeds, Holm's correction over the row's comparisons, {SURE} a row. The tests allow for "
    "a failure that was not seen, as bad as the training mean's worst answer.",
    f"Use: the cheapest row (seconds to fit, then to predict) shown ({SURE}) to be worse than no other row by more than "
    f"the margin: {SMALLEST_MARGIN:g} px, or {100 * MARGIN_SHARE:g} % of the leader's error where that is more; and better "
    "than the training mean, the same answer for every image.",
    f"±: {SURE} interval of the mean. With one seed it covers other images alone, for this fitted model; with several, "
    "other images and other seeds. A processor that rounds otherwise moves what a network learns as another seed does, so "
    "the spread over seeds includes it, and one seed says nothing of it.",
    "Over seeds: the mean of each metric; the largest of max.",
    "Rows without a rank and a mark are references: neither ranked nor tested.",
)
"""How to read any board; for documents."""

RANK = (
    f"rank 3–5: third to fifth place, as far as paired tests show ({SURE} a row, so the ranks of two rows may overlap)"
)
"""What stands in the column of ranks."""

SHORT_RULES = (
    RANK,
    f"±: {SURE} interval of the mean over other images (one seed: of this fitted model) and seeds",
)
"""How to read any board; for terminals."""

REFERENCES = "rows without a rank or a mark: references, neither ranked nor tested"

REASONS: dict[str, str] = {
    "unranked": "a reference row: shown for comparison",
    "other_seeds_or_images": "other seeds or annotations than most rows",
    "too_few_answers": "too few answers against one set of annotations",
}
"""Why a row is not tested."""

STATISTICS: dict[str, str] = {
    "student_t": "t interval over {images:,.0f} images{of_seeds}",
    "student_t_tail": "t interval over {images:,.0f} images{of_seeds}, allowing for unseen failures of {failure:.1f} px",
    "student_t_groups": "t interval over {groups:,.0f} groups of images{worth}{of_seeds}",
    "student_t_tail_groups": (
        "t interval over {groups:,.0f} groups of images{worth}{of_seeds}, allowing for unseen failures of {failure:.1f} px"
    ),
    "clopper_pearson": "Clopper-Pearson interval for {images:,.0f} images",
    "one_fitted_model": "one seed: this fitted model",
    "two_fitted_models": "one seed: these two fitted models",
    "one_image": "one image says nothing of others",
    "one_group": "one group of images says nothing of others",
    "no_error": "no error on any of {images:,.0f} images: nothing was seen to vary",
    "same_errors": "both have the same error on each of {images:,.0f} images",
    "few_images": "{carrying:.0f} of {images:,.0f} images carry it, so the interval is likely too narrow",
    "none_wrong": "none of {images:,.0f} wrong still allows {percent:.2f} % (one-sided 95 %)",
    "none_right": "none of {images:,.0f} right still allows {percent:.2f} % (one-sided 95 %)",
    "effective_images": "images are shared by seeds, or alike in groups: worth {images:,.0f} independent ones",
}
"""The codes of `benchmark.statistics.notes` as parts of a sentence; ``fitted_models`` by their number."""

_ONE = re.compile(r"(?<![\d.,])1 (image|group)s\b")


class Coded(Protocol):
    """A code with its values: a note of a board or of `benchmark.statistics`."""

    @property
    def code(self) -> str:
        """What it is about."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Its figures."""


def _few_images(rows: Sequence[str]) -> str:
    return f"Few images carry the error, so ± is likely too narrow: {listed(rows)}."


def _grouped(groups: int, effective: float) -> str:
    text = f"Test images come in {numbered(groups, 'group')}{worth_of(groups, effective)}: ± and tests count groups, not images."
    if effective < 2:
        return f"{text} One says nothing of others, so nothing is tested: ask about all of them with --folds."
    return text + (" So few leave intervals wide and rough." if effective < FEW_GROUPS else "")


def _none_wrong(images: float, limit: float, level: float) -> str:
    return f"Exact 100 %: none of {numbered(round(images), 'image')} wrong still allows {100 * limit:.2f} % (one-sided {SURE})."


def _label_floor(
    labels: str, images: int, slips: int, floor: Sequence[float], keypoints: Mapping[str, Sequence[float] | None]
) -> str:
    value, low, high = floor
    aside = f"; {numbered(slips, 'point')} that one of the two misplaced left out" if slips else ""
    return (
        f"Noise floor of the labels: {value:.3g} px ({SURE} {low:.3g} to {high:.3g}), by {numbered(images, 'image')} labelled "
        f"again in {labels}{aside}."
    )


def _several_processors(processors: Sequence[str], mixed_rows: int) -> str:
    return (
        f"Rows were run on {len(processors)} kinds of processor ({'; '.join(processors)}), between which results differ "
        f"as between seeds. {_spread(mixed_rows)}"
    )


def _several_versions(packages: Mapping[str, Sequence[str]], mixed_rows: int) -> str:
    named = "; ".join(f"{name} {', '.join(versions)}" for name, versions in packages.items())
    return f"Rows were run with several library versions ({named}). {_spread(mixed_rows)}"


def _spread(mixed_rows: int) -> str:
    if not mixed_rows:
        return "The seeds of each row ran on one."
    return f"The seeds of {numbered(mixed_rows, 'row')} ran on several: the spread over seeds includes this there."


def _code_changed(rows: int, of: int, unrecorded: int) -> str:
    why = ""
    if unrecorded:
        which = "" if unrecorded == rows else f"{unrecorded} of them "
        why = f" ({which}made before runs recorded their code)"
    return f"The code of {rows} of {numbered(of, 'row')} has changed since {'it was' if rows == 1 else 'they were'} run{why}."


def _code_unknown(rows: int) -> str:
    return f"Of {numbered(rows, 'row')} it cannot be told whether the code has changed: it is not at hand."


def _older(count: int) -> str:
    runs = "1 older configuration" if count == 1 else f"{count} older configurations"
    return f"{runs} of these rows (other code, settings or threads) not shown."


def _tested_images(images: int) -> str:
    return f"Rows are tested on the {numbered(images, 'image')} in which each of them matched an instance."


def _tested_seeds(seeds: Sequence[int]) -> str:
    of = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return f"Ranks and advice are from {of}, which the ranked rows share; figures and ± are over all that a row has."


def pair_note(keypoints: Sequence[str], left_out: int, instances: int) -> str:
    """What metrics of a pair are relative to, and how many instances they leave out."""
    without = (
        f"{left_out:,} of {numbered(instances, 'instance')} lack it and are left out" if left_out else "all have it"
    )
    return f"Pair: errors over the distance between the labels of {' and '.join(keypoints)}; {without}."


NOTES: dict[str, Callable[..., str]] = {
    "few_images": _few_images,
    "grouped": _grouped,
    "none_wrong": _none_wrong,
    "label_floor": _label_floor,
    "several_annotations": lambda: "Rows were scored against more than one set of annotations: run the audit.",
    "several_settings": lambda: "Rows ran on different devices or thread counts: their seconds do not compare.",
    "several_processors": _several_processors,
    "several_versions": _several_versions,
    "uneven_recall": lambda: "Weigh recall and misses beside the pixel errors, which are of matched instances alone.",
    "multi_instance": lambda: (
        "Several instances an image: pixel metrics are over matched pairs, ± and tests over images, and what was "
        "missed is in neither: see precision, recall, misses."
    ),
    "tested_images": _tested_images,
    "tested_seeds": _tested_seeds,
    "pair": pair_note,
    "code_changed": _code_changed,
    "code_unknown": _code_unknown,
    "older": _older,
    "one_seed": lambda: "",
    "several_seeds": lambda: "",
}
"""The notes of a board; those that are "" are explained once, by `RULES`."""

COMPARISON_NOTES: dict[str, Callable[..., str]] = {
    "shared_seeds": lambda seeds: f"Compared on the seeds both have ({', '.join(map(str, seeds))}).",
    "matched_images": lambda images: (
        f"Of {numbered(images, 'image')}, those in which both matched an instance: misses are not part of this."
    ),
}
"""The notes of a comparison of two rows, besides those of `benchmark.statistics`."""

POWER: dict[str, str] = {
    "separated": "they are told apart already",
    "seeds": "about {seeds:,} seeds in all would separate them",
    "images": "about {images:,} {unit} in all would separate them",
    "both": "about {seeds:,} seeds, or {images:,} {unit}, in all would separate them",
    "none": "neither more seeds nor more images alone would separate them",
    "no_difference": "no difference was seen, so nothing can be planned",
    "one_image": "one {one} cannot say",
}
"""The codes of `benchmark.statistics.power`."""


def verdict(comparison: Comparison) -> str:
    """The answer of a comparison in a sentence."""
    if comparison.better is None:
        return f"{comparison.a} and {comparison.b} cannot be told apart here."
    return f"{comparison.better} is better than {comparison.b if comparison.better == comparison.a else comparison.a}."


def pair_figures(comparison: Comparison) -> list[tuple[str, str, str]]:
    """The metrics of the pair: heading, figure of the one row, figure of the other."""
    known = metrics()

    def text(name: str, value: float | None) -> str:
        return "–" if value is None else known[name].text(value)

    return [
        (
            entry.heading if (entry := known[name].column) else name,
            text(name, a),
            text(name, comparison.metrics_b[name]),
        )
        for name, a in comparison.metrics_a.items()
    ]


def notes_of(board: Board) -> list[str]:
    """What a reader must know of a board, in sentences."""
    untested: dict[str, list[str]] = {}
    for row in board.rows:
        if row.untested:
            untested.setdefault(row.untested, []).append(row.label)
    sentences = [f"Not tested, so without a rank: {listed(rows)} ({REASONS[why]})." for why, rows in untested.items()]
    if mend := seed_commands(board):
        sentences.append(f"This makes the missing seeds: {mend}")
    return sentences + [text for note in board.notes if (text := NOTES[note.code](**note.values))]


def seed_commands(board: Board) -> str:
    """What makes the seeds that rows lack to be ranked, as one line of a shell; "" where none are lacking."""
    return " && ".join(missing_seeds.commands(board))


def faultless(board: Board) -> str:
    """What share of wrong answers a row without any may still have; "" where no row is without."""
    return next((NOTES[note.code](**note.values) for note in board.notes if note.code == "none_wrong"), "")


def left_out(board: Board, some: Board) -> str:
    """How many rows of a board are shown; "" where all are."""
    if len(some.finished) == len(board.finished):
        return ""
    return f"{len(some.finished)} of {numbered(len(board.finished), 'row')} shown; ranks are among all of them."


def keypoint_notes(rows: Sequence[KeypointRow]) -> list[str]:
    """What a reader must know of a table of keypoints, in sentences."""
    labelled = {row.keypoint: row.labelled for row in rows}
    notes = []
    if len(labelled) == 1:
        notes.append("There is one keypoint, so its figures are those of the board.")
    if unlabelled := [name for name, number in labelled.items() if not number]:
        notes.append(f"Labelled in no test image, so without figures: {listed(unlabelled, most=len(unlabelled))}.")
    if any(row.scored != row.labelled for row in rows):
        notes.append("Scored: keypoints of matched instances alone; those of missed ones have no pixel error.")
    return notes


def comparison_note(note: Coded) -> str:
    """A note of a comparison, as a sentence."""
    if note.code in COMPARISON_NOTES:
        return COMPARISON_NOTES[note.code](**note.values)
    return f"Note: {statistic(note)}."


def statistic(note: Coded) -> str:
    """A note of `benchmark.statistics`, as part of a sentence."""
    values = dict(note.values)
    code = note.code
    if code == "fitted_models":
        code = "one_fitted_model" if values["models"] == 1 else "two_fitted_models"
    seeds = int(values.get("seeds", 1))
    of_seeds = f" and {seeds} seeds" if seeds > 1 else ""
    worth = worth_of(values["groups"], values["effective"]) if "effective" in values else ""
    text = STATISTICS[code].format(**values, of_seeds=of_seeds, worth=worth, percent=100 * values.get("limit", 0.0))
    return _ONE.sub("1 \\1", text)


def worth_of(groups: float, effective: float) -> str:
    """How many groups of one size are worth as much, where these differ in size."""
    return f" (of uneven sizes: worth {effective:,.1f})" if effective < 0.95 * groups else ""


def interval(span: Interval) -> str:
    """By what method an interval was made, and what is to be known of it."""
    return "; ".join(map(statistic, (span.method, *span.notes)))


def undefined(code: str) -> str:
    """Why a metric has no value; "" where it has one."""
    return METRIC_REASONS[code] if code else ""


def power(plan: Power) -> str:
    """What would separate two rows, as part of a sentence."""
    unit, one = ("groups of images", "group of images") if plan.grouped else ("images", "image")
    text = POWER[plan.code].format(
        seeds=plan.seeds, images=None if plan.images is None else _rounded(plan.images), unit=unit, one=one
    )
    if plan.seeds_seen == 1 and plan.code in ("images", "none"):
        text += " (these two fitted models: with one seed it is not known how many seeds)"
    return text


def separation(pair: Separation | None) -> str:
    """What would tell the leader of a board from the next row; "" where that is shown."""
    if pair is None:
        return ""
    among = f"as two of {pair.rows} rows, " if pair.rows > 2 else ""
    return f"{pair.leader} and {pair.other} are not told apart here; {among}{power(pair.power)}."


def advice(board: Board) -> list[str]:
    """Which row to use, in one or two sentences; none where no row was tested."""
    if not board.rows:
        return []
    first = board.rows[0].label == board.advice.leader
    sentences = [_advice(board, board.advice, "row", "the leader" if first else "the best tested row")]
    if board.unaided is not None:
        which = "Without oracle features or the rule in its structure: "
        text = _advice(board, board.unaided, "such row", "the best of these")
        sentences.append(which + text[0].lower() + text[1:])
    return sentences


def _advice(board: Board, given: Advice, row: str, leader_is: str) -> str:
    if given.name is None or given.leader is None:
        if any(note.code == "uneven_recall" for note in board.notes):
            return "None is advised: rows miss different shares of the instances, which pixel errors do not hold."
        return "No row was tested, so none is advised."
    used, leader = described(board.row(given.name)), given.leader
    if given.code == "one_row":
        return f"None is advised: {used} is the only {row} that was tested, so there is nothing to compare it with."
    if given.code == "no_better_than_mean":
        return (
            f"None is advised: no {row} is shown ({SURE}) to be better than the training mean, the same answer for every "
            f"image; {leader_is} is {used}."
        )
    margin = f"{given.margin:.3g} px" if given.margin is not None else ""
    if given.code == "shown" and given.name == leader:
        return f"Use {used}, {leader_is}: no cheaper {row} is shown ({SURE}) to be within {margin} of it."
    if given.code == "shown":
        return f"Use {used}: the cheapest {row} shown ({SURE}) to be within {margin} of {leader_is}, {leader}."
    text = f"None is advised: no {row} is shown ({SURE}) to be at most {margin} worse than every other; {leader_is} is {used}."
    if board.failure == 0:
        return f"{text} How bad a failure would be is not known."
    if given.images_needed is None:
        return f"{text} More test images alone would not do."
    if board.groups is not None:
        there = f"{numbered(len(board.groups), 'group')}{worth_of(len(board.groups), board.groups.effective)}"
        return f"{text} About {_rounded(given.images_needed):,} groups of test images would do (there {_are(len(board.groups))} {there})."
    needed = _rounded(given.images_needed)
    return f"{text} About {needed:,} test images would do (there {_are(board.images)} {board.images:,})."


def described(row: BoardRow | None) -> str:
    """A row with what it costs and the help it has."""
    if row is None:
        return ""
    parts = [MARKS[mark].name for mark in row.marks if mark in (ORACLE, STRUCTURED, EXTERNAL)]
    parts += [] if row.fit_seconds is None else [f"{row.fit_seconds:.3g} s to fit"]
    parts += [] if row.predict_ms is None else [f"{row.predict_ms:.2g} ms an image"]
    return row.label + (f" ({', '.join(parts)})" if parts else "")


def legend(boards: Sequence[Board], without: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Letter and meaning of every mark that some row of the boards carries.

    Args:
        boards: Those shown.
        without: Marks to leave out, because what they speak of is not shown.
    """
    counts: dict[str, int] = {}
    for board in boards:
        for mark, number in board.marks.items():
            counts[mark] = counts.get(mark, 0) + number
    return [
        (known.letter, known.legend + (f" ({numbered(counts[mark], 'row')})" if mark in COUNTED else ""))
        for mark, known in MARKS.items()
        if mark in counts and mark not in without
    ]


def asks(board: Board) -> str:
    """Which points a board's task asks for; "" where it is none of the suite's own, as with a user's data."""
    task = tasks().get(board.task)
    # a folder of that name is another task, unless its keypoints are called so, too
    if task is None or task.version != board.version or task.points.keypoints != board.keypoints:
        return ""
    return task.summary


def size(board: Board) -> str:
    """How many images and keypoints a board is about, and the data it is made of."""
    parts = [numbered(board.images, "test image")] if board.images else []
    parts += [f"{len(board.keypoints)} keypoints ({listed(board.keypoints)})"] if len(board.keypoints) > 1 else []
    parts += [f"out of {board.folds} folds"] if board.folds else []
    return ", ".join([*parts, f"data {board.digest[:12]}"])


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names with commas, of many the first."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def p_value(p: float) -> str:
    """A p value with the digits that matter."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}" if p > 0 else "0"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _rounded(number: int) -> int:
    """Two digits: it is an estimate."""
    return int(float(f"{number:.2g}")) if number > 100 else number


def numbered(count: int, noun: str) -> str:
    """``1 image``, or ``1,024 images``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
