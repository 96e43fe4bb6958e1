"""Images needed by the rows of a board: which rows make a curve, what is printed, and what cannot be said."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.statistics.learning_curve import Needed, Reason
from benchmark.structures import Annotations
from leaderboard.render.images_needed import curve_line, interval, number, rough, why

SIZES = (10, 20, 50, 100)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["benchmark", "images-needed", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


def put_curve(
    maker: Any, annotations: Annotations, name: str, at_ten: float, seeds: tuple[int, ...] = (0, 1, 2), **config: Any
) -> None:
    """Mean errors of at_ten * sqrt(10 / n) px, a little different from seed to seed and from image to image."""
    rng = np.random.default_rng(8)
    for n in SIZES:
        for seed in seeds:
            offset = np.zeros((len(annotations), 1, 2))
            offset[:, 0, 0] = (
                at_ten * (10 / n) ** 0.5 * (1 + rng.normal(0, 0.02)) * rng.uniform(0.9, 1.1, len(annotations))
            )
            known = {"n_train": n, **config}
            maker.put(name, annotations, maker.answers(annotations, offset), seed, config=known)


def test_rows_of_several_sizes_are_a_curve(maker: Any, annotations: Annotations, typed: Any) -> None:
    put_curve(maker, annotations, "good", 4.0)
    put_curve(maker, annotations, "quick", 4.0, budget="60s")
    maker.put("once", annotations, maker.answers(annotations, 1.0), config={"n_train": 50})
    code, out, err = typed("--px", 2, "--results", maker.store.root, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (document["on"], document["target"]) == ("made@1 on dots", {"metric": "mean", "value": 2.0})
    assert [one["detector"] for one in document["detectors"]] == ["good", "quick 60s"]  # one size is no curve
    good = document["detectors"][0]
    assert good["seeds"] == 3
    assert [one["n"] for one in good["measured"]] == list(SIZES)
    assert good["images_needed"] == pytest.approx(40, rel=0.1)  # 4 sqrt(10 / 40) = 2
    assert good["low"] <= good["images_needed"] <= good["high"]
    assert (good["how"], good["reason"]) == ("measured", None)
    code, out, _ = typed("good", "--px", 2, "--results", maker.store.root)
    assert code == 0
    assert "a mean error of 2 px" in out
    assert "10 20 50 100" in out
    assert "quick" not in out


def test_the_share_exact(maker: Any, annotations: Annotations, typed: Any) -> None:
    rng = np.random.default_rng(9)
    for n in SIZES:
        for seed in range(3):
            wrong = (rng.random((len(annotations), 1, 1)) < 5 / n) * np.array([3.0, 0.0])
            maker.put("good", annotations, maker.answers(annotations, wrong), seed, config={"n_train": n})
    code, out, _ = typed("--exact", 80, "--results", maker.store.root, "--json")
    (good,) = json.loads(out)["detectors"]
    assert code == 0
    assert good["images_needed"] == pytest.approx(25, rel=0.4)  # 5 / 25 = 20 % wrong
    last = good["measured"][-1]
    assert last["low"] <= last["value"] <= last["high"] <= 1
    code, out, _ = typed("--exact", 80, "--results", maker.store.root)
    assert "80 % exact" in out
    assert f"{100 * last['value']:.1f}" in out


def test_only_seeds_that_all_sizes_share_count(maker: Any, annotations: Annotations, typed: Any) -> None:
    put_curve(maker, annotations, "good", 4.0)
    maker.put("good", annotations, maker.answers(annotations, 9.0), 3, config={"n_train": 10})
    assert json.loads(typed("--results", maker.store.root, "--json")[1])["detectors"][0]["seeds"] == 3
    put_curve(maker, annotations, "lone", 4.0, seeds=(0,))
    code, out, _ = typed("lone", "--px", 2, "--results", maker.store.root)
    assert code == 0
    assert "cannot say: its sizes share one seed" in " ".join(out.split())


def test_other_images_make_no_curve(maker: Any, annotations: Annotations, typed: Any) -> None:
    put_curve(maker, annotations, "good", 4.0)
    others = replace(annotations, keypoints=annotations.keypoints + 1)
    for seed in range(3):
        maker.put("good", others, maker.answers(others, 1.0), seed, config={"n_train": 200})
    code, out, _ = typed("good", "--results", maker.store.root)
    assert code == 0
    assert "not asked about the same images" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no detector was run with several numbers of training images (run --n 10"),
        (["god"], "has a finished row 'god': did you mean 'good'?"),
        (["--px", "1", "--exact", "99"], "give --px or --exact, not both"),
        (["--px", "0"], "px 0: give pixels above 0"),
        (["--exact", "100"], "exact 100: give percent above 0 and below 100"),
        (["--task", "other"], "holds no finished run of task other"),
    ],
)
def test_mistakes(words: list[str], said: str, maker: Any, annotations: Annotations, typed: Any) -> None:
    maker.put("good", annotations, maker.answers(annotations, 1.0))
    code, _, err = typed(*words, "--results", maker.store.root)
    assert code == 2
    assert said in " ".join(err.split())


def test_a_named_detector_of_one_size_is_answered(maker: Any, annotations: Annotations, typed: Any) -> None:
    maker.put("good", annotations, maker.answers(annotations, 1.0), config={"n_train": 50})
    code, out, _ = typed("good", "--results", maker.store.root)
    assert code == 0
    assert "trained on 50 images alone" in " ".join(out.split())


def test_points_on_no_lattice_are_never_exact(maker: Any, annotations: Annotations, typed: Any) -> None:
    put_curve(maker, replace(annotations, spacing=np.array([np.nan])), "good", 4.0)
    code, _, err = typed("--exact", 50, "--results", maker.store.root)
    assert code == 2
    assert "exact is not measured" in err


def test_figures_in_words() -> None:
    assert number(Needed(40, 30, 60, "measured")) == "40"
    assert number(Needed(10, None, 12, "smallest")) == "10 or fewer"
    assert number(Needed(1234, 900, 2345, "foretold")) == "1,200"
    assert interval(Needed(1234, 987, 2345, "foretold"), 568) == "980 to 2,400, foretold"
    assert interval(Needed(500, 300, 700, "measured"), 568) == "300 to 700, beyond 568 foretold"
    assert interval(Needed(10, None, 12, "smallest"), 568) == "up to 12"
    assert (rough(7), rough(1251), rough(1251, up=True), rough(1259, down=True)) == (7, 1300, 1300, 1200)
    assert curve_line([4.0, 2.0, 0.0]) == "█▅▁"
    assert curve_line([0.0]) == "▁"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("wide", {"low": 100, "high": None, "means": None}), "100 or more, and how many more is open"),
        (
            Reason("wide", {"low": 100, "high": 1500, "means": 300}),
            "anything from 100 to 1,500 (the means meet it at 300)",
        ),
        (Reason("floor", {"low": None}), "it levels off before"),
        (Reason("far", {"low": 900, "farthest": 4544, "times": 8.0}), "900 or more, likely more than 4,544, 8 times"),
        (Reason("few_sizes", {"sizes": 3, "fewest": 4, "largest": 50}), "50 images do not surely reach it"),
        (
            Reason("no_fall", {"from": 10, "to": 100}),
            "100 images do not surely reach it, and are not shown to be better than 10",
        ),
        (Reason("misfit", {"largest": 100}), "its curve is no power law"),
        (
            Reason(
                "not_foretold", {"from": 100, "size": 568, "low": 0.02, "high": 0.1, "measured": 0.01, "share": True}
            ),
            "up to 100 images it foretold 90.0 to 98.0 % exact at 568, and 99.0 came",
        ),
    ],
)
def test_reasons_in_words(reason: Reason, said: str) -> None:
    assert said in why(reason)
