"""The audit passes a sound store, and each way of tampering fails its own check."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import photographs
from rich.console import Console

import benchmark
from benchmark.metrics import score
from benchmark.runs.store import Results, Store, StoredRun
from benchmark.structures import Annotations, LabeledImages, Predictions
from datasets.dataset import Dataset, DatasetCard
from datasets.formats.coco_folder import write
from leaderboard import audit as audit_module
from leaderboard.audit import Report, audit, overlaps
from leaderboard.board import boards, find_run
from leaderboard.compare import compare
from leaderboard.identities import broken, differences
from leaderboard.pycocotools_scores import pycocotools_scores
from leaderboard.render import audit_words
from leaderboard.render.tables import as_rows
from leaderboard.render.terminal import print_audit


def outcome(report: Report) -> dict[str, str]:
    return {check.code: check.status for check in report.checks}


def failed(report: Report) -> set[str]:
    return {name for name, status in outcome(report).items() if status == "failed"}


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_sound_store_passes(filled: Store) -> None:
    report = audit(filled)
    assert not report.failed
    assert (report.runs, report.failures) == (15, 1)
    assert outcome(report).pop("overlap") == "not applicable"
    assert list(outcome(report).values()).count("passed") == len(report.checks) - 1


def test_an_empty_store_passes_with_nothing_to_check(tmp_path: Path) -> None:
    report = audit(Store(tmp_path))
    assert not report.failed
    assert set(outcome(report).values()) == {"not applicable"}


def set_score(name: str, value: float) -> Callable[[Any], None]:
    return lambda document: document["scores"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (set_score("mean", 0.001), {"rescoring", "counts"}),
        (set_score("median", 1e6), {"rescoring", "identities"}),
        (set_score("ap", 1.5), {"rescoring", "identities"}),
        (set_score("dist_avg", 9.0), {"rescoring", "identities", "baseline"}),
        (set_score("mse", 9.0), {"rescoring", "identities", "baseline"}),
        (set_score("sqdist_r2", 0.999), {"rescoring", "baseline"}),
        (set_score("dist_r2", 0.999), {"rescoring", "baseline"}),
        (set_score("r2", 0.999), {"rescoring", "counts"}),
        (set_score("exact", 1.0), {"rescoring", "counts"}),
        (set_score("auc", 0.5), {"rescoring"}),
        (lambda d: d["scores"]["flags"].__setitem__("tied_scores", False), {"rescoring", "tied_scores"}),
        (lambda d: d["scores"]["keypoints"]["p0"].__setitem__("mean", 0.0), {"rescoring"}),
        (lambda d: d.__setitem__("key", "0" * 16), {"keys"}),
        (lambda d: d.__setitem__("seed", 9), {"keys"}),
        (lambda d: d["config"].__setitem__("threads", 7), {"keys"}),
        (lambda d: d.__setitem__("created", ""), {"provenance"}),
        (lambda d: d.__setitem__("oracle_features", True), {"oracle_features"}),
        (lambda d: d.__setitem__("status", "perhaps"), {"records"}),
    ],
)
def test_a_changed_record_fails_the_checks_that_see_it(
    filled: Store, change: Callable[[Any], None], checks: set[str]
) -> None:
    path = next(p for p in sorted(filled.root.rglob("run.json")) if "/blunt/" in str(p))
    edit(path, change)
    report = audit(Store(filled.root))
    assert failed(report) == checks
    problems = [p for check in report.checks for p in check.problems]
    assert all("blunt" in problem for problem in problems)


def test_changed_predictions_and_annotations_are_found(filled: Store, maker: Any) -> None:
    runs = [run for run in filled.runs() if run.record.config.detector == "twin"]
    edit(runs[0].folder / "predictions.json", lambda d: d[3]["keypoints"].__setitem__(0, 1.0))
    (runs[1].folder / "predictions.json").write_text("[")
    report = audit(Store(filled.root))
    assert "rescoring" in failed(report)
    (check,) = [c for c in report.checks if c.code == "rescoring"]
    assert len(check.problems) == 2
    annotation_file = next((filled.root / "_annotations").glob("*.json"))
    edit(annotation_file, lambda d: d["annotations"][0]["keypoints"].__setitem__(0, 27.0))
    assert any("not what its name promises" in p for c in audit(Store(filled.root)).checks for p in c.problems)


def test_images_of_other_shapes_and_tied_answers_are_sound(maker: Any, annotations: Annotations) -> None:
    """R2 is no ratio of scaled errors where images are not squares of one size; of tied answers the first counts."""
    rng = np.random.default_rng(1)
    wide = replace(annotations, sizes=rng.integers(20, 40, (len(annotations), 2)))
    twice = maker.answers(wide, rng.normal(0, 2, (len(wide), 1, 2)))
    twice = Predictions.of_category(
        np.tile(twice.image_ids, 2), np.vstack([twice.keypoints, wide.keypoints]), np.ones(100), 1
    )
    maker.put("net", wide, twice)
    assert failed(audit(maker.store)) == set()


def test_a_run_that_was_moved_is_found(filled: Store) -> None:
    folder = next(p for p in filled.root.rglob("seed1") if "/twin/" in p.as_posix())
    folder.rename(folder.with_name("seed7"))
    report = audit(Store(filled.root))
    assert failed(report) == {"keys"}
    assert "lies in" in next(c for c in report.checks if c.status == "failed").problems[0]


def test_seeds_may_disagree_on_oracle_features_of_few_training_images_alone(
    maker: Any, annotations: Annotations
) -> None:
    for n, problem in ((10, False), (100, True)):
        for seed in range(2):
            maker.put(
                "linear",
                annotations,
                maker.answers(annotations, 1.0),
                seed,
                oracle_features=seed == 0,
                config={"n_train": n},
            )
        if not problem:
            maker.put("mean", annotations, maker.answers(annotations, 2.0), config={"n_train": 100})
        assert failed(audit(maker.store)) == ({"oracle_features"} if problem else set())


def test_two_annotations_on_a_board_are_found(filled: Store, maker: Any) -> None:
    other = maker.annotations(seed=9)
    maker.put("odd", other, maker.answers(other, 1.0))
    report = audit(filled)
    assert failed(report) == {"annotations"}
    assert "odd" in next(c for c in report.checks if c.status == "failed").problems[0]


def dataset(n: int, seed: int) -> LabeledImages:
    """Images with one white pixel each, whose position is the point, on noise that makes them differ."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 200, (n, 9, 9)).astype(np.uint8)
    points = rng.integers(1, 8, (n, 1, 2)).astype(np.float64)
    annotations = Annotations(
        np.arange(1, n + 1),
        tuple(f"{i}.png" for i in range(n)),
        np.full((n, 2), 9),
        np.arange(n),
        points,
        np.full((n, 1), 2),
        np.tile([0.0, 0.0, 9.0, 9.0], (n, 1)),
        np.full(n, 81.0),
        np.zeros(n, dtype=bool),
        np.ones(n, dtype=np.int64),
        ("dot",),
        np.array([0.05]),
        np.array([1.0]),
    )
    return LabeledImages(images, annotations)


