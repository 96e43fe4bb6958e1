"""How often the suite's intervals, rank intervals and advice are right, by simulation: run it, read the tables.

    python scripts/simulate_coverage.py [--repeats 2000] [--seed 0] [--only ranks] [--only advice] ...

Every table uses the functions that the board uses (``benchmark.statistics``) on draws whose true means are known. One seed
is asked about the models that were fitted, several about the mean over all seeds and images. Errors of the figures: 1
percentage point or less (2 standard errors) at 2,000 repeats for the intervals. Boards are drawn a quarter as often, but
each holds 2 to 30 rows.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import ArrayLike

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.statistics.advice import advise
from benchmark.statistics.groups import Groups
from benchmark.statistics.intervals import exact_share, interval
from benchmark.statistics.label_noise import label_noise
from benchmark.statistics.paired import p_value, paired
from benchmark.statistics.power import power
from benchmark.statistics.ranks import Row, rank_intervals
from benchmark.statistics.sequential import FIRST_SEEDS, ranked_at
from benchmark.structures import FloatArray, IntArray

SEEDS = (1, 2, 3, 5, 10)
BOARD_SEEDS = (1, 3, 5)
BOARD_IMAGES = (50, 291, 1000)
IMAGES = 291
FLOOR = 14.0
"""px: the worst error of the mean predictor, which every board of small images has; failures may be worse."""

Draw = Callable[[np.random.Generator, int, int, int], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Scenario:
    """A world of errors.

    draw(rng, rows, seeds, images): errors (R, S, N), and the mean (R, S) that each fitted model has over all images.
    mean: over all seeds too, the same for every row.
    """

    name: str
    mean: float
    draw: Draw


def normal(name: str, image: float, seed: float, rest: float, own: float = 0.0) -> Scenario:
    """Normal errors about 20 px; standard deviations of images (shared by rows), seeds, the rest, and images by row."""

    def draw(rng: np.random.Generator, rows: int, seeds: int, images: int) -> tuple[FloatArray, FloatArray]:
        fitted = 20 + seed * rng.standard_normal((rows, seeds))
        of_image = image * rng.standard_normal(images) + own * rng.standard_normal((rows, 1, images))
        return fitted[:, :, None] + of_image + rest * rng.standard_normal((rows, seeds, images)), fitted

    return Scenario(name, 20.0, draw)


def skewed(name: str, seed: float) -> Scenario:
    """Errors that grow with an exponential difficulty of the image (mean 1 px); seed: a fitted model's own factor."""

    def draw(rng: np.random.Generator, rows: int, seeds: int, images: int) -> tuple[FloatArray, FloatArray]:
        fitted = 1 + seed * rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, seeds))
        hard = rng.exponential(1.0, images)
        return fitted[:, :, None] * hard * rng.uniform(0.5, 1.5, (rows, seeds, images)), fitted

    return Scenario(name, 1.0, draw)


def zeros(name: str, share: float) -> Scenario:
    """Almost always exactly right: an image is hard with twice ``share``, then wrong every second time, by a heavy tail."""

    def draw(rng: np.random.Generator, rows: int, seeds: int, images: int) -> tuple[FloatArray, FloatArray]:
        fitted = 1 + 0.2 * rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, seeds))
        hard = (rng.random(images) < 2 * share) * rng.lognormal(-0.5, 1.0, images) / share
        wrong = rng.random((rows, seeds, images)) < 0.5
        return fitted[:, :, None] * hard * wrong, fitted

    return Scenario(name, 1.0, draw)


