"""The test images that ride along on the page: those where rows fail and disagree, and some at random, within a budget.

Results hold no images, so these come from the data set (`leaderboard.run_data`); where it is not at hand the page says why
and has no gallery. Small images are kept to the bit, side by side on sheets of lossless WebP; of a photograph a preview
is kept, and by how much it is smaller. Points stay in pixels of the image itself: a preview covers the same rectangle.

Images that several boards share (a task has one canvas for all its targets) are kept once. Where all images of a board fit,
the gallery shows the worst under any setting of the page; where not, it leaves those out that are not carried, and says so.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.oks import BoolArray
from benchmark.runs.heatmaps import IMAGES
from benchmark.runs.store import Results, StoredRun
from benchmark.structures import Image, IntArray, UserError
from leaderboard.board import Board
from leaderboard.image_choice import at_random, disputed, places_of, worst
from leaderboard.render.page.payload import scored_against
from leaderboard.rows import BoardRow
from leaderboard.run_data import DataMissing, images_of

BUDGET = 1_500_000
"""Characters of base64 that all images of a page may take."""

RANDOM = IMAGES  # drawn at random: those whose heatmaps are kept
EACH = 12  # of the worst of a row, and of the most disputed
TOP = 4  # rows whose images come first: those that the page shows first
LOSSLESS = 96  # px, the longer side of an image that is kept to the bit
PREVIEW = 384  # px, the longer side of a preview
QUALITY = 78  # of a preview, as WebP counts
SHEET = 1024  # px, the side of a sheet at most
HEATMAP_SHARE = 4  # heatmaps take at most so great a part of a board's budget


def galleries(
    boards: Sequence[Board], results: Results, *, data: str | None = None, budget: int = BUDGET
) -> dict[str, Any]:
    """What the browser needs to show test images of boards.

    Args:
        boards: The boards of the page.
        results: What their runs are kept in.
        data: Where the data is, where it is neither a preset nor where the runs left it.
        budget: Characters of base64 that all images may take.

    Returns:
        JSON-able: ``sheets`` (name -> data URL) and ``boards``, one object a board: ``why`` there are no images, in a
        sentence, or

            sheets    where the carried images are, each {name, width, height, columns, scale, images}: cells of width x
                      height px, so many in a row, hold the images at these positions; scale is px of a cell a px of the
                      image, 1 where it is kept to the bit
            ids       position -> image id of the carried ones, where it is not the position + 1
            files     position -> file name of the carried ones
            sizes     [width, height] px of every image, or a single one that all have
            random    positions of those drawn at random
            heatmaps  label -> {seed, sheets}: the largest of all keypoints' maps, each over all of its image
    """
    sheets: dict[str, str] = {}
    share = budget // max(1, len(boards))
    return {"boards": [_gallery(board, results, data, share, sheets) for board in boards], "sheets": sheets}


def _gallery(board: Board, results: Results, data: str | None, budget: int, sheets: dict[str, str]) -> dict[str, Any]:
    annotations, digest = scored_against(board)
    if annotations is None:
        return {"why": "No row has finished, so there is no image to show."}
    rows = [row for row in board.finished if row.annotation_digests == (digest,)]
    made_here = [row for row in rows if not row.record.external]  # another tool's answers do not say where images lie
    first = (made_here or rows)[0].runs[0]
    try:
        images = _images(first, results, data)
        if len(images) != len(annotations):
            raise DataMissing("", "the data has another number of test images than its runs")
        heatmaps = _heatmaps(rows, budget // HEATMAP_SHARE, sheets)
        large = annotations.sizes.max(axis=1) > LOSSLESS
        wanted = _wanted(rows)
        rest = [i for i in range(len(annotations)) if not large[i]]
        own = _carried(images, large, list(dict.fromkeys([*wanted, *rest])), budget, sheets)
    except UserError as error:
        # without the message, which names places of this machine: a page is a function of what is stored
        why = error.why if isinstance(error, DataMissing) else "the data of its runs cannot be read where it was"
        return {"why": f"This board has no images here: {why}."}
    sizes = annotations.sizes.tolist()
    carried = sorted(i for sheet in own for i in sheet["images"])
    return {
        "sheets": own,
        "ids": {i: int(annotations.image_ids[i]) for i in carried if annotations.image_ids[i] != i + 1},
        "files": {i: annotations.file_names[i] for i in carried},
        "sizes": sizes[:1] if sizes and sizes.count(sizes[0]) == len(sizes) else sizes,
        "random": at_random(len(annotations), RANDOM).tolist(),
        "heatmaps": heatmaps,
    }


def _images(run: StoredRun, results: Results, data: str | None) -> Sequence[Image]:
    """The test images of a run: where its record says, or where that leads nowhere, where the user says."""
    try:
        return images_of(run, results)
    except UserError:
        if data is None:
            raise
        return images_of(run, results, data)


def _wanted(rows: Sequence[BoardRow]) -> list[int]:
    """Positions of the images that there is a reason to show, in the order in which they are worth their bytes."""
    annotations = rows[0].runs[0].annotations
    count = len(annotations)
    errors = {row.label: np.mean([table.distances for table in row.scores], axis=0) for row in rows}
    ranked = [row for row in rows if row.record.ranked]
    leaders, others = ranked[:TOP], [row for row in rows if row not in ranked[:TOP]]
    lists: list[Sequence[int]] = [at_random(count, RANDOM).tolist()]
    if leaders:
        lists.append(worst(annotations, np.mean([errors[row.label] for row in leaders], axis=0), EACH).tolist())
    # twice as many, for the gallery shows those that are not among the worst
    lists += [_most_disputed(some, 2 * EACH).tolist() for some in (leaders, ranked)]
    lists += [worst(annotations, errors[row.label], EACH).tolist() for row in leaders]
    rest = [worst(annotations, errors[row.label], EACH).tolist() for row in others]
    ordered = [i for some in zip_longest(*lists) for i in some] + [i for some in zip_longest(*rest) for i in some]
    return list(dict.fromkeys(int(i) for i in ordered if i is not None))


def _most_disputed(rows: Sequence[BoardRow], count: int) -> IntArray:
    """See `leaderboard.image_choice.disputed`; of images with several instances it is the errors that are compared."""
    if len(rows) < 2:
        return np.zeros(0, dtype=np.int64)
    annotations = rows[0].runs[0].annotations
    if not annotations.single_instance:
        return disputed(np.stack([table.distances[:, None] for row in rows for table in row.scores]), count)
    return disputed(np.stack([places_of(annotations, run.predictions) for row in rows for run in row.runs]), count)


def _carried(
    images: Sequence[Image], large: BoolArray, wanted: Sequence[int], budget: int, sheets: dict[str, str]
) -> list[dict[str, Any]]:
    """Sheets of as many of the wanted images as the budget holds.

    Photographs are carried for a reason alone; small images as far as there is room, so that the reader's own choice of
    rows and classes finds the images it asks for.
    """
    small: dict[int, Image] = {}
    previews: list[dict[str, Any]] = []
    spent = 0
    for i in wanted:
        image = np.asarray(images[i])
        if not large[i]:
            cost = _characters(len(zlib.compress(np.ascontiguousarray(image).tobytes())))  # WebP takes a little less
            if spent + cost > budget:
                break
            small[i] = image
        else:
            content, size, scale = _preview(image)
            cost = _characters(len(content))
            if spent + cost > budget:
                break
            previews.append(_sheet(content, size, 1, scale, [i], sheets))
        spent += cost
    return [*_on_sheets(dict(sorted(small.items())), sheets), *previews]


def _preview(image: Image) -> tuple[bytes, tuple[int, int], float]:
    """A smaller picture of a photograph: WebP, its size (width, height), and its scale."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(np.ascontiguousarray(image))
    longest = max(picture.size)
    scale = min(1.0, PREVIEW / longest)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    content = io.BytesIO()
    picture.convert("RGB").resize(size, Pillow.Resampling.BOX if scale < 1 else Pillow.Resampling.NEAREST).save(
        content, format="WEBP", quality=QUALITY, method=4
    )
    return content.getvalue(), size, scale


