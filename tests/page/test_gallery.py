"""The gallery in a real browser: the worst come first, points lie on their pixels, one image is enlarged by the keyboard."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_cases import DOT, GROUND, data_set, dots, off, put
from page_cases import inaccessible
from PIL import Image as Pillow

from benchmark.runs.heatmaps import Heatmaps
from benchmark.runs.store import Store
from benchmark.structures import LabeledImages
from datasets.dataset import Dataset
from leaderboard.board import boards
from leaderboard.image_choice import disputed, places_of, worst
from leaderboard.render.page.gallery_payload import galleries
from leaderboard.render.page.page import page_html

MARKUP = "<img src=x onerror=\"document.title='owned'\"></script><b>"
OpenPage = Callable[..., Any]
ZOOM, MARGIN = 6, 6  # px a pixel of 28 x 28 px, and about the image


def page_of(root: Path, store: Store, **options: Any) -> Path:
    found = boards(store)
    path = root / "page.html"
    path.write_text(page_html(found, {"gallery": galleries(found, store, **options)}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, Dataset]:
    """Two seeds of three rows, one with markup for a name, on images of a dot; one keeps heatmaps."""
    root = tmp_path_factory.mktemp("gallery")
    data, store = data_set(root / "data"), Store(root / "results")
    rng = np.random.default_rng(5)
    maps = np.zeros((20, 1, 7, 7), dtype=np.uint8)
    maps[:, 0, 0, 6] = 255
    for seed in range(2):
        put(store, data, "near", off(data, (2.0, 1.0), also={4: (9.0, 0.0)}), seed)
        seen = Heatmaps(data.test.annotations.image_ids, maps)
        put(store, data, "wide", rng.normal(0, 4, (20, 1, 2)), seed, heatmaps=seen)
        put(store, data, MARKUP, rng.normal(0, 6, (20, 1, 2)), seed, missing=(7,) if seed else ())
    return page_of(root, store), store, data


def shown(open_page: OpenPage, path: Path, *chosen: str, **options: Any) -> Any:
    """The page at its gallery, with these rows drawn; without the grid."""
    page = open_page(path, **options)
    page.locator("#gallery").scroll_into_view_if_needed()
    page.locator("#gallery figure").first.wait_for()
    if page.locator("#gallery").get_by_label("pixel grid").count():
        page.locator("#gallery").get_by_label("pixel grid").uncheck()
    if chosen:
        page.evaluate("(labels) => KB.app.select(labels)", list(chosen))
    drawn(page)
    return page


def drawn(page: Any) -> None:
    """Wait until every canvas of the gallery has its picture."""
    page.wait_for_timeout(50)
    page.wait_for_function(
        "[...document.querySelectorAll('#gallery canvas')].every((one) => one.style.aspectRatio && one.width > 20)"
    )
    page.wait_for_timeout(50)


def files(page: Any, heading: str) -> list[str]:
    """The files of a group of tiles, in order."""
    group = page.locator("#gallery h3", has_text=heading).locator("xpath=following-sibling::div[1]")
    return [text.partition(",")[0] for text in group.locator(".file").all_inner_texts()]


def pixels(page: Any, which: int = 0) -> np.ndarray:
    """(H, W, 3) of a tile's canvas."""
    url = page.locator("#gallery canvas").nth(which).evaluate("(one) => one.toDataURL('image/png')")
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def colour(page: Any, i: int) -> np.ndarray:
    """The i-th row's."""
    text = page.evaluate(
        "(i) => { const one = document.createElement('i'); one.style.color = `var(--c${i})`; document.body.append(one);"
        " const known = getComputedStyle(one).color; one.remove(); return known.match(/\\d+/g).map(Number); }",
        i,
    )
    return np.array(text[:3])