def written(maker: Any, *parts: LabeledImages) -> Dataset:
    """Export a data set under ``_data`` of the store."""
    return write(maker.store.root / "_data" / "dots", Dataset(*parts, DatasetCard(task="made", data="dots"), ""))


def exported(maker: Any, leak: bool, wrong_mean: bool = False) -> None:
    """Export a data set under ``_data`` of the store, and store a run on it."""
    train, val, test = dataset(30, 1), dataset(8, 2), dataset(12, 3)
    mean = train.points.mean(axis=0) + wrong_mean
    images = np.array(test.images)
    if leak:
        images[5] = train.images[4]
    test = LabeledImages(images, replace(test.annotations, baseline=np.tile(mean, (12, 1, 1))))
    folder = written(maker, train, val, test)
    annotations = folder.test.annotations
    maker.put("net", annotations, maker.answers(annotations, 0.25), config={"data_digest": folder.digest})


def test_a_sound_data_set_passes(maker: Any) -> None:
    exported(maker, leak=False)
    report = audit(maker.store)
    assert not report.failed
    assert outcome(report)["overlap"] == "passed"


def test_annotations_that_are_not_the_test_split_of_the_data_is_reported(maker: Any) -> None:
    exported(maker, leak=False)
    (run,) = maker.store.runs()
    digest = run.record.config.data_digest
    shutil.rmtree(run.folder)
    other = dataset(12, 9).annotations
    maker.put("net", other, maker.answers(other, 0.25), config={"data_digest": digest})
    report = audit(maker.store)
    assert failed(report) == {"annotations"}
    assert "are not those of the data's test split" in str(report.checks)


def test_a_test_image_in_train_is_reported(maker: Any) -> None:
    exported(maker, leak=True)
    report = audit(maker.store)
    assert failed(report) == {"overlap"}
    assert report.checks[-1].problems == ("dots: 1 images of train are also in test",)