def _on_sheets(images: Mapping[int, NDArray[np.uint8]], sheets: dict[str, str]) -> list[dict[str, Any]]:
    """Images by position, side by side and to the bit; those of one shape (H, W) or (H, W, 3) share sheets."""
    from PIL import Image as Pillow

    made = []
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for position, image in images.items():
        by_shape.setdefault(image.shape, []).append(position)
    for shape, members in by_shape.items():
        height, width = shape[:2]
        columns, rows = max(1, SHEET // width), max(1, SHEET // height)
        for start in range(0, len(members), columns * rows):
            some = members[start : start + columns * rows]
            across = min(columns, len(some))
            sheet = np.zeros((-(-len(some) // across) * height, across * width, *shape[2:]), dtype=np.uint8)
            for cell, position in enumerate(some):
                top, left = cell // across * height, cell % across * width
                sheet[top : top + height, left : left + width] = images[position]
            content = io.BytesIO()
            Pillow.fromarray(sheet).save(content, format="WEBP", lossless=True, quality=80, method=4, exact=True)
            made.append(_sheet(content.getvalue(), (width, height), across, 1.0, some, sheets))
    return made


def _heatmaps(rows: Sequence[BoardRow], budget: int, sheets: dict[str, str]) -> dict[str, Any]:
    """The heatmaps of each row that keeps some: its first seed's, the largest of all keypoints' in each place."""
    shown: dict[str, Any] = {}
    spent = 0
    for row in rows:
        run = next((run for run in row.runs if run.record.digests), None)
        try:
            kept = run.heatmaps if run is not None else None
        except UserError:  # damaged: a row is shown without them
            kept = None
        if run is None or kept is None:
            continue
        at = {int(i): position for position, i in enumerate(run.annotations.image_ids.tolist())}
        known = [i for i, image in enumerate(kept.image_ids.tolist()) if image in at]
        maps = {at[int(kept.image_ids[i])]: np.ascontiguousarray(kept.maps[i].max(axis=0)) for i in known}
        spent += _characters(len(zlib.compress(b"".join(one.tobytes() for one in maps.values()))))
        if not maps or spent > budget:
            continue
        shown[row.label] = {"seed": run.record.seed, "sheets": _on_sheets(maps, sheets)}
    return shown


def _sheet(
    content: bytes, cell: tuple[int, int], columns: int, scale: float, images: Sequence[int], sheets: dict[str, str]
) -> dict[str, Any]:
    """A sheet as a board names it; its WebP is kept once, under a name made of its content."""
    name = hashlib.sha256(content).hexdigest()[:12]
    sheets[name] = "data:image/webp;base64," + base64.b64encode(content).decode("ascii")
    width, height = cell
    scale = round(scale, 6)
    return {"name": name, "width": width, "height": height, "columns": columns, "scale": scale, "images": list(images)}


def _characters(size: int) -> int:
    """Of base64, of so many bytes."""
    return -(-size // 3) * 4
