"""The runner on small made images: keys, reuse, failures that stay alone, out-of-fold runs, determinism."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmark import UserError, registry
from benchmark.conformance import rectangles
from benchmark.detector import Budget, Detector
from benchmark.runs.execute import Callback, execute, holds_the_answer, plan
from benchmark.runs.store import Store, Stored
from benchmark.structures import Annotations, LabeledImages, Part

COUNTS = '''
import numpy as np
from benchmark import Detector, register

@register("{name}")
class Counting(Detector):
    """Answers the mean of the training points, and counts its fits in a file."""

    def __init__(self, flaw: str = "", where: str = "") -> None:
        if flaw == "refused":
            raise ValueError("this flaw is refused")
        self.flaw, self.where = flaw, where

    def fit(self, train, val, *, seed, budget):
        if self.where:
            with open(self.where, "a") as file:
                file.write("fit\\n")
        if self.flaw == "fit":
            raise RuntimeError("no luck\\nat all")
        if self.flaw == "interrupted":
            raise KeyboardInterrupt
        self.point = train.points.mean(axis=0)
        return [{{"epoch": 0.0, "val_px": 2.5}}]

    def predict(self, images):
        if self.flaw == "writes":
            images[0][0, 0] = 1
        answer = np.repeat(self.point[None], len(images), axis=0)
        if self.flaw == "nan":
            answer[3] = np.nan
        return answer[:, 0] if self.flaw == "shape" else answer
'''


@dataclass
class Made:
    """A data set made of rectangles, as the runner wants it."""

    train: LabeledImages
    val: LabeledImages
    test: LabeledImages
    folds: int = 0
    task: str = "made"
    version: int = 1
    data: str = "rectangles"
    digest: str = "0" * 16

    @property
    def n_train(self) -> int:
        return len(self.train)

    @property
    def annotations(self) -> Annotations:
        return self.test.annotations

    @property
    def plural(self) -> str:
        return "" if self.annotations.single_instance else "test image 0001.png has 2 instances"

    def parts(self, n: int, seed: int) -> Iterator[Part]:
        if not self.folds:
            yield Part(self.train.take(range(n)), self.val, self.test)
            return
        for i in range(self.folds):
            mine = np.arange(len(self.test)) % self.folds == i
            yield Part(self.test.take(np.flatnonzero(~mine)), self.val, self.test.take(np.flatnonzero(mine)))


def made(folds: int = 0) -> Made:
    train, val, test = (rectangles(n, seed=s) for n, s in ((20, 1), (6, 2), (9, 3)))
    baseline = np.repeat(train.points.mean(axis=0)[None], 9, axis=0)
    return Made(train, val, LabeledImages(test.images, replace(test.annotations, baseline=baseline)), folds)


@pytest.fixture
def counting(tmp_path: Path) -> str:
    path = tmp_path / "counting.py"
    path.write_text(COUNTS.format(name=f"counting-{tmp_path.name}"))
    return str(path)


def fits(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_run_is_stored_whole_and_scored(tmp_path: Path, counting: str) -> None:
    store = Store(tmp_path / "results")
    (stored,) = execute(plan(made(), [counting]), store)
    record = stored.record
    assert record.status == "finished"
    assert {p.name for p in stored.folder.iterdir()} == {"run.json", "predictions.json", "history.csv", "log.txt"}
    assert record.scores["sqdist_r2"] == pytest.approx(0, abs=1e-12)
    again = store.read(stored.folder)
    assert again.record == record
    assert np.array_equal(again.predictions.keypoints, stored.predictions.keypoints)
    assert again.annotations.digest == made().annotations.digest
    assert stored.history == [{"epoch": "0.0", "val_px": "2.5"}]
    assert {"python", "platform", "cpu", "cores", "commit", "packages"} <= set(record.environment)


def test_a_finished_key_is_reused_and_overwrite_runs_again(tmp_path: Path, counting: str) -> None:
    store, log = Store(tmp_path / "results"), tmp_path / "fits"
    text = f"{counting}:where={log}"
    execute(plan(made(), [text], seeds=(0, 1)), store)
    assert fits(log) == 2
    execute(plan(made(), [text], seeds=(0, 1, 2)), store)
    assert fits(log) == 3
    (first,) = execute(plan(made(), [text]), store)
    before = (first.folder / "predictions.json").read_bytes()
    (second,) = execute(plan(made(), [text], overwrite=True), store)
    assert fits(log) == 4
    assert (second.folder / "predictions.json").read_bytes() == before
    assert [p.name for p in second.folder.parent.iterdir()] == [second.folder.name]


@pytest.mark.parametrize("change", ["source", "seed", "n", "budget", "threads", "data"])
def test_whatever_decides_the_outcome_changes_the_key(tmp_path: Path, counting: str, change: str) -> None:
    data = made()
    settings: dict[str, object] = {"threads": 1}
    before = plan(data, [counting], **settings).jobs[0]  # type: ignore[arg-type]
    if change == "source":
        registry._registered.clear()
        Path(counting).write_text(Path(counting).read_text() + "\nVERSION = 2\n")
    if change == "data":
        data.digest = "1" * 16
    settings |= {
        "seed": {"seeds": (1,)},
        "n": {"sizes": (5,)},
        "budget": {"budget": "3"},
        "threads": {"threads": 2},
    }.get(change, {})
    after = plan(data, [counting], **settings).jobs[0]  # type: ignore[arg-type]
    assert after.recipe.key(after.seed) != before.recipe.key(before.seed)


def test_what_needs_a_gpu_is_not_planned_without_one(counting: str) -> None:
    text = Path(counting).read_text()
    assert plan(made(), [counting], device="cpu").jobs
    registry._registered.clear()
    needs = "class Counting(Detector):\n    from benchmark import Card\n    card = Card(needs=('gpu',))\n"
    Path(counting).write_text(text.replace("class Counting(Detector):\n", needs))
    with pytest.raises(UserError, match="needs a GPU"):
        plan(made(), [counting], device="cpu")


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
def test_a_run_fails_that_learned_from_a_test_image_elsewhere(tmp_path: Path, counting: str, same: bool) -> None:
    registry._registered.clear()
    text = (
        Path(counting)
        .read_text()
        .replace(
            "        if self.where:", "        self.pretraining_images = list(BORROWED)\n        if self.where:", 1
        )
    )
    number = 3 if same else 11
    Path(counting).write_text(
        f"from benchmark.conformance import rectangles\nBORROWED = rectangles(9, seed={number}).images\n{text}"
    )
    (stored,) = execute(plan(made(), [counting]), Store(tmp_path / "results"))
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
def test_a_failing_detector_costs_its_own_row(tmp_path: Path, counting: str, flaw: str, words: str) -> None:
    store = Store(tmp_path / "results")
    bad, good = execute(plan(made(), [f"{counting}:flaw={flaw}", counting]), store)
    assert (bad.record.status, good.record.status) == ("failed", "finished")
    assert words in bad.record.error
    assert "\n" not in bad.record.error
    assert "Traceback" in (bad.folder / "log.txt").read_text()


def test_an_interruption_keeps_what_is_finished(tmp_path: Path, counting: str) -> None:
    store = Store(tmp_path / "results")
    with pytest.raises(KeyboardInterrupt):
        execute(plan(made(), [counting, f"{counting}:flaw=interrupted"]), store)
    assert [s.record.status for s in store.runs()] == ["finished"]


def test_a_failed_run_is_tried_again(tmp_path: Path, counting: str) -> None:
    store, log = Store(tmp_path / "results"), tmp_path / "fits"
    for _ in range(2):
        execute(plan(made(), [f"{counting}:flaw=fit,where={log}"]), store)
    assert fits(log) == 2


def test_out_of_fold_predictions_cover_every_image_once(tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    (stored,) = execute(plan(made(folds=3), [f"{counting}:where={log}"]), Store(tmp_path / "results"))
    assert fits(log) == 3
    assert stored.predictions.image_ids.tolist() == list(range(1, 10))
    points = made().test.points[:, 0]
    expected = np.array([points[np.arange(9) % 3 != i % 3].mean(axis=0) for i in range(9)])
    assert np.allclose(stored.predictions.keypoints[:, 0], expected)


def test_everything_is_refused_before_anything_runs(tmp_path: Path, counting: str) -> None:
    log = tmp_path / "fits"
    good = f"{counting}:where={log}"
    for bad, settings in (
        (f"{counting}:flaw=refused", {}),
        ("no-such-detector", {}),
        (good, {"sizes": (21,)}),
        (good, {"budget": "soon"}),
        (good, {"budget": "0"}),
    ):
        with pytest.raises(UserError):
            execute(plan(made(), [good, bad], **settings), Store(tmp_path / "results"))  # type: ignore[arg-type]
    assert fits(log) == 0


def test_a_detector_for_one_instance_refuses_data_with_several(counting: str) -> None:
    data = made()
    annotations = data.test.annotations
    data.test = LabeledImages(data.test.images, replace(annotations, index=np.array([0, *range(8)])))
    with pytest.raises(UserError, match=r"one instance an image, and in rectangles test image 0001\.png has 2 inst"):
        plan(data, [counting])


def test_the_watcher_hears_of_every_run(tmp_path: Path, counting: str) -> None:
    heard: list[tuple[str, bool]] = []

    class Ears(Callback):
        def finished(self, job: object, stored: Stored, *, reused: bool) -> None:
            heard.append((stored.record.status, reused))

    for _ in range(2):
        execute(plan(made(), [counting]), Store(tmp_path / "results"), Ears())
    assert heard == [("finished", False), ("finished", True)]


class _Fed(Detector):
    def __init__(self, noise: float) -> None:
        self.noise = noise

    def handmade_features(self, images: object) -> np.ndarray:
        data = made().train
        return data.points[:, 0] * 2 + 1 + np.random.default_rng(0).normal(0, self.noise, (20, 2))


@pytest.mark.parametrize(("noise", "oracle"), [(0.0, True), (3.0, False)])
def test_features_that_hold_the_answer_are_found_out(noise: float, oracle: bool) -> None:
    assert holds_the_answer(_Fed(noise), made().train) is oracle


def test_a_damaged_record_names_its_file_and_the_mend(tmp_path: Path, counting: str) -> None:
    store = Store(tmp_path / "results")
    (stored,) = execute(plan(made(), [counting]), store)
    path = stored.folder / "run.json"
    document = json.loads(path.read_text())
    for text in ("{", json.dumps(document | {"seed": "first"})):
        path.write_text(text)
        with pytest.raises(UserError, match=r"run\.json.*run it again"):
            list(store.runs())


def test_a_changed_annotations_is_noticed(tmp_path: Path, counting: str) -> None:
    store = Store(tmp_path / "results")
    (stored,) = execute(plan(made(), [counting]), store)
    (path,) = (store.root / "_annotations").iterdir()
    path.write_text(path.read_text().replace('"width": 28', '"width": 29', 1))
    with pytest.raises(UserError, match="not what its name promises"):
        Store(store.root).annotations(stored.record.annotations)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20", Budget(epochs=20)),
        ("20epochs", Budget(epochs=20)),
        ("60s", Budget(seconds=60)),
        ("1.5s", Budget(seconds=1.5)),
        ("500steps", Budget(steps=500)),
        (None, Budget()),
    ],
)
def test_budgets_are_read(text: str | None, budget: Budget) -> None:
    assert Budget.parse(text) == budget