def test_a_baseline_that_is_not_the_mean_of_train_is_reported(maker: Any) -> None:
    exported(maker, leak=False, wrong_mean=True)
    assert failed(audit(maker.store)) == {"overlap"}


@pytest.mark.parametrize(("dots", "marked"), [("corner", True), ("corner", False), ("noise", True), ("noise", False)])
def test_a_mark_of_oracle_features_that_a_linear_fit_denies_is_reported(maker: Any, dots: str, marked: bool) -> None:
    """Features that hold the answer: the ink's corner where the dot is that corner; nothing where it lies anywhere."""
    parts = [dataset(n, seed) for seed, n in enumerate((60, 8, 12))]
    if dots == "corner":
        for part in parts:
            assert isinstance(part.images, np.ndarray)
            part.images[:] = 0
            for image, ((x, y),) in zip(part.images, part.points.astype(int).tolist()):
                image[y : y + 2, x : x + 2] = 255
    folder = written(maker, *parts)
    for detector, mark in (("linear:features=pts", marked), ("linear:features=pix", False)):
        maker.put(
            detector,
            folder.test.annotations,
            maker.answers(folder.test.annotations, 0.25),
            config={"data_digest": folder.digest, "n_train": 60, "parameters": {"of": detector}},
            oracle_features=mark,
        )
    report = audit(maker.store)
    assert ("oracle_features" in failed(report)) == (marked != (dots == "corner"))
    (check,) = [c for c in report.checks if c.code == "oracle_features"]
    assert (check.values["fitted_again"], check.values["configurations"]) == (2, 2)
    assert all("linear:features=pts" in problem for problem in check.problems)


def test_data_is_found_as_it_was_read(tmp_path: Path) -> None:
    """By shares, groups and sigmas that the user gave, and not by its folder alone: each decides its digest."""
    folder, results, sigmas = tmp_path / "photos", tmp_path / "results", tmp_path / "sigmas.json"
    photographs(folder, 24, k=2, size=(48, 32), seed=3)
    sigmas.write_text("[0.1, 0.2]")
    benchmark.run("mean", data=folder, group_by="([0-9])[.]", val=0.3, sigmas=str(sigmas), split=1, results=results)
    (overlap,) = [check for check in audit(Store(results)).checks if check.code == "overlap"]
    assert (overlap.status, overlap.values["data_sets"], overlap.values["missing"]) == ("passed", 1, [])
    sigmas.unlink()
    (overlap,) = [check for check in audit(Store(results)).checks if check.code == "overlap"]
    assert (overlap.status, overlap.values["data_sets"]) == ("not applicable", 0)


def test_a_damaged_data_folder_is_reported(maker: Any) -> None:
    exported(maker, leak=False)
    (maker.store.root / "_data" / "dots" / "annotations" / "val.json").write_text("{}")
    assert failed(audit(maker.store)) == {"overlap"}


def test_overlaps_names_the_pairs() -> None:
    found = overlaps({"train": ["a", "b", "b"], "val": ["c"], "test": ["b", "c", "d"]})
    assert found == {("train", "test"): {"b"}, ("val", "test"): {"c"}}


def test_several_instances_are_audited_too(maker: Any) -> None:
    annotations = maker.annotations(10, 2, 3)
    rng = np.random.default_rng(0)
    maker.put(
        "net",
        annotations,
        maker.answers(annotations, rng.normal(0, 1, (30, 2, 2)), rng.random(30)),
        has_confidence=True,
    )
    report = audit(maker.store)
    assert not report.failed
    assert outcome(report)["counts"] == "not applicable"


def test_the_report_in_words(filled: Store) -> None:
    edit(next(iter(filled.root.rglob("run.json"))), lambda d: d.__setitem__("key", "0" * 16))
    report = audit(filled)
    out = io.StringIO()
    print_audit(report, Console(file=out, width=80))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "failed         keys" in out.getvalue()
    assert "\n               - made@1/dots" in out.getvalue()
    assert "1 failed" in out.getvalue()
    document = json.loads(json.dumps(report.as_dict()))
    assert document["failed"] is True
    assert {check["name"] for check in document["checks"]} == set(outcome(report))


def test_identities_hold_for_equal_figures_and_not_beyond() -> None:
    sound = {"mse": 1.0, "sqdist_avg": 2.0, "dist_avg": 1.0, "mean": 1.0, "rmse": 1.0, "exact": None, "ap": 1.0}
    assert broken(sound) == []
    assert len(broken({**sound, "mean": 1.0 + 1e-9})) == 1
    assert len(broken({**sound, "mse": 1.0 + 1e-9})) == 1
    assert len(broken({**sound, "ap": -0.1})) == 1


