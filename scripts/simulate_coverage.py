"""How often the suite's intervals and tiers are right, by simulation: run it, read the tables.

    python scripts/simulate_coverage.py [--repeats 2000] [--seed 0]

Every table uses the functions that the board uses (``benchmark.statistics.uncertainty``, ``benchmark.statistics.tiers``) on
draws whose annotations is known. A column is a number of seeds. One seed is asked about the model that was fitted, several
about the mean over all seeds and images. Errors of the figures: 1 percentage point or less (2 standard errors) at 2,000
repeats for coverages; false-split rates come from half as many, so 1.4 points at 5 %.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark.statistics.tiers import Row, tiers
from benchmark.statistics.uncertainty import exact_share, interval, p_value, paired, power
from benchmark.structures import FloatArray

SEEDS = (1, 2, 3, 5, 10)
IMAGES = 291
Draw = Callable[[np.random.Generator, int, int, int], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Scenario:
    """A world of errors. draw(rng, rows, seeds, images): errors (R, S, N), and the mean (R, S) that each fitted model has
    over all images. mean: over all seeds too, the same for every row."""

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
    """How often a row's 95 % interval holds the annotations."""
    held = 0
    for _ in range(repeats):
        errors, fitted = scenario.draw(rng, 1, seeds, images)
        found = interval(errors[0])
        held += found.low <= (scenario.mean if seeds > 1 else float(fitted[0, 0])) <= found.high
    return held / repeats


def paired_coverage(
    scenario: Scenario, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES
) -> float:
    """How often the 95 % interval of the difference of two rows holds the annotations."""
    held = 0
    for _ in range(repeats):
        errors, fitted = scenario.draw(rng, 2, seeds, images)
        found = paired(errors[0], errors[1])
        held += found.low <= (0.0 if seeds > 1 else float(fitted[0, 0] - fitted[1, 0])) <= found.high
    return held / repeats