def test_a_point_lies_on_the_centre_of_its_pixel(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    path, _, data = case
    page = shown(open_page, path, "near")
    assert files(page, "Worst")[0] == data.test.annotations.file_names[4]
    tile = pixels(page)
    x, y = data.test.points[4, 0].astype(int)
    left, top = MARGIN + ZOOM * x, MARGIN + ZOOM * y
    assert (tile[top + 1 : top + ZOOM - 1, left + 1 : left + ZOOM - 1] == DOT).all()
    assert (tile[top + ZOOM * 3, left - ZOOM * 3] == GROUND).all()
    assert (tile[MARGIN : MARGIN + ZOOM, MARGIN : MARGIN + ZOOM] == GROUND).all()
    cross = np.abs(tile.astype(int) - colour(page, 0)).max(axis=2) < 40
    rows, columns = np.nonzero(cross)
    arms = columns > MARGIN + (x + 9 + 0.5) * ZOOM - 5  # without the line from the annotation
    assert arms.sum() > 8
    assert (columns[arms].min() + columns[arms].max()) / 2 + 0.5 == pytest.approx(MARGIN + (x + 9.5) * ZOOM, abs=1)
    assert (rows[arms].min() + rows[arms].max()) / 2 + 0.5 == pytest.approx(MARGIN + (y + 0.5) * ZOOM, abs=1)
    ring = (tile > 245).all(axis=2)
    ring[top - 1 : top + ZOOM + 1, left - 1 : left + ZOOM + 1] = False
    rows, columns = np.nonzero(ring)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(MARGIN + (y + 0.5) * ZOOM, abs=1)
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(MARGIN + (x + 0.5) * ZOOM, abs=1)


def test_what_is_shown_is_what_python_chooses(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    path, store, data = case
    (board,) = boards(store)
    page = shown(open_page, path, "wide")
    annotations = data.test.annotations
    wide, odd = board.row("wide"), board.row(MARKUP)
    assert wide is not None
    assert odd is not None
    expected = worst(annotations, wide.errors.mean(axis=0), 12)
    assert files(page, "Worst") == [annotations.file_names[i] for i in expected]
    page.evaluate("(labels) => KB.app.select(labels)", ["wide", MARKUP])
    drawn(page)
    first = files(page, "Worst")
    assert first[0] == annotations.file_names[7]  # no answer with one of the seeds
    assert "no answer with 1 of 2 seeds" in page.locator("#gallery figcaption").first.inner_text()
    places = np.stack([places_of(annotations, run.predictions) for row in (wide, odd) for run in row.runs])
    others = [annotations.file_names[i] for i in disputed(places, 20)]
    assert files(page, "Most disputed") == [name for name in others if name not in first]
    assert len(files(page, "At random")) == 12


def test_classes_seeds_and_rows_follow_the_page(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    path, _, data = case
    page = shown(open_page, path)
    annotations = data.test.annotations
    assert annotations.labels is not None
    page.evaluate("KB.app.set({ classes: new Set(['1']) })")
    page.locator("#gallery .file", has_text="class 0").first.wait_for(state="detached")
    ones = {annotations.file_names[i] for i in np.flatnonzero(annotations.labels == 1)}
    assert set(files(page, "Worst")) == ones
    page.evaluate("KB.app.reset()")
    page.locator("#gallery details.rows summary").click()
    page.locator("#gallery .choices").get_by_label("wide", exact=True).uncheck()
    page.locator("#gallery .choices").get_by_label(MARKUP, exact=True).uncheck()
    assert page.evaluate("KB.app.state.chosen") == ["near"]
    # all 20 images are further off than 1 px
    assert page.locator("#gallery .legend li").all_inner_texts() == ["annotation", "near\n20"]
    assert page.locator("#gallery .error").first.inner_text() == "9.00 px"
    page.locator("#gallery").get_by_label("Answers of").select_option("seed 1")
    page.locator("#gallery").get_by_label("Images each").focus()
    page.locator("#gallery").get_by_label("Images each").select_option("6")
    assert len(files(page, "Worst")) == 6
    assert page.evaluate("document.activeElement.name") == "gallery-count"


def test_one_image_is_enlarged_by_the_keyboard(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    path, _, data = case
    page = shown(open_page, path, "near")
    button = page.locator("#gallery .enlarge").first
    x, y = data.test.points[4, 0]
    name = data.test.annotations.file_names[4]
    assert button.get_attribute("aria-label").startswith(
        f"Enlarge {name}, class 0. Annotated topleft at ({x:.2f}, {y:.2f})."
    )
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name=name).wait_for()
    assert inaccessible(page) == []
    lines = [line.split("\t") for line in dialog.locator("tbody tr").all_inner_texts()]
    assert lines[0] == ["annotation", "", "", f"({x:.2f}, {y:.2f})"]
    assert sorted(line[0] for line in lines[1:]) == sorted(2 * [MARKUP, "near", "wide"])  # all rows, drawn or not
    assert ["near", "0", "9.00 px", f"({x + 9:.2f}, {y:.2f})"] in lines
    assert dialog.get_by_role("img").get_attribute("aria-label").startswith(name)
    page.keyboard.press("ArrowRight")
    assert not dialog.get_by_role("heading", name=name).count()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert button.evaluate("(one) => one === document.activeElement")
    assert page.title() != "owned"
    assert page.locator("main img").count() == 0


def test_a_heatmap_lies_over_its_image(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    page = shown(open_page, case[0], "near")
    before = pixels(page, len(files(page, "Worst"))).astype(int)  # the first at random; one row disputes nothing
    page.locator("#gallery").get_by_label("Heatmap").select_option("wide")
    page.get_by_text("with the heatmaps of wide, seed 0").wait_for()
    drawn(page)
    moved = np.abs(pixels(page).astype(int) - before).max(axis=2) > 30
    rows, columns = np.nonzero(moved)
    side = 28 * ZOOM / 7  # one of 7 x 7 cells, at the top right
    assert moved.sum() > 0.9 * side**2
    assert (rows.min(), rows.max() + 1) == pytest.approx((MARGIN, MARGIN + side), abs=1)
    assert (columns.min(), columns.max() + 1) == pytest.approx((MARGIN + 6 * side, MARGIN + 7 * side), abs=1)


def test_the_worst_of_a_row_stand_in_its_details(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    path, _, data = case
    page = open_page(path)
    page.get_by_role("button", name="near", exact=True).click()
    tiles = page.locator("tr.details figure")
    tiles.first.wait_for()
    assert tiles.count() == 6
    assert tiles.first.locator(".file").inner_text().startswith(data.test.annotations.file_names[4])


def test_images_that_are_not_carried_and_pages_without(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    _, store, _ = case
    path = page_of(store.root, store, budget=0)
    page = shown(open_page, path, "near")
    assert page.locator("#gallery figcaption", has_text="picture not in this page").count() > 10
    assert (pixels(page)[MARGIN, MARGIN] == 128).all()
    path.write_text(page_html(boards(store)), encoding="utf-8")
    page = open_page(path)
    page.locator("#gallery").scroll_into_view_if_needed()
    page.get_by_text("This page was made without images.").wait_for()
    page.get_by_role("button", name="near", exact=True).click()
    page.get_by_role("heading", name="Parameters").wait_for()
    assert not page.get_by_role("heading", name="Images", exact=True).count()


def test_photographs_with_several_instances_on_a_telephone(open_page: OpenPage, tmp_path: Path) -> None:
    photographs = dots(4, 3, (200, 300))
    several = replace(photographs.annotations, index=np.array([0, 0, 1, 2]), labels=None)
    data, store = data_set(tmp_path / "data", LabeledImages(photographs.images, several)), Store(tmp_path / "results")
    annotations = data.test.annotations
    put(store, data, "near", np.array([3.0, 0.0]))
    page = shown(open_page, page_of(tmp_path, store), viewport={"width": 390, "height": 844}, device_scale_factor=2)
    assert page.locator("#gallery").evaluate("one => one.scrollWidth <= one.clientWidth")
    first = files(page, "Worst").index(annotations.file_names[0])
    tile = pixels(page, first).astype(int)
    scale = 2 * 168 / 300
    for x, y in annotations.keypoints[:2, 0]:  # a ring about each instance
        near = tile[int(2 * MARGIN + (y + 0.5) * scale) - 16 :, int(2 * MARGIN + (x + 0.5) * scale) - 16 :][:32, :32]
        assert (near > 230).all(axis=2).sum() > 20
    page.locator("#gallery .enlarge").nth(first).click()
    dialog = page.get_by_role("dialog")
    assert "1 topleft" in dialog.inner_text()
    assert "2 topleft" in dialog.inner_text()
    assert dialog.evaluate(
        "one => one.getBoundingClientRect().right <= innerWidth && one.scrollWidth <= one.clientWidth"
    )
    page.keyboard.press("Escape")
    page.emulate_media(media="print")
    assert page.locator("#gallery canvas").first.is_visible()
    assert not page.locator("#gallery").get_by_label("Images each").is_visible()


def test_its_link_leads_to_it_whatever_is_filled_above(open_page: OpenPage, case: tuple[Path, Store, Dataset]) -> None:
    page = open_page(case[0])
    page.get_by_role("link", name="Gallery").click()
    page.locator("#gallery figure").first.wait_for()
    page.wait_for_timeout(1500)  # plots are drawn meanwhile
    assert -1 <= page.locator("#gallery").evaluate("one => one.getBoundingClientRect().top") <= 120
