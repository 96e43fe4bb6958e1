"""Answers written for other tools are read back, by our readers and by pandas, to the very same numbers."""

from __future__ import annotations

import csv
import lzma
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from benchmark.structures import Annotations, Category, Predictions, UserError
from datasets.formats import deeplabcut, prediction_files, sleap
from datasets.formats.answers import Answers
from datasets.formats.pandas_hdf5 import read_pandas
from datasets.formats.pandas_hdf5_write import table_bytes
from datasets.formats.reading import ReadOptions
from datasets.images import write_png

NAMES = ("nose, left", "paw=é", "tail")
TABLES = Path(__file__).parent / "pandas_tables"


def blank(sizes: list[tuple[int, int]], names: list[str]) -> Annotations:
    k = len(NAMES)
    return Annotations(
        image_ids=np.arange(1, len(sizes) + 1),
        file_names=tuple(names),
        sizes=np.array(sizes),
        index=np.zeros(0, dtype=np.int64),
        keypoints=np.zeros((0, k, 2)),
        visible=np.zeros((0, k), dtype=np.int64),
        boxes=np.zeros((0, 4)),
        areas=np.zeros(0),
        crowd=np.zeros(0, dtype=bool),
        category_ids=np.zeros(0, dtype=np.int64),
        keypoint_names=NAMES,
        sigmas=np.full(k, 0.05),
        categories=(Category(1, "mouse"), Category(7, "rat")),
        skeleton=((0, 1), (1, 2)),
    )


