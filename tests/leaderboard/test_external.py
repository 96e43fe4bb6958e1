"""Predictions made elsewhere: scored from files alone, and put on the board they belong to."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import photographs
from rich.console import Console

from benchmark.metrics import score
from benchmark.structures import Annotations, Predictions, UserError
from datasets import formats
from datasets.formats.coco import annotations_to_json
from datasets.formats.coco_results import write_predictions
from datasets.formats.reading import ReadOptions
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.external import Scored, score_files, store_external
from leaderboard.render import words
from leaderboard.render.tables import as_rows
from leaderboard.render.terminal import print_scored


def on_disk(folder: Path, annotations: Annotations, predictions: Predictions) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    (folder / "points.json").write_text(json.dumps(annotations_to_json(annotations)))
    write_predictions(folder / "theirs.json", predictions, annotations)
    return folder / "theirs.json", folder / "points.json"


def scored(folder: Path, annotations: Annotations, predictions: Predictions) -> Scored:
    return score_files(*on_disk(folder, annotations, predictions))


def printed(found: Scored) -> str:
    out = io.StringIO()
    print_scored(found, Console(file=out, width=200))
    return out.getvalue()


def test_the_table_is_the_harness_s_own(maker: Any, tmp_path: Path) -> None:
    for k, instances in ((1, 1), (3, 1), (2, 3)):
        annotations = maker.annotations(20, k, instances)
        rng = np.random.default_rng(k)
        answers = maker.answers(
            annotations, rng.normal(0, 1, annotations.keypoints.shape), rng.random(len(annotations.index))
        )
        document = json.loads(json.dumps(scored(tmp_path, annotations, answers).as_dict(), allow_nan=False))
        for name, value in score(annotations, answers).items():
            assert document[name] == value
        low, high = document["mean_interval"]
        assert 0 <= low < high


def test_what_is_printed(maker: Any, tmp_path: Path) -> None:
    annotations = maker.annotations(20, 2)
    out = io.StringIO()
    print_scored(scored(tmp_path, annotations, maker.answers(annotations, 0.25)), Console(file=out, width=80))
    text = out.getvalue()
    assert "20 images, 20 instances, 20 predictions" in text
    assert "40 exact, 0 jitter" in text
    assert max(len(line) for line in text.splitlines()[1:]) <= 80
    for name in ("mean", "dist_r2", "ap_constant", "p0", "p1"):
        assert f"\n{name} " in text


def test_what_another_tool_s_file_lacks_is_said(maker: Any, tmp_path: Path) -> None:
    annotations = maker.annotations(20, 1, 2)
    theirs, points = on_disk(tmp_path, annotations, maker.answers(annotations, 0.25))
    document = json.loads(points.read_text())
    del document["info"], document["annotations"][0]["area"]
    points.write_text(json.dumps(document))
    found = score_files(theirs, points)
    assert [note.split(":")[0] for note in found.as_dict()["notes"]] == [
        "1 annotations without an area",
        "no sigmas given",
    ]
    assert all(note in printed(found) for note in found.notes)


def test_the_interval_of_images_that_weigh_otherwise_names_its_own_mean(maker: Any, tmp_path: Path) -> None:
    """Of two instances in one image and two in another, one is missed: keypoints and images weigh differently."""
    annotations = maker.annotations(2, 1, 2)
    offsets = np.array([[[0.0, 0.0]], [[0.0, 0.0]], [[3.0, 0.0]], [[900.0, 0.0]]])
    found = scored(tmp_path, annotations, maker.answers(annotations, offsets, np.arange(4) / 4))
    assert found.scores["mean"] == 1.0
    assert "mean over images 1.5000, 95 % 0.0000 to" in printed(found)
    assert "mean over images" not in printed(scored(tmp_path, annotations, maker.answers(annotations, 0.5)))


def test_groups_named_by_a_pattern_count_in_a_file_as_in_a_folder(tmp_path: Path) -> None:
    """The divided test split of a folder, and the same images as a file alone."""
    photographs(tmp_path / "photos", 30, k=2, size=(48, 32))
    said = ReadOptions(group_by="([0-9])[.]", test=0.4)
    known = formats.read(tmp_path / "photos", 1, said).test.annotations
    offsets = np.arange(len(known.index))[:, None, None] * np.ones((1, 2, 2)) / 10
    answers = Predictions(
        known.image_ids[known.index], known.keypoints + offsets, np.ones(len(known.index)), known.category_ids
    )
    theirs, points = on_disk(tmp_path / "files", replace(known, groups=None), answers)
    divided = score_files(theirs, tmp_path / "photos", said, split=1)
    alone = score_files(theirs, points, ReadOptions(group_by=said.group_by))
    assert divided.mean == alone.mean != score_files(theirs, points).mean
    with pytest.raises(UserError, match="is scored whole"):
        score_files(theirs, points, said)
    with pytest.raises(UserError, match="is no field of the images"):
        score_files(theirs, points, ReadOptions(group_by="video"))


def test_an_external_row_joins_the_board_of_its_annotations(
    maker: Any, annotations: Annotations, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    maker.put("net", annotations, maker.answers(annotations, rng.normal(0, 2, (len(annotations), 1, 2))))
    maker.put("net", annotations, maker.answers(annotations, 3.0), config={"n_train": 10})
    theirs = maker.answers(annotations, 0.25)
    store_external(scored(tmp_path / "files", annotations, theirs), "yolo", maker.store.root)
    (board,) = boards(maker.store)
    assert [row.label for row in board.rows] == ["yolo", "net n100", "net n10"]
    first = as_rows(board)[0]
    assert (first["rank"], first["marks"], first["n_train"]) == ("1", ["external", "tied_scores"], None)
    assert first["mean"] == pytest.approx(0.25 * np.sqrt(2))
    assert not audit(maker.store).failed


def test_new_predictions_under_the_same_name_replace_the_old(
    maker: Any, annotations: Annotations, tmp_path: Path
) -> None:
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    for shift in (2.0, 3.0):
        run = store_external(
            scored(tmp_path / "files", annotations, maker.answers(annotations, shift)), "yolo", maker.store.root
        )
        record = run.record.model_copy(update={"created": f"2030-01-0{shift:.0f}T00:00:00+00:00"})
        maker.store.write(record, predictions=run.predictions)
    found = {row.label: row.metrics["mean"] for row in boards(maker.store)[0].rows}
    assert found["yolo"] == pytest.approx(3 * np.sqrt(2))


def test_a_name_of_ours_is_refused(maker: Any, annotations: Annotations, tmp_path: Path) -> None:
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    files = scored(tmp_path / "files", annotations, maker.answers(annotations))
    for name, message in (("net", "choose another"), ("  ", "give the row a name"), ("a\x1b[2J", "can be printed")):
        with pytest.raises(UserError, match=message):
            store_external(files, name, maker.store.root)


def test_a_name_that_looks_like_a_row_of_ours_stays_a_row_of_its_own(maker: Any, tmp_path: Path) -> None:
    annotations = maker.annotations(1000)
    for n, shift in ((10, 3.0), (100, 1.0)):
        maker.put("net", annotations, maker.answers(annotations, shift), config={"n_train": n})
    store_external(
        scored(tmp_path / "files", annotations, maker.answers(annotations, 0.25)), "net n100", maker.store.root
    )
    (board,) = boards(maker.store)
    assert [(row.label, row.rank_low) for row in board.rows] == [
        ("net n100 (external)", 1),
        ("net n100", 2),
        ("net n10", 3),
    ]
    assert words.advice(board)[0].startswith("Use net n100 (external)")


def test_an_unknown_annotations_starts_its_own_board(maker: Any, annotations: Annotations, tmp_path: Path) -> None:
    maker.put("net", annotations, maker.answers(annotations, 1.0))
    other = maker.annotations(seed=8)
    store_external(scored(tmp_path / "files", other, maker.answers(other)), "yolo", maker.store.root)
    assert [(b.task, b.data) for b in boards(maker.store)] == [("made", "dots"), ("points", "external")]


def test_a_folder_with_a_card_names_the_board(maker: Any, annotations: Annotations, tmp_path: Path) -> None:
    from benchmark.structures import LabeledImages
    from datasets.dataset import Dataset, DatasetCard
    from datasets.formats.coco_folder import write

    images = np.random.default_rng(0).integers(0, 255, (len(annotations), 28, 28)).astype(np.uint8)
    data = LabeledImages(images, replace(annotations, baseline=None))
    folder = write(tmp_path / "coco", Dataset(data, data, data, DatasetCard(task="dots", version=3, data="mine"), ""))
    write_predictions(tmp_path / "theirs.json", maker.answers(annotations, 1.0), folder.test.annotations)
    store_external(score_files(tmp_path / "theirs.json", tmp_path / "coco"), "yolo", maker.store.root)
    (board,) = boards(maker.store)
    assert (board.task, board.version, board.data, board.digest) == ("dots", 3, "mine", folder.digest)


def test_missing_files_are_named(tmp_path: Path, maker: Any, annotations: Annotations) -> None:
    theirs, points = on_disk(tmp_path, annotations, maker.answers(annotations))
    for arguments in ((theirs, tmp_path / "no.json"), (theirs, tmp_path), (tmp_path / "no.json", points)):
        with pytest.raises(UserError, match=r"no\.json|in the images|there is no file"):
            score_files(*arguments)


def test_answers_for_all_images_of_an_undivided_folder_are_scored_on_all_of_them(tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 20, k=2, size=(48, 32))
    document = json.loads((tmp_path / "photos" / "annotations.json").read_text())
    rows = [
        {"image_id": one["image_id"], "category_id": 1, "keypoints": one["keypoints"], "score": 1.0}
        for one in document["annotations"]
    ]
    (tmp_path / "every.json").write_text(json.dumps(rows))
    every = score_files(tmp_path / "every.json", tmp_path / "photos")
    assert len(every.annotations) == 20
    assert every.scores["mean"] == 0
    assert "scored on all 20" in " ".join(every.notes)
    tested = set(formats.read(tmp_path / "photos").test.annotations.image_ids.tolist())
    (tmp_path / "some.json").write_text(json.dumps([row for row in rows if row["image_id"] in tested]))
    assert len(score_files(tmp_path / "some.json", tmp_path / "photos").annotations) == len(tested) == 4
