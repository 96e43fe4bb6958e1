"""Grids on a small folder: runs are stored whole, reused, repeated; failures stay alone; out-of-fold runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from run_cases import made_dataset, two_instances

from benchmark import UserError, registry
from benchmark.api import run_grid
from benchmark.conformance import rectangles
from benchmark.detector import Budget, Detector
from benchmark.executors.executor import Callback
from benchmark.runs import data as run_data
from benchmark.runs.config import GridConfig, Job
from benchmark.runs.execute import execute, holds_the_answer
from benchmark.runs.plan import Planned, plan
from benchmark.runs.store import FolderRun, Store
from datasets.dataset import pooled
from datasets.formats import coco_folder

Grid = Callable[..., GridConfig]


def fits(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_run_is_stored_whole_and_scored(grid: Grid, counting: str) -> None:
    (stored,) = run_grid(grid(counting))
    record = stored.record
    assert record.status == "finished"
    assert {p.name for p in stored.folder.iterdir()} == {"run.json", "predictions.json", "history.csv", "log.txt"}
    assert record.scores["sqdist_r2"] == pytest.approx(0, abs=1e-12)
    again = stored.store.read(stored.folder)
    assert again.record == record
    assert np.array_equal(again.predictions.keypoints, stored.predictions.keypoints)
    assert again.annotations.digest == made_dataset().test.annotations.digest
    assert stored.history == [{"epoch": "0.0", "val_px": "2.5"}]
    facts = record.facts
    assert all((facts.python, facts.platform, facts.processor, facts.instruction_set, facts.cores, facts.packages))
    assert list(facts.code) == ["counting.py"]


def test_the_baseline_stands_on_every_board(grid: Grid, counting: str) -> None:
    (stored,) = run_grid(grid(counting, seeds=(3, 4)))[:1]
    names = [(run.record.config.detector, run.record.seed) for run in stored.store.runs()]
    assert ("mean", 3) in names
    assert ("mean", 4) not in names


def test_a_finished_key_is_reused_and_overwrite_runs_again(grid: Grid, tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    text = f"{counting}:where={log}"
    run_grid(grid(text, seeds=(0, 1)))
    assert fits(log) == 2
    run_grid(grid(text, seeds=(0, 1, 2)))
    assert fits(log) == 3
    (first,) = run_grid(grid(text))
    before = (first.folder / "predictions.json").read_bytes()
    (second,) = run_grid(grid(text, overwrite=True))
    assert fits(log) == 4
    assert (second.folder / "predictions.json").read_bytes() == before
    assert [p.name for p in second.folder.parent.iterdir()] == [second.folder.name]


def test_a_job_is_plain_json_and_all_that_a_worker_needs(grid: Grid, counting: str) -> None:
    (job,) = [one.job for one in plan(grid(counting)) if one.asked]
    copy = Job.model_validate_json(json.dumps(json.loads(job.model_dump_json())))
    assert copy == job
    stored = execute(copy)
    assert stored.record.key == job.key
    assert [one.stored.place for one in plan(grid(counting)) if one.asked and one.stored] == [stored.place]


def test_a_job_whose_data_has_changed_is_refused(grid: Grid, counting: str, data: Path) -> None:
    (job,) = [one.job for one in plan(grid(counting)) if one.asked]
    coco_folder.write(data, made_dataset(shift=7))
    run_data._opened.clear()  # as in a worker of its own
    with pytest.raises(UserError, match="has changed since the run was planned"):
        execute(job)


def test_what_needs_a_gpu_is_not_planned_without_one(grid: Grid, counting: str) -> None:
    text = Path(counting).read_text()
    assert plan(grid(counting, device="cpu"))
    registry._registered.clear()
    needs = "class Counting(Detector):\n    from benchmark import Card\n    card = Card(needs=('gpu',))\n"
    Path(counting).write_text(text.replace("class Counting(Detector):\n", needs))
    with pytest.raises(UserError, match="needs a GPU"):
        plan(grid(counting, device="cpu"))


def test_a_subset_is_marked_by_the_whole_training_split_and_too_many_inputs_by_nothing() -> None:
    class Knows(Detector):
        def __init__(self, columns: int, right: bool) -> None:
            self.columns, self.right = columns, right

        def handmade_features(self, images):  # type: ignore[no-untyped-def]
            noise = np.random.default_rng(0).normal(size=(len(images), self.columns))
            return np.column_stack([noise, data.points[: len(images), 0]]) if self.right else noise

    data = rectangles(40, seed=7)
    assert holds_the_answer(Knows(3, True), data)
    assert not holds_the_answer(Knows(3, False), data)
    assert not holds_the_answer(Knows(60, False), data)  # any target is fitted exactly


@pytest.mark.parametrize("same", [True, False])
def test_a_run_fails_that_learned_from_a_test_image_elsewhere(grid: Grid, counting: str, same: bool) -> None:
    text = Path(counting).read_text()
    learned = "        self.pretraining_images = list(ELSEWHERE)\n        if self.where:"
    number = 3 if same else 11
    Path(counting).write_text(
        f"from benchmark.conformance import rectangles\nELSEWHERE = rectangles(9, seed={number}).images\n"
        + text.replace("        if self.where:", learned, 1)
    )
    (stored,) = run_grid(grid(counting))
    assert stored.record.status == ("failed" if same else "finished")
    if same:
        assert "are in the test split" in stored.record.error


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("fit", "RuntimeError: no luck at all"),
        ("nan", "image 4: the answer holds a value that is not finite"),
        ("shape", "shape (9, 2) where (9, 1, 2) was expected"),
        ("writes", "read-only"),
    ],
)
def test_a_failing_detector_costs_its_own_row(grid: Grid, counting: str, flaw: str, words: str) -> None:
    bad, good = run_grid(grid(f"{counting}:flaw={flaw}", counting))
    assert (bad.record.status, good.record.status) == ("failed", "finished")
    assert words in bad.record.error
    assert "\n" not in bad.record.error
    assert "Traceback" in bad.log


def test_an_interruption_keeps_what_is_finished(grid: Grid, counting: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_grid(grid(counting, f"{counting}:flaw=interrupted"))
    assert {run.record.status for run in Store(grid().results).runs()} == {"finished"}


def test_a_failed_run_is_tried_again(grid: Grid, tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    for _ in range(2):
        run_grid(grid(f"{counting}:flaw=fit,where={log}"))
    assert fits(log) == 2


def test_out_of_fold_predictions_cover_every_image_once(grid: Grid, tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    (stored,) = run_grid(grid(f"{counting}:where={log}", folds=3))
    assert fits(log) == 3
    assert stored.record.config.data == "rectangles-folds3"
    assert stored.predictions.image_ids.tolist() == list(range(1, 36))
    dataset = made_dataset()
    points = pooled(list(dataset.splits.values())).points[:, 0]
    folds = dataset.folds(3)
    fewest = min(len(fold.train) for fold in folds)  # every fit learns from as many images
    for fold in folds:
        learned = fold.with_train(fewest, seed=0).train.annotations.image_ids
        answered = np.isin(stored.predictions.image_ids, fold.test.annotations.image_ids)
        expected = points[np.isin(np.arange(1, 36), learned)].mean(axis=0)
        assert np.allclose(stored.predictions.keypoints[answered, 0], expected)


def test_everything_is_refused_before_anything_runs(grid: Grid, tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    good = f"{counting}:where={log}"
    for bad, settings in (
        (f"{counting}:flaw=refused", {}),
        ("no-such-detector", {}),
        (good, {"n": (21,)}),
        (good, {"budget": "soon"}),
        (good, {"budget": "0"}),
        (good, {"folds": 1}),
    ):
        with pytest.raises(UserError):
            run_grid(grid(good, bad, **settings))
    assert fits(log) == 0


def test_a_detector_for_one_instance_answers_test_images_with_several(grid: Grid, data: Path, counting: str) -> None:
    """Trained on one each, it gives one answer an image; what it leaves out is missed."""
    coco_folder.write(data, two_instances(made_dataset()))
    (stored,) = run_grid(grid(counting))[-1:]
    assert stored.record.status == "finished"
    assert stored.annotations.index.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]  # the last image has none
    assert stored.predictions.image_ids.tolist() == list(range(1, 10))
    assert stored.record.scores["misses"] >= 1


def test_the_callback_hears_of_every_run(grid: Grid, counting: str) -> None:
    heard: list[tuple[str, bool]] = []

    class Ears(Callback):
        def finished(self, planned: Planned, stored: FolderRun, *, reused: bool) -> None:
            if planned.asked:
                heard.append((stored.record.status, reused))

    for _ in range(2):
        run_grid(grid(counting), Ears())
    assert heard == [("finished", False), ("finished", True)]


class _Fed(Detector):
    def __init__(self, noise: float) -> None:
        self.noise = noise

    def handmade_features(self, images: object) -> np.ndarray:
        data = made_dataset().train
        return data.points[:, 0] * 2 + 1 + np.random.default_rng(0).normal(0, self.noise, (20, 2))


@pytest.mark.parametrize(("noise", "oracle"), [(0.0, True), (3.0, False)])
def test_features_that_hold_the_answer_are_found_out(noise: float, oracle: bool) -> None:
    assert holds_the_answer(_Fed(noise), made_dataset().train) is oracle


def test_a_damaged_record_names_its_file_and_the_mend(grid: Grid, counting: str) -> None:
    (stored,) = run_grid(grid(counting))
    path = stored.folder / "run.json"
    document = json.loads(path.read_text())
    for text in ("{", json.dumps(document | {"seed": "first"})):
        path.write_text(text)
        with pytest.raises(UserError, match=r"run\.json.*run it again"):
            list(stored.store.runs())


def test_changed_annotations_are_noticed(grid: Grid, counting: str) -> None:
    (stored,) = run_grid(grid(counting))
    (path,) = (stored.store.root / "_annotations").iterdir()
    path.write_text(path.read_text().replace('"width": 28', '"width": 29', 1))
    with pytest.raises(UserError, match="not what its name promises"):
        Store(stored.store.root).annotations(stored.record.annotations)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20", Budget(epochs=20)),
        ("20epochs", Budget(epochs=20)),
        ("60s", Budget(seconds=60)),
        ("1.5s", Budget(seconds=1.5)),
        ("5min", Budget(seconds=300)),
        ("0.5h", Budget(seconds=1800)),
        ("500steps", Budget(steps=500)),
        ("recipe", Budget()),
        (None, Budget()),
    ],
)
def test_budgets_are_read(text: str | None, budget: Budget) -> None:
    assert Budget.parse(text) == budget