SCENARIOS = (
    normal("seed spread a fifth of image spread", 1, 0.2, 0.5, own=0.3),
    normal("seed spread as image spread", 1, 1, 0.5, own=0.3),
    normal("seed spread a twentieth", 1, 0.05, 0.5, own=0.3),
    normal("images alone", 1, 0, 0.5, own=0.3),
    normal("noise alone", 0, 0, 1),
    skewed("skewed, seed spread a fifth", 0.2),
)
TAILS = (
    zeros("10 % of images wrong, heavy tail", 0.10),
    zeros("3 % of images wrong, heavy tail", 0.03),
    zeros("1 % of images wrong, heavy tail", 0.01),
)
EQUAL = (
    normal("seed spread a fifth of image spread", 1, 0.2, 0.5, own=0.3),
    normal("seed spread as image spread", 1, 1, 0.5, own=0.3),
    normal("images alone", 1, 0, 0.5, own=0.3),
)


def coverage(scenario: Scenario, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES) -> float:
    """How often a row's 95 % interval holds the true value."""
    held = 0
    for _ in range(repeats):
        errors, fitted = scenario.draw(rng, 1, seeds, images)
        found = interval(errors[0])
        held += found.low <= (scenario.mean if seeds > 1 else float(fitted[0, 0])) <= found.high
    return held / repeats


def paired_coverage(
    scenario: Scenario, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES
) -> float:
    """How often the 95 % interval of the difference of two rows holds the true value."""
    held = 0
    for _ in range(repeats):
        errors, fitted = scenario.draw(rng, 2, seeds, images)
        found = paired(errors[0], errors[1])
        held += found.low <= (0.0 if seeds > 1 else float(fitted[0, 0] - fitted[1, 0])) <= found.high
    return held / repeats


def warned(scenario: Scenario, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES) -> float:
    """How often a row's interval carries the note that few images carry it, so it is likely too narrow."""
    return (
        sum(
            any(note.code == "few_images" for note in interval(scenario.draw(rng, 1, seeds, images)[0][0]).notes)
            for _ in range(repeats)
        )
        / repeats
    )


def exact_coverage(share: float, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES) -> float:
    """How often the interval of the share exactly right holds it; half of the failures are the image's, half chance."""
    held = 0
    wrong = 1 - share
    for _ in range(repeats):
        hard = rng.random(images) < wrong / (0.5 + 0.5 * wrong)
        right = (~(hard & (rng.random((seeds, images)) < 0.5 + 0.5 * wrong))).astype(np.float64)
        found = exact_share(right)
        held += found.low <= share <= found.high
    return held / repeats


@dataclass(frozen=True, eq=False)
class Drawn:
    """A board and what is true of it.

    errors: (R, S, N) px. truth: (R,) px, true means (with one seed those of the fitted models). kinds: (R,) int64, rows of a
    kind are exchangeable. failure: px, the worst error of the mean predictor.
    """

    errors: FloatArray
    truth: FloatArray
    kinds: IntArray
    failure: float

    @property
    def rows(self) -> list[Row]:
        """The rows, named by position."""
        seeds = tuple(range(self.errors.shape[1]))
        return [Row(f"{i:03}", e, seeds, "images") for i, e in enumerate(self.errors)]


@dataclass(frozen=True)
class Board:
    """A world of boards. draw(rng, seeds, images)."""

    name: str
    draw: Callable[[np.random.Generator, int, int], Drawn]


def _drawn(errors: FloatArray, truth: FloatArray, kinds: ArrayLike, floor: float = 0.0) -> Drawn:
    return Drawn(errors, truth, np.asarray(kinds, dtype=np.int64), floor)


def equal(scenario: Scenario, rows: int) -> Board:
    """Rows that are all equally good."""

    def draw(rng: np.random.Generator, seeds: int, images: int) -> Drawn:
        errors, fitted = scenario.draw(rng, rows, seeds, images)
        if seeds == 1:  # equally good fitted models, which is what one seed is asked about
            errors = errors * (scenario.mean / fitted)[:, :, None]
        return _drawn(errors, np.full(rows, scenario.mean), np.zeros(rows))

    return Board(f"{rows} equal rows: {scenario.name}", draw)