def predictions(owners: list[int], seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    n = len(owners)
    points = random.uniform(-3, 40, (n, len(NAMES), 2))
    return Predictions(np.array(owners), points, random.permutation(n) / 7, np.array([1, 7] * n)[:n])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four images of two sizes."""
    for i, (width, height) in enumerate([(40, 30), (32, 30), (40, 30), (40, 30)]):
        (tmp_path / "photos").mkdir(exist_ok=True)
        write_png(tmp_path / "photos" / f"{'dcba'[i]}.png", np.full((height, width, 3), i, dtype=np.uint8))
    return tmp_path / "photos"


def answers_on(photos: Path, owners: list[int]) -> Answers:
    sizes = [(40, 30), (40, 30), (32, 30), (40, 30)]
    return Answers(blank(sizes, ["a.png", "b.png", "c.png", "d.png"]), predictions(owners), photos)


def of_image(answers: Answers, i: int) -> np.ndarray:
    """(M, K, 2) what is answered for image i, the best scored first."""
    own = answers.predictions.image_ids == i + 1
    order = np.argsort(-answers.predictions.scores[own], kind="stable")
    return answers.predictions.keypoints[own][order]


ONE, SEVERAL = [1, 2, 3, 4], [1, 1, 2, 4, 4, 4]  # the image of each answer; in the second, image 3 has none


@pytest.mark.parametrize("owners", [ONE, SEVERAL])
@pytest.mark.parametrize("file", ["table.csv", "table.h5", "answers.slp"])
def test_our_reader_gives_the_same_numbers(photos: Path, file: str, owners: list[int]) -> None:
    answers = answers_on(photos, owners)
    out = photos.parent / file
    form = "dlc" if file.startswith("table") else "slp"
    prediction_files.write(out, answers, form)
    read = (deeplabcut if form == "dlc" else sleap).read
    ((_, found),) = read(out, ReadOptions()).splits.values()
    assert found.keypoint_names == NAMES
    places = {Path(name).stem: i for i, name in enumerate(found.file_names)}
    for i, stem in enumerate("abcd"):
        wanted = of_image(answers, i)
        if len(wanted) or form == "dlc":
            own = found.index == places[stem]
            assert np.array_equal(found.keypoints[own], wanted)
            assert tuple(found.sizes[places[stem]]) == tuple(answers.annotations.sizes[i])
    assert len(found.keypoints) == len(owners)


def test_sleap_keeps_scores_categories_and_skeletons(photos: Path) -> None:
    answers = answers_on(photos, SEVERAL)
    prediction_files.write(photos.parent / "a.slp", answers, "slp")
    with h5py.File(photos.parent / "a.slp") as file:
        scores = file["instances"]["score"]
        assert set(file["instances"]["instance_type"]) == {1}
        assert np.allclose(np.sort(scores), np.sort(answers.predictions.scores))
        assert np.array_equal(np.sort(file["pred_points"]["score"]), np.sort(np.repeat(answers.predictions.scores, 3)))
    ((_, found),) = sleap.read(photos.parent / "a.slp", ReadOptions()).splits.values()
    titles = {category.id: category.name for category in found.categories}
    theirs = {tuple(points.ravel()): titles[i] for points, i in zip(found.keypoints, found.category_ids.tolist())}
    kinds = answers.predictions.category_ids.tolist()
    points = answers.predictions.keypoints
    assert theirs == {tuple(own.ravel()): "mouse" if kind == 1 else "rat" for own, kind in zip(points, kinds)}
    assert found.skeleton == answers.annotations.skeleton


@pytest.mark.parametrize("owners", [ONE, SEVERAL])
@pytest.mark.parametrize("video", [False, True])
def test_a_csv_holds_every_number(photos: Path, owners: list[int], video: bool) -> None:
    known = answers_on(photos, owners)
    answers = Answers(known.annotations, known.predictions, known.source, video)
    prediction_files.write(photos.parent / "a.csv", answers, "csv")
    with (photos.parent / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(owners) * len(NAMES)
    for i, name in enumerate(answers.annotations.file_names):
        own = [row for row in rows if (row["frame"] == str(i) if video else row["image"] == name)]
        points = np.array([(float(row["x"]), float(row["y"])) for row in own]).reshape(-1, len(NAMES), 2)
        assert np.array_equal(points, of_image(answers, i))
        assert [row["keypoint"] for row in own] == list(NAMES) * len(points)
    assert {row["category"] for row in rows} == {"mouse", "rat"}


@pytest.mark.parametrize("owners", [ONE, SEVERAL])
def test_pandas_reads_the_table_of_a_video(photos: Path, owners: list[int]) -> None:
    known = answers_on(photos, owners)
    answers = Answers(known.annotations, known.predictions, photos / "clip.mp4", video=True)
    lost = prediction_files.write(photos / "a.csv", answers, "dlc")
    assert lost == ("2 categories",)
    depth = 3 if owners == ONE else 4
    table = pd.read_csv(photos / "a.csv", header=list(range(depth)), index_col=0)
    assert list(table.columns.names)[0 :: depth - 1] == ["scorer", "coords"]
    assert list(table.index) == [0, 1, 2, 3]
    for i in range(4):
        values = table.iloc[i].to_numpy().reshape(-1, len(NAMES), 3)
        points = of_image(answers, i)
        assert np.allclose(values[: len(points), :, :2], points, rtol=1e-14, atol=0)
        assert np.isnan(values[len(points) :]).all()
    prediction_files.write(photos / "a.h5", answers, "dlc")
    stored = read_pandas(photos / "a.h5")
    assert np.allclose(stored.values, table.to_numpy(), rtol=1e-14, atol=0, equal_nan=True)
    assert stored.columns == [tuple(label) for label in table.columns]
    assert stored.rows == [("0",), ("1",), ("2",), ("3",)]


@pytest.mark.parametrize("name", ["three_fixed", "multi_fixed"])
def test_hdf5_is_laid_out_as_pandas_lays_it_out(tmp_path: Path, name: str) -> None:
    """A table that pandas wrote, written again: columns and values are the same nodes with the same attributes."""
    theirs = tmp_path / "theirs.h5"
    theirs.write_bytes(lzma.decompress((TABLES / f"{name}.h5.xz").read_bytes()))
    known = read_pandas(theirs)
    levels = ["scorer", "individuals", "bodyparts", "coords"]
    levels = levels if len(known.columns[0]) == 4 else [levels[0], *levels[2:]]
    rows = ["/".join(row) for row in known.rows]
    (tmp_path / "ours.h5").write_bytes(
        table_bytes(tmp_path / "ours.h5", "df_with_missing", rows, levels, known.columns, known.values)
    )
    with h5py.File(theirs) as one, h5py.File(tmp_path / "ours.h5") as other:
        assert said(one) == said(other)
        for key, node in one["df_with_missing"].items():
            if not key.startswith("axis1"):
                twin = other["df_with_missing"][key]
                assert np.array_equal(node[()], twin[()], equal_nan=key == "block0_values"), key
                assert said(node) == said(twin), key
        group = {k: v for k, v in said(one["df_with_missing"]).items() if not k.startswith("axis1")}
        assert group == {k: v for k, v in said(other["df_with_missing"]).items() if not k.startswith("axis1")}


def said(node: h5py.HLObject) -> dict[str, tuple[str, ...]]:
    """The attributes with their types: PyTables reads a text of ASCII as something else than one of UTF-8."""
    found = {}
    for key, value in node.attrs.items():
        kind = h5py.h5a.open(node.id, key.encode()).get_type()
        text = isinstance(kind, h5py.h5t.TypeStringID)
        details = (kind.get_cset(), kind.get_strpad(), kind.get_size()) if text else (kind.get_size(),)
        found[key] = (repr(value), type(kind).__name__, str(details))
    return found


def test_every_name_says_one_form() -> None:
    forms = {"a": "coco", "a.json": "coco", "a.CSV": "csv", "a.h5": "dlc", "a.slp": "slp"}
    assert {name: prediction_files.form_of(Path(name)) for name in forms} == forms
    assert prediction_files.form_of(Path("a.csv"), "dlc") == "dlc"
    assert prediction_files.form_of(Path("a"), "slp") == "slp"
    for name, form, words in (
        ("a.parquet", "", "says no format"),
        ("a.csv", "csw", "did you mean 'csv'"),
        ("a.csv", "slp", "ends in .slp"),
        ("a.json", "dlc", "ends in .csv or .h5"),
        ("a", "dlc", "ends in .csv or .h5"),
        ("a.csv", "coco", "ends in .json"),
    ):
        with pytest.raises(UserError, match=words):
            prediction_files.form_of(Path(name), form)


def test_an_answer_about_no_image_is_refused(photos: Path) -> None:
    answers = answers_on(photos, [1, 9])
    with pytest.raises(UserError, match="not written: prediction 1"):
        prediction_files.write(photos.parent / "a.slp", answers, "slp")
    assert not (photos.parent / "a.slp").exists()