def test_differences_allow_rounding_and_growth_alone() -> None:
    assert differences({"a": 1.0, "b": {"c": None}}, {"a": 1.0 + 1e-13, "b": {"c": None}, "new": 3}) == []
    assert differences({"a": 1.0}, {"a": 1.0 + 1e-9}) == [f"a is stored as 1.0 and scored as {1.0 + 1e-9!r}"]
    assert differences({"b": {"c": None}}, {"b": {"c": 0.0}}) == ["b.c is stored as None and scored as 0.0"]
    assert differences({"gone": 1}, {}) == ["gone is not scored any more"]


class Listed(Results):
    """Runs that lie in no folder of their own, as those of a bundle."""

    def __init__(self, store: Store) -> None:
        self.root = store.root / "bundle.tar"
        self._runs = [Kept(run) for run in store.runs()]

    def runs(self) -> Iterator[StoredRun]:
        return iter(self._runs)


class Kept(StoredRun):
    def __init__(self, run: StoredRun) -> None:
        self.record, self.place, self._run = run.record, f"bundle.tar, {run.record.key}", run

    annotations = property(lambda self: self._run.annotations)
    predictions = property(lambda self: self._run.predictions)
    fingerprint = property(lambda self: ("bundle", self.record.key))


def test_results_that_are_no_folder_are_audited_and_ranked_alike(filled: Store) -> None:
    bundle = Listed(filled)
    report = audit(bundle)
    assert not report.failed
    assert outcome(report) == outcome(audit(filled))
    assert [as_rows(board) for board in boards(bundle)] == [as_rows(board) for board in boards(filled)]
    assert compare(bundle, "sharp", "wild").better == "sharp"
    assert find_run(bundle, "sharp", "made", "dots").place.startswith("bundle.tar")


@pytest.mark.parametrize("keypoints", [1, 3, 17])
@pytest.mark.parametrize("instances", [1, 3])
def test_pycocotools_agrees(maker: Any, keypoints: int, instances: int, capsys: pytest.CaptureFixture[str]) -> None:
    annotations = maker.annotations(20, keypoints, instances)
    rng = np.random.default_rng(keypoints)
    count = len(annotations.index)
    two = replace(annotations, category_ids=rng.integers(1, 4, count), crowd=rng.random(count) < 0.1 * (instances > 1))
    answers = maker.answers(two, rng.normal(0, 1, (count, keypoints, 2)), rng.integers(0, 9, count) / 9)
    answers = replace(answers, category_ids=np.where(rng.random(count) < 0.2, 1, two.category_ids))
    before = two.digest, answers.keypoints.copy()
    maker.put("net", two, answers, has_confidence=True)
    (check,) = [check for check in audit(maker.store).checks if check.code == "pycocotools"]
    assert check.status == "passed"
    assert check.values["largest"] < 1e-12
    theirs = pycocotools_scores(two, answers)
    assert theirs["ap"] == pytest.approx(score(two, answers)["ap"], abs=1e-12)
    assert (two.digest, answers.keypoints.tolist()) == (before[0], before[1].tolist())
    assert capsys.readouterr().out == ""


def test_pycocotools_has_no_figure_where_no_instance_counts_or_nothing_was_answered(maker: Any) -> None:
    annotations = maker.annotations(5, 1, 2)
    crowds = replace(annotations, crowd=np.ones(10, dtype=bool))
    assert set(pycocotools_scores(crowds, maker.answers(crowds)).values()) == {None}
    nothing = Predictions.of_category(np.zeros(0, int), np.zeros((0, 1, 2)), np.zeros(0), 1)
    assert set(pycocotools_scores(annotations, nothing).values()) == {0.0}
    maker.put("silent", annotations, nothing)
    assert outcome(audit(maker.store))["pycocotools"] == "passed"


def test_a_wrong_ap_of_ours_would_be_found(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> dict[str, float | None]:
        figures = pycocotools_scores(*arguments)
        return {**figures, "ap75": (figures["ap75"] or 0) + 2e-9}

    monkeypatch.setattr(audit_module, "pycocotools_scores", wrong)
    report = audit(filled)
    assert failed(report) == {"pycocotools"}
    (check,) = [check for check in report.checks if check.status == "failed"]
    assert len(check.problems) == 14
    assert "largest difference 2.0e-09" in audit_words.check(check).detail