def rungs(spread: float, rows: int = 30, floor: float = 0.0) -> Board:
    """A ladder of rows from .1 to 4 px, each 14 % worse than the one before (30 rows).

    spread: the standard deviation of a row's seeds, in parts of its mean; some rows have none, some twice that.
    """
    means = np.geomspace(0.1, 4, rows)

    def draw(rng: np.random.Generator, seeds: int, images: int) -> Drawn:
        own = spread * rng.choice([0, 0.5, 1, 1, 2], (rows, 1))
        fitted = means[:, None] * (1 + own * rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, seeds)))
        errors = fitted[:, :, None] * rng.gamma(1.0, 1.0, images) * rng.uniform(0.3, 1.7, (rows, seeds, images))
        return _drawn(errors, fitted[:, 0] if seeds == 1 else means, np.zeros(rows), floor)

    return Board(f"ladder of {rows}, seed spread {100 * spread:g} %", draw)


Sizes = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]


def constant(size: float = 10.0) -> tuple[str, float, Sizes]:
    """Failures of one size, px."""
    return f"{size:g} px", size, lambda rng, shape: np.full(shape, size)


def lognormal(median: float = 5.0, sigma: float = 1.0, most: float = 40.0) -> tuple[str, float, Sizes]:
    """Failures of lognormal size, px, no larger than an image is."""

    def sizes(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        return np.asarray(np.minimum(rng.lognormal(math.log(median), sigma, shape), most))

    mean = float(sizes(np.random.default_rng(1), (4_000_000,)).mean())
    return "lognormal", mean, sizes


def heavy(
    share: float,
    sizes: tuple[str, float, Sizes],
    failing: int,
    steady: int = 0,
    gap: float = 0.0,
    spread: float = 0.0,
    common: float = 0.8,
) -> Board:
    """Rows that fail on a ``share`` of images and are exact on the rest, before rows that err a little everywhere.

    failing, steady: how many rows of each sort. gap: px by which the failing rows' true mean is larger. spread: the
    standard deviation of a row's seeds, in parts of its mean. common: the probability that a seed fails on an image that
    is hard for its row; hard images are the row's own. With one seed, the fitted models' failures.
    """
    name, size, of = sizes
    mean = share * size

    def draw(rng: np.random.Generator, seeds: int, images: int) -> Drawn:
        rows = failing + steady
        model = np.ones((rows, seeds, 1))
        if seeds > 1:
            model += spread * rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, seeds, 1))
        hard = (rng.random((failing, 1, images)) < share / common) * of(rng, (failing, 1, images))
        failed = model[:failing] * hard * (rng.random((failing, seeds, images)) < common)
        light = model[failing:] * (mean - gap) * rng.uniform(0.8, 1.2, (steady, seeds, images))
        truth = np.repeat([mean, mean - gap], [failing, steady])
        return _drawn(np.concatenate([failed, light]), truth, np.repeat([0, 1], [failing, steady]), FLOOR)

    sort = f"{failing} failing" + (f" + {steady} steady rows" if steady else " rows")
    seeds = f", seed spread {100 * spread:g} %" if spread else ""
    return Board(f"{sort}: {100 * share:g} % wrong by {name}{seeds}", draw)


SHARES = (0.01, 0.02, 0.05, 0.10)
REGULAR = (
    equal(EQUAL[0], 30),
    equal(EQUAL[2], 30),
    equal(skewed("skewed, seed spread a fifth", 0.2), 30),
    rungs(0.05),
)
HEAVY = tuple(heavy(share, sizes, 10) for sizes in (constant(), lognormal()) for share in SHARES)
MIXED = (
    *(heavy(share, sizes, 5, 5) for sizes in (constant(), lognormal()) for share in SHARES),
    heavy(0.02, constant(), 1, 1),
    heavy(0.02, constant(), 25, 5),
    heavy(0.02, constant(), 5, 5, spread=0.2),
    heavy(0.02, lognormal(), 5, 5, common=0.3),
)
"""The adversary: a row that fails seldom beside a row of the same true mean that never does."""


