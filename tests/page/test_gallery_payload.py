"""The images that ride along: which, to the bit, within a budget, and what is said where there are none."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_cases import data_set, dots, off, put
from PIL import Image as Pillow

from benchmark.cli.pages import page
from benchmark.runs.bundle import open_results, write_bundles
from benchmark.runs.heatmaps import Heatmaps
from benchmark.runs.store import Store
from benchmark.structures import Image, LabeledImages, UserError
from datasets.dataset import Dataset
from leaderboard.board import boards
from leaderboard.image_choice import at_random
from leaderboard.render.page import gallery_payload
from leaderboard.render.page.gallery_payload import galleries


def made(root: Path, test: LabeledImages | None = None, **facts: str) -> tuple[Store, Dataset]:
    data = data_set(root / "data", test)
    store = Store(root / "results")
    for name, by in (("near", (1.0, 0.0)), ("far", (0.0, 3.0))):
        put(store, data, name, off(data, by, also={4: (7.0, 0.0)}))
    return store, data


def cells(gallery: dict[str, Any], own: list[dict[str, Any]]) -> dict[int, Image]:
    """Position -> the pixels of its cell."""
    found = {}
    for sheet in own:
        content = base64.b64decode(gallery["sheets"][sheet["name"]].partition(",")[2])
        pixels = np.asarray(Pillow.open(io.BytesIO(content)))
        for i, position in enumerate(sheet["images"]):
            top, left = i // sheet["columns"] * sheet["height"], i % sheet["columns"] * sheet["width"]
            found[position] = pixels[top : top + sheet["height"], left : left + sheet["width"]]
    return found


def test_small_images_are_kept_to_the_bit_and_once(tmp_path: Path) -> None:
    store, data = made(tmp_path)
    found = boards(store)
    gallery = galleries([*found, *found], store)
    assert len(gallery["sheets"]) == 1  # two boards of one data set share it
    own = gallery["boards"][0]
    pixels = cells(gallery, own["sheets"])
    assert sorted(pixels) == list(range(20))
    for position, image in pixels.items():
        assert np.array_equal(image[..., 0], data.test.images[position])
        assert np.array_equal(image[..., 0], image[..., 2])
    assert own["sizes"] == [[28, 28]]
    assert own["random"] == at_random(20, 12).tolist()
    assert json.dumps(gallery) == json.dumps(galleries([*found, *found], store))


def test_a_small_budget_takes_the_worst_and_some_at_random(tmp_path: Path) -> None:
    store, _ = made(tmp_path, dots(400, 3))
    budget = 4_000
    gallery = galleries(boards(store), store, budget=budget)
    (own,) = gallery["boards"]
    carried = [i for sheet in own["sheets"] for i in sheet["images"]]
    assert 4 in carried
    assert own["random"][0] in carried
    assert len(carried) < 400
    assert sum(map(len, gallery["sheets"].values())) <= budget
    assert set(own["files"]) == set(carried)


def test_of_photographs_previews_are_kept_for_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_payload, "EACH", 1)
    monkeypatch.setattr(gallery_payload, "RANDOM", 2)
    store, data = made(tmp_path, dots(12, 3, (300, 800)))
    gallery = galleries(boards(store), store)
    (own,) = gallery["boards"]
    assert all((s["width"], s["height"], s["columns"], s["scale"]) == (384, 144, 1, 0.48) for s in own["sheets"])
    pixels = cells(gallery, own["sheets"])
    assert 4 in pixels
    assert set(own["random"]) < set(pixels)
    assert len(pixels) < 12
    x, y = data.test.points[4, 0]
    light = pixels[4][..., 0].astype(float) - 40
    at = np.unravel_index(light.argmax(), light.shape)
    assert at == (int((y + 0.5) * 0.48), int((x + 0.5) * 0.48))


def test_heatmaps_ride_along_where_a_run_keeps_some(tmp_path: Path) -> None:
    store, data = made(tmp_path)
    maps = np.zeros((2, 1, 7, 7), dtype=np.uint8)
    maps[0, 0, 2, 3], maps[1, 0, 5, 6] = 255, 200
    put(store, data, "seen", off(data, (0.5, 0.0)), heatmaps=Heatmaps(data.test.annotations.image_ids[[3, 8]], maps))
    gallery = galleries(boards(store), store)
    (own,) = gallery["boards"]
    assert list(own["heatmaps"]) == ["seen"]
    pixels = cells(gallery, own["heatmaps"]["seen"]["sheets"])
    assert np.array_equal(pixels[3][..., 0], maps[0, 0])
    assert np.array_equal(pixels[8][..., 0], maps[1, 0])


def test_the_answers_of_another_tool_take_no_images_away(tmp_path: Path) -> None:
    """They lead the board, and say nothing of where its data lies."""
    store, data = made(tmp_path)
    put(store, data, "elsewhere", 0.0, facts={}, external=True)
    (board,) = boards(store)
    assert board.rows[0].label == "elsewhere"
    assert galleries([board], store)["boards"][0]["sheets"]


def test_where_images_cannot_be_had_it_says_why_and_names_no_place(tmp_path: Path) -> None:
    store, _ = made(tmp_path)
    (path,) = write_bundles(store, tmp_path / "bundles")
    bundle = open_results(path)
    (own,) = galleries(boards(bundle), bundle)["boards"]
    assert own == {"why": "This board has no images here: its runs do not say where their data lies."}
    given = galleries(boards(bundle), bundle, data=str(tmp_path / "data"))["boards"]
    assert given[0]["sheets"]
    (tmp_path / "other").mkdir()
    shutil.move(tmp_path / "data", tmp_path / "moved")
    (own,) = galleries(boards(store), store)["boards"]
    assert own == {"why": "This board has no images here: the data of its runs cannot be read where it was."}
    data_set(tmp_path / "data", dots(20, 9))
    (own,) = galleries(boards(store), store)["boards"]
    assert own == {"why": "This board has no images here: the data is not what it was when the runs were made."}
    assert galleries(boards(store), store, data=str(tmp_path / "moved"))["boards"][0]["sheets"]
    assert galleries([], store) == {"boards": [], "sheets": {}}


def test_the_command_says_why_there_are_no_images_and_may_leave_them_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, _ = made(tmp_path)
    out = tmp_path / "page.html"
    page(out=out, results=store.root)
    whole = out.read_text(encoding="utf-8")
    assert "data:image/webp;base64," in whole
    page(out=out, results=store.root, gallery=False)
    assert "data:image/webp;base64," not in out.read_text(encoding="utf-8")
    (tmp_path / "far").mkdir()
    shutil.move(store.root, tmp_path / "far" / "results")  # its data does not lie beside it there
    capsys.readouterr()
    page(out=out, results=tmp_path / "far" / "results")
    assert "dots@1 on dots: This board has no images here" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match="--images nowhere: there is no such"):
        page(out=out, results=tmp_path / "far" / "results", images="nowhere")