def warned(scenario: Scenario, seeds: int, repeats: int, rng: np.random.Generator, images: int = IMAGES) -> float:
    """How often a row's interval carries the warning that it is likely too narrow."""
    return (
        sum("too narrow" in interval(scenario.draw(rng, 1, seeds, images)[0][0]).note for _ in range(repeats)) / repeats
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


def false_splits(
    scenario: Scenario,
    rows: int,
    seeds: int,
    repeats: int,
    rng: np.random.Generator,
    images: int = 100,
    classes: int = 1,
    step: float = 50.0,
) -> tuple[float, float]:
    """Boards of equally good rows: how often any is split from its equals, and the mean number of tiers.

    classes: of so many equally large groups, each ``step`` px worse than the one before; a split is one within a group.
    """
    splits = total = 0
    shared = tuple(range(seeds))
    group = np.arange(rows) % classes
    for _ in range(repeats):
        errors, fitted = scenario.draw(rng, rows, seeds, images)
        if seeds == 1:  # equally good fitted models, which is what one seed is asked about
            errors = errors - (fitted - scenario.mean)[:, :, None]
        errors = errors + step * group[:, None, None]
        found = tiers([Row(f"{i:03}", errors[i], shared, "images") for i in range(rows)])
        splits += any(len({tier for tier, g in zip(found, group) if g == c}) > 1 for c in range(classes))
        total += len(set(found))
    return splits / repeats, total / repeats


def ladder(
    spread: float, seeds: int, repeats: int, rng: np.random.Generator, rows: int = 30, images: int = 300
) -> float:
    """The mean number of tiers of rows from .1 to 4 px, each 14 % worse than the one before.

    spread: the standard deviation of a row's seeds, in parts of its mean; some rows have none, some twice that.
    """
    means = np.geomspace(0.1, 4, rows)
    total = 0
    for _ in range(repeats):
        own = spread * rng.choice([0, 0.5, 1, 1, 2], (rows, 1))
        fitted = means[:, None] * np.abs(1 + own * rng.standard_normal((rows, seeds)))
        errors = fitted[:, :, None] * rng.gamma(1.0, 1.0, images) * rng.uniform(0.3, 1.7, (rows, seeds, images))
        total += len(set(tiers([Row(f"{i:03}", e, tuple(range(seeds)), "images") for i, e in enumerate(errors)])))
    return total / repeats


def power_check(seeds_asked: bool, repeats: int, rng: np.random.Generator) -> tuple[int, float]:
    """The number that ``power`` asks for, from a pilot large enough to be the annotations, and how often it then suffices."""
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


def _table(title: str, names: list[str], columns: tuple[int, ...], cell: Callable[[int, int], str]) -> None:
    width = max(map(len, names)) + 2
    print(f"\n{title}\n{'seeds':<{width}}" + "".join(f"{c:>8}" for c in columns))
    for row, name in enumerate(names):
        started = time.perf_counter()
        line = f"{name:<{width}}"
        for column in columns:
            print(f"\r  {title[:30]} | {name} | {column} seeds ...", end="\033[K", file=sys.stderr, flush=True)
            line += f"{cell(row, column):>8}"
        print("\r\033[K", end="", file=sys.stderr)
        print(f"{line}   {time.perf_counter() - started:5.1f} s", flush=True)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    repeats, rng = chosen.repeats, np.random.default_rng(chosen.seed)
    few = max(repeats // 2, 1)
    worlds = SCENARIOS + TAILS
    names = [world.name for world in worlds]
    _table(
        f"coverage of a row's 95 % interval, %, {IMAGES} images",
        names,
        SEEDS,
        lambda row, seeds: f"{100 * coverage(worlds[row], seeds, repeats, rng):.1f}",
    )
    _table(
        f"coverage of the paired 95 % interval, %, {IMAGES} images",
        names,
        SEEDS,
        lambda row, seeds: f"{100 * paired_coverage(worlds[row], seeds, repeats, rng):.1f}",
    )
    _table(
        "rows whose interval warns that it is likely too narrow, %",
        names,
        SEEDS,
        lambda row, seeds: f"{100 * warned(worlds[row], seeds, repeats, rng):.1f}",
    )
    shares = (0.5, 0.9, 0.99, 0.999)
    _table(
        f"coverage of the 95 % interval of exact, %, {IMAGES} images",
        [f"share {share:g}" for share in shares],
        SEEDS,
        lambda row, seeds: f"{100 * exact_coverage(shares[row], seeds, repeats, rng):.1f}",
    )
    cases = [(rows, classes, world) for rows, classes in ((2, 1), (10, 1), (30, 1), (30, 3)) for world in EQUAL]
    _table(
        "tiers of equally good rows, 100 images: % of boards with any row split from its equals (5 at most meant a tier)",
        [f"{rows} rows{f' of {classes} kinds' if classes > 1 else ''}, {world.name}" for rows, classes, world in cases],
        (1, 3, 5, 10),
        lambda row, seeds: (
            f"{100 * false_splits(cases[row][2], cases[row][0], seeds, few, rng, classes=cases[row][1])[0]:.1f}"
        ),
    )
    spreads = (0.02, 0.05, 0.1)
    _table(
        "tiers found of 30 rows, each 14 % worse than the one before, 300 images",
        [f"seed spread {100 * spread:g} % of a row's mean" for spread in spreads],
        (1, 3, 5, 10),
        lambda row, seeds: f"{ladder(spreads[row], seeds, max(repeats // 50, 1), rng):.1f}",
    )
    print("\npower: the number asked for, and how often it then separates (80 % meant)")
    for seeds_asked in (True, False):
        asked, rate = power_check(seeds_asked, repeats, rng)
        print(f"{asked:>6} {'seeds' if seeds_asked else 'images'}: {100 * rate:.1f} %")


if __name__ == "__main__":
    main()
