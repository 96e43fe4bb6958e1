"""How many seeds or images would separate two rows: textbook numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.statistics.power import power
from benchmark.structures import FloatArray


def draw(seeds: int, images: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 1.0, images) * rng.uniform(0.5, 1.5, (seeds, images)) + rng.uniform(0, 0.5, (seeds, 1))


def test_power_of_one_seed_is_the_textbook_number_of_images() -> None:
    """n = ((z(.975) + z(.8)) sd / difference)^2 for many images."""
    rng = np.random.default_rng(9)
    d = rng.standard_normal(1000)
    d = (d - d.mean()) / d.std(ddof=1) + 0.05
    found = power(20 + d[None], np.full((1, 1000), 20.0))
    assert found.images == pytest.approx((2.80159 / 0.05) ** 2, rel=0.01)
    assert found.seeds is None
    assert (found.code, found.seeds_seen, found.images_seen) == ("images", 1, 1000)


def test_power_of_seeds_is_the_textbook_number() -> None:
    """Difference = 1 standard deviation of seeds and images that do not matter: n = 10 for a one-sample t test."""
    of_seed = np.array([-1.0, 0.0, 1.0]) + 1.0
    found = power(20 + np.repeat(of_seed[:, None], 400, axis=1), np.full((3, 400), 20.0))
    assert found.seeds == 10
    assert found.images is None
    assert found.code == "seeds"


def test_power_of_images_where_seeds_add_nothing_of_their_own() -> None:
    """Noise alone: more images shrink all of it, though every seed mean varies. n = delta^2 rest / (S difference^2)."""
    from scipy import optimize, stats

    rng = np.random.default_rng(3)
    noise = rng.standard_normal((4, 200))
    noise -= noise.mean(axis=0)  # nothing of the image's own
    of_seed = noise.mean(axis=1, keepdims=True)
    noise += of_seed * (0.5 / math.sqrt(200) / of_seed.std(ddof=1) - 1)  # seed means spread by half of what noise gives
    left = noise - noise.mean(axis=1, keepdims=True)
    rest = float((left**2).sum()) / (3 * 199)
    delta = optimize.brentq(lambda shift: stats.nct.sf(stats.t.ppf(0.975, 3), 3, shift) - 0.8, 1, 20)
    found = power(20.05 + noise, np.full((4, 200), 20.0))
    assert found.images == pytest.approx(delta**2 * rest / (4 * 0.05**2), rel=0.02)


def test_power_says_when_they_are_separated_already() -> None:
    a = draw(5, 200, 10)
    assert power(a, a + 5 + draw(5, 200, 11) / 10).code == "separated"


def test_power_has_a_code_for_what_cannot_be_planned() -> None:
    a = draw(3, 50)
    assert power(a, a).code == "no_difference"
    assert power(a[:, :1], a[:, 1:2]).code == "one_image"


def test_where_failures_may_be_unseen_more_images_are_needed() -> None:
    """An exact row and one .1 px off, failures of 10 px: Student is sure at once, the heavy-tail test from 440 on."""
    exact, steady = np.zeros((1, 100)), 0.1 + np.linspace(-1e-3, 1e-3, 100)[None]
    assert power(exact, steady).code == "separated"
    planned = power(exact, steady, worst=10.0)
    assert planned.code == "images"
    assert planned.images is not None
    assert 440 < planned.images < 1500
    again = 0.1 + np.linspace(-1e-3, 1e-3, planned.images)[None]
    assert power(np.zeros_like(again), again, worst=10.0).code == "separated"


def test_seeds_do_not_replace_unseen_images() -> None:
    rng = np.random.default_rng(0)
    exact, steady = np.zeros((3, 100)), 0.1 + 1e-3 * rng.random((3, 100))
    assert power(exact, steady, worst=10.0).seeds is None


def test_importing_leaves_heavy_libraries_alone() -> None:
    import subprocess
    import sys

    modules = "advice, components, holm, intervals, notes, paired, power, ranks, tail"
    code = f"import sys; from benchmark.statistics import {modules}; print('scipy.stats' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