def inferior(share: float, sizes: tuple[str, float, Sizes], failing: int, steady: int, spread: float = 0.0) -> Board:
    """The adversary of the advice: the failing rows come first, so they are the cheapest, and are worse by the margin."""
    mean = share * sizes[1]
    light = mean - 0.1 if mean < 1.1 else mean / 1.1
    return heavy(share, sizes, failing, steady, gap=(mean - light) * 1.001, spread=spread)


def inferior_by_shift(scenario: Scenario, rows: int) -> Board:
    """Half of the rows worse by the margin, and the cheapest."""
    margin = max(0.1, 0.1 * scenario.mean) * 1.001

    def draw(rng: np.random.Generator, seeds: int, images: int) -> Drawn:
        errors, fitted = scenario.draw(rng, rows, seeds, images)
        truth = np.full(rows, scenario.mean)
        if seeds == 1:
            errors = errors * (scenario.mean / fitted)[:, :, None]
        errors[: rows // 2] += margin
        truth[: rows // 2] += margin
        return _drawn(errors, truth, np.arange(rows) >= rows // 2)

    return Board(f"{rows} rows, half worse by the margin: {scenario.name}", draw)


ADVISED = (
    inferior_by_shift(EQUAL[0], 10),
    inferior_by_shift(EQUAL[2], 30),
    inferior_by_shift(skewed("skewed, seed spread a fifth", 0.2), 10),
    *(inferior(share, sizes, 5, 5) for sizes in (constant(), lognormal()) for share in SHARES[1:]),
    inferior(0.0105, constant(), 5, 5),  # hardly above the margin, and the steady rows hardly above nothing
    inferior(0.02, constant(), 1, 1),
    inferior(0.02, constant(), 25, 5),
    inferior(0.05, lognormal(), 5, 5, spread=0.2),
)


def rank_coverage(board: Board, seeds: int, images: int, repeats: int, rng: np.random.Generator) -> float:
    """How often a row's rank interval holds all of its true ranks: the lowest rate of the board's kinds of row."""
    held: dict[int, list[bool]] = {}
    for _ in range(repeats):
        drawn = board.draw(rng, seeds, images)
        gap = drawn.truth[:, None] - drawn.truth
        best, last = 1 + (gap > 1e-12).sum(axis=1), len(gap) - (gap < -1e-12).sum(axis=1)
        for i, ranks in enumerate(rank_intervals(drawn.rows, drawn.failure)):
            if ranks.low is None or ranks.high is None:
                raise RuntimeError("every row of these boards is tested")
            held.setdefault(int(drawn.kinds[i]), []).append(ranks.low <= best[i] and last[i] <= ranks.high)
    return min(float(np.mean(rows)) for rows in held.values())


def false_differences(
    board: Board, seeds: int, images: int, repeats: int, rng: np.random.Generator
) -> tuple[float, float]:
    """How often the first and the last row, equally good, are told apart: by Student's t alone, and as the board does."""
    student = both = 0
    for _ in range(repeats):
        drawn = board.draw(rng, seeds, images)
        first, last = drawn.errors[0], drawn.errors[-1]
        student += p_value(first, last) < 0.05
        both += p_value(first, last, drawn.failure) < 0.05
    return student / repeats, both / repeats


def advice_errors(board: Board, seeds: int, images: int, repeats: int, rng: np.random.Generator) -> tuple[float, float]:
    """How often the row advised is truly worse than the best by more than the margin, and how often one is advised."""
    wrong = given = 0
    for _ in range(repeats):
        drawn = board.draw(rng, seeds, images)
        rows = drawn.rows
        advice = advise(rows, {row.name: (float(i), 0.0) for i, row in enumerate(rows)}, drawn.failure)
        if advice.code == "shown" and advice.name is not None and advice.margin is not None:
            given += 1
            wrong += drawn.truth[int(advice.name)] > drawn.truth.min() + advice.margin
    return wrong / repeats, given / repeats


def separated(board: Board, seeds: int, images: int, repeats: int, rng: np.random.Generator) -> tuple[float, float]:
    """The mean width of a rank interval (1: all ranks known), and the share of pairs of neighbours that are separated."""
    width: list[int] = []
    told: list[bool] = []
    for _ in range(repeats):
        drawn = board.draw(rng, seeds, images)
        intervals = rank_intervals(drawn.rows, drawn.failure)
        for i, ranks in enumerate(intervals):
            if ranks.low is not None and ranks.high is not None:
                width.append(ranks.high - ranks.low + 1)
                told.append(i + 1 in ranks.worse)
    return float(np.mean(width)), float(np.sum(told)) / (repeats * (len(intervals) - 1))


def power_check(seeds_asked: bool, repeats: int, rng: np.random.Generator) -> tuple[int, float]:
    """The number that ``power`` asks for, from a pilot large enough to be the truth, and how often it then suffices."""
    world = normal("", 1, 0.2, 0.5) if seeds_asked else normal("", 1, 0, 0.5, own=0.3)
    shift = 0.2 if seeds_asked else 0.05

    def rows(seeds: int, images: int) -> tuple[FloatArray, FloatArray]:
        errors = world.draw(rng, 2, seeds, images)[0]
        return errors[0] + shift, errors[1]

    found = power(*rows(4000, IMAGES)) if seeds_asked else power(*rows(1, 200_000))
    asked = found.seeds if seeds_asked else found.images
    if asked is None:
        raise RuntimeError("power gave no number for a difference that is there")
    shape = (asked, IMAGES) if seeds_asked else (1, asked)
    return asked, sum(p_value(*rows(*shape)) < 0.05 for _ in range(repeats)) / repeats


def told_apart_early(
    board: Board, images: int, most: int, repeats: int, rng: np.random.Generator
) -> tuple[float, float]:
    """How often some row of equal ones is told apart at any look from 2 to ``most`` seeds: at 95 % each time, and as spent."""
    naive = spent = 0
    for _ in range(repeats):
        drawn = board.draw(rng, most, images)
        looks = [
            [Row(f"{i:03}", e[:seeds], tuple(range(seeds)), "images") for i, e in enumerate(drawn.errors)]
            for seeds in range(FIRST_SEEDS, most + 1)
        ]
        naive += any(ranks.better for rows in looks for ranks in rank_intervals(rows, drawn.failure))
        spent += any(
            ranks.better for look, rows in enumerate(looks, 1) for ranks in ranked_at(rows, drawn.failure, look)
        )
    return naive / repeats, spent / repeats


def _look_tables(repeats: int, rng: np.random.Generator) -> None:
    boards = [equal(world, 4) for world in (*EQUAL, skewed("skewed, seed spread a fifth", 0.2))]
    boards += [heavy(0.02, constant(), 2, 2), heavy(0.05, lognormal(), 2, 2, spread=0.2)]
    cells = [(most, images) for most in (5, 10) for images in (50, IMAGES)]

    def cell(row: int, column: int) -> str:
        most, images = cells[column]
        rates = told_apart_early(boards[row], images, most, repeats, rng)
        return " / ".join(f"{100 * rate:.1f}" for rate in rates)

    _table(
        "grids of four equal rows in which some are told apart at any look, % (5 at most is meant): looking at 95 % after "
        "each seed / as spent over looks; most seeds x images",
        [board.name for board in boards],
        [f"{most} x {images}" for most, images in cells],
        cell,
    )


GroupSizes = Callable[[np.random.Generator, int], IntArray]

GROUP_SIZES: dict[str, GroupSizes] = {
    "equal": lambda rng, g: np.full(g, 10),
    "4 to 16 images": lambda rng, g: rng.integers(4, 17, g),
    "lognormal": lambda rng, g: np.maximum(1, np.round(rng.lognormal(2, 1, g))).astype(np.int64),
    "one holds half": lambda rng, g: np.array([10 * (g - 1), *[10] * (g - 1)]),
}
ALIKE = (0.0, 0.3, 0.9)
"""Share of the variance between images that is between their groups."""


def group_coverage(
    sizes_of: GroupSizes, alike: float, count: int, seeds: int, repeats: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """How often 95 % intervals hold the true value: a row's over groups, a pair's over groups, a row's over images."""
    held = np.zeros(3)
    for _ in range(repeats):
        sizes = sizes_of(rng, count)
        groups = Groups.of([f"{g}" for g, size in enumerate(sizes.tolist()) for _ in range(size)])
        n = int(sizes.sum())
        of_group = np.repeat(rng.standard_normal((2, 1, count)), sizes, axis=2)
        errors = 20 + math.sqrt(alike) * of_group + math.sqrt(1 - alike) * rng.standard_normal((2, 1, n))
        errors = errors + (0.2 * rng.standard_normal((2, seeds, 1)) if seeds > 1 else 0.0)
        errors = errors + 0.5 * rng.standard_normal((2, seeds, n))
        row, pair = interval(errors[0], groups=groups), paired(errors[0], errors[1], groups=groups)
        alone = interval(errors[0])
        held += [row.low <= 20 <= row.high, pair.low <= 0 <= pair.high, alone.low <= 20 <= alone.high]
    return float(held[0] / repeats), float(held[1] / repeats), float(held[2] / repeats)


def _group_tables(repeats: int, rng: np.random.Generator) -> None:
    cells = [(seeds, count) for seeds in (1, 3) for count in (6, 10, 20, 50)]
    worlds = [(name, alike) for name in GROUP_SIZES for alike in ALIKE]

    def cell(row: int, column: int) -> str:
        name, alike = worlds[row]
        seeds, count = cells[column]
        return " ".join(f"{100 * r:.0f}" for r in group_coverage(GROUP_SIZES[name], alike, count, seeds, repeats, rng))

    _table(
        "coverage of 95 % intervals where images come in groups, %: a row's, a pair's, and a row's if groups are ignored; "
        "seeds x groups",
        [f"{name}, {100 * alike:g} % between groups" for name, alike in worlds],
        [f"{seeds} x {count}" for seeds, count in cells],
        cell,
    )


def _table(title: str, names: Sequence[str], columns: Sequence[str], cell: Callable[[int, int], str]) -> None:
    width = max(map(len, names)) + 2
    print(f"\n{title}\n{'':<{width}}" + "".join(f"{c:>11}" for c in columns))
    for row, name in enumerate(names):
        started = time.perf_counter()
        line = f"{name:<{width}}"
        for column, label in enumerate(columns):
            if sys.stderr.isatty():
                print(f"\r  {title[:30]} | {name} | {label} ...", end="\033[K", file=sys.stderr, flush=True)
            line += f"{cell(row, column):>11}"
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        print(f"{line}   {time.perf_counter() - started:5.1f} s", flush=True)


def _interval_tables(repeats: int, rng: np.random.Generator) -> None:
    worlds = SCENARIOS + TAILS
    names = [world.name for world in worlds]
    columns = [f"{seeds} seeds" for seeds in SEEDS]
    rates: dict[str, Callable[[Scenario, int, int, np.random.Generator], float]] = {
        f"coverage of a row's 95 % interval, %, {IMAGES} images": coverage,
        f"coverage of the paired 95 % interval (Student's t alone), %, {IMAGES} images": paired_coverage,
        "rows whose interval has the note that few images carry it, %": warned,
    }
    for title, rate in rates.items():

        def cell(row: int, column: int, rate: Callable[..., float] = rate) -> str:
            return f"{100 * rate(worlds[row], SEEDS[column], repeats, rng):.1f}"

        _table(title, names, columns, cell)
    shares = (0.5, 0.9, 0.99, 0.999)
    _table(
        f"coverage of the 95 % interval of exact, %, {IMAGES} images",
        [f"share {share:g}" for share in shares],
        columns,
        lambda row, j: f"{100 * exact_coverage(shares[row], SEEDS[j], repeats, rng):.1f}",
    )


def _rank_tables(repeats: int, rng: np.random.Generator) -> None:
    cells = [(seeds, images) for seeds in BOARD_SEEDS for images in BOARD_IMAGES]
    columns = [f"{seeds} x {images}" for seeds, images in cells]
    for title, boards in (("regular errors", REGULAR), ("heavy tails, equal rows", HEAVY), ("heavy and light", MIXED)):

        def coverage_of(row: int, column: int, boards: tuple[Board, ...] = boards) -> str:
            return f"{100 * rank_coverage(boards[row], *cells[column], repeats, rng):.1f}"

        _table(
            f"coverage of rank intervals, %, worst kind of row (95 at least is meant), seeds x images: {title}",
            [board.name for board in boards],
            columns,
            coverage_of,
        )
    pairs = [heavy(share, sizes, 1, 1) for sizes in (constant(), lognormal()) for share in SHARES]

    def cell(row: int, column: int) -> str:
        rates = false_differences(pairs[row], *cells[column], 4 * repeats, rng)
        return " / ".join(f"{100 * rate:.1f}" for rate in rates)

    _table(
        "a failing row and a steady one of equal mean told apart, % (5 at most is meant): Student's t alone / as the board does",
        [board.name for board in pairs],
        columns,
        cell,
    )


def _advice_tables(repeats: int, rng: np.random.Generator) -> None:
    cells = [(seeds, images) for seeds in BOARD_SEEDS for images in (*BOARD_IMAGES, 4291)]

    def cell(row: int, column: int) -> str:
        wrong, given = advice_errors(ADVISED[row], *cells[column], repeats, rng)
        return f"{100 * wrong:.1f} / {100 * given:.0f}"

    _table(
        "advice wrong, % of boards (5 at most is meant) / advice given, %, seeds x images",
        [board.name for board in ADVISED],
        [f"{seeds} x {images}" for seeds, images in cells],
        cell,
    )


def _power_tables(repeats: int, rng: np.random.Generator) -> None:
    boards = [rungs(spread, floor=floor) for floor in (0.0, FLOOR) for spread in (0.02, 0.05)]
    cells = [(seeds, images) for seeds in BOARD_SEEDS for images in (IMAGES, 1000, 4291)]

    def cell(row: int, column: int) -> str:
        width, told = separated(boards[row], *cells[column], max(repeats // 50, 1), rng)
        return f"{width:.1f} / {100 * told:.0f}"

    _table(
        "ladder of 30 rows from .1 to 4 px: mean width of a rank interval / neighbours separated, %, seeds x images",
        [
            f"{board.name}, a failure {'of a row' if i < 2 else f'{FLOOR:g} px or more'}"
            for i, board in enumerate(boards)
        ],
        [f"{seeds} x {images}" for seeds, images in cells],
        cell,
    )
    print("\npower: the number asked for, and how often it then separates (80 % meant)")
    for seeds_asked in (True, False):
        asked, rate = power_check(seeds_asked, repeats, rng)
        print(f"{asked:>6} {'seeds' if seeds_asked else 'images'}: {100 * rate:.1f} %")


@dataclass(frozen=True)
class Labels:
    """A world of labels made twice: what multiplies the noise of each instance, and which are of one image.

    spread(rng, n): (n,) px, the standard deviation along an axis. sizes(rng, spread): (n,) px.
    """

    name: str
    spread: Callable[[np.random.Generator, int], FloatArray]
    per_image: int = 1
    stretch: tuple[float, float] = (1.0, 1.0)
    scaled: bool = False
    swaps: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """(n, 2) px how far each of two annotators is off, (n,) sizes, (n,) images."""
        images = np.arange(n) // self.per_image
        spread = self.spread(rng, images[-1] + 1)[images]
        off = rng.standard_normal((2, n, 2)) * spread[:, None] * self.stretch
        swapped = rng.random((2, n)) < self.swaps
        angle = rng.uniform(0, 2 * math.pi, (2, n))
        off += 40 * swapped[:, :, None] * np.stack([np.cos(angle), np.sin(angle)], axis=2)
        off[0] += HABIT
        return off[0], off[1], 50 * spread if self.scaled else np.full(n, 50.0), images


HABIT = (3.0, -2.0)
LABELS = (
    Labels("normal", lambda rng, n: np.ones(n)),
    Labels("6 times as wide along an axis", lambda rng, n: np.ones(n), stretch=(2, 1 / 3)),
    Labels("heavy tails (Laplace) of hard images", lambda rng, n: np.sqrt(rng.exponential(1, n))),
    Labels("spread by image, lognormal .5", lambda rng, n: rng.lognormal(0, 0.5, n)),
    Labels("by size of the object, lognormal .5", lambda rng, n: rng.lognormal(0, 0.5, n), scaled=True),
    Labels("five instances an image, lognormal .4", lambda rng, n: rng.lognormal(0, 0.4, n), per_image=5),
    Labels("3 % of labels swapped", lambda rng, n: np.ones(n), swaps=0.03),
)


def label_coverage(world: Labels, n: int, repeats: int, rng: np.random.Generator) -> list[float]:
    """How often the intervals of sigma, COCO's sigma, floor and offset hold what one annotator's noise is."""
    _, off, sizes, _ = replace(world, swaps=0.0).draw(rng, 1_000_000)
    squares = (off**2).sum(axis=1)
    habit = (HABIT[0] ** 2 + HABIT[1] ** 2) / 2 * float(np.mean(1 / sizes**2))
    truths = (
        math.sqrt(squares.mean() / 2),
        math.sqrt(np.mean(squares / sizes**2) + habit),
        np.sqrt(squares).mean(),
        HABIT[0],
    )
    held = np.zeros(4)
    for _ in range(repeats):
        first, second, sizes, images = world.draw(rng, n)
        found = label_noise(first - second, sizes, images)
        spans = (found.sigma, found.coco_sigma, found.floor, found.offset and found.offset[0])
        held += [span is not None and span.low <= truth <= span.high for span, truth in zip(spans, truths)]
    return list(held / repeats)


def _label_tables(repeats: int, rng: np.random.Generator) -> None:
    counts = (20, 50, 100, 300)

    def cell(row: int, column: int) -> str:
        return "  " + " / ".join(
            f"{100 * rate:.1f}" for rate in label_coverage(LABELS[row], counts[column], repeats, rng)
        )

    _table(
        "noise of labels made twice: coverage of sigma / COCO's sigma / floor / offset, %, by instances",
        [world.name for world in LABELS],
        [str(n) for n in counts],
        cell,
    )


def main(
    repeats: Annotated[int, typer.Option(help="Draws of a row or a pair; boards are drawn a quarter as often.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(help="intervals, ranks, advice, power, looks, groups or labels; all if left out."),
    ] = None,
) -> None:
    """Print the tables."""
    rng = np.random.default_rng(seed)
    chosen = only or ["intervals", "ranks", "advice", "power", "looks", "groups", "labels"]
    if "intervals" in chosen:
        _interval_tables(repeats, rng)
    if "ranks" in chosen:
        _rank_tables(max(repeats // 4, 1), rng)
    if "advice" in chosen:
        _advice_tables(max(repeats // 4, 1), rng)
    if "power" in chosen:
        _power_tables(repeats, rng)
    if "looks" in chosen:
        _look_tables(max(repeats // 4, 1), rng)
    if "groups" in chosen:
        _group_tables(max(repeats // 2, 1), rng)
    if "labels" in chosen:
        _label_tables(repeats, rng)


if __name__ == "__main__":
    typer.run(main)
