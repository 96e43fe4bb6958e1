"""A contact sheet: the worst and some random test images, enlarged, with what is annotated and predicted.

A pixel of an image is a square of the sheet, so that its centre, where an integer coordinate lies, can be seen. An
annotated point is a ring, a predicted one a cross, in two colours of Okabe and Ito's palette that every kind of colour
vision tells apart, each with a dark rim that shows on light and dark ground alike.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.files import write_bytes
from benchmark.metrics import Scores, score
from benchmark.structures import Annotations, FloatArray, Image, IntArray, Predictions
from leaderboard import image_choice

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

ANNOTATION = (86, 180, 233)  # sky blue
PREDICTION = (230, 159, 0)  # orange
RIM = (0, 0, 0)
PAPER = (255, 255, 255)
INK = (30, 30, 30)
FAINT = (120, 120, 120)
GRID = (70, 70, 70)

TILE = 196  # px, the longer side of an image on the sheet
CAPTION = 34
GAP = 14
MARGIN = 20
COLUMNS = 6
FINE = 2  # drawn this many times larger, then averaged: smooth lines over square pixels
GRID_FROM = 5  # an image pixel this large gets a grid
NUMBERED = range(2, 7)  # keypoints are numbered where there are this many
CROWDED = 4  # more points than these in an image are drawn smaller


def contact_sheet(
    images: Sequence[Image],
    annotations: Annotations,
    predictions: Predictions,
    path: Path,
    *,
    title: str,
    worst: int = 12,
    random: int = 12,
) -> None:
    """Write a PNG of the worst images by mean error, then of others drawn at random.

    Args:
        images: N, in the order of the annotations.
        annotations: What is known of them.
        predictions: What was predicted for them.
        path: The file; folders above it are made.
        title: Stands above.
        worst: How many of the worst; an image where nothing was found is among them.
        random: How many others, the same ones for every detector.

    Raises:
        UserError: Where the file cannot be written.
    """
    scores = score(annotations, predictions)
    bad, others = choose(annotations, scores, worst, random)
    canvas = _Canvas(title, _summary(scores), annotations.keypoint_names, COLUMNS)
    for heading, chosen in (("worst", bad), ("at random", others)):
        if len(chosen):
            canvas.section(f"{len(chosen)} {heading}")
            for i in chosen.tolist():
                canvas.tile(images[i], annotations, predictions, i, _captions(annotations, predictions, scores, i))
    content = io.BytesIO()
    canvas.finish().save(content, format="PNG", optimize=True)
    write_bytes(path, content.getvalue())


def choose(annotations: Annotations, scores: Scores, worst: int, random: int) -> tuple[IntArray, IntArray]:
    """Positions of the worst images, the worst first, and of others, the same for every detector.

    Images in which no instance was matched come before all others; images without an instance are never the worst.

    Args:
        annotations: What is known of N images.
        scores: Their table.
        worst: How many of the worst.
        random: How many others.
    """
    bad = image_choice.worst(annotations, scores.distances, worst)
    return bad, image_choice.at_random(len(annotations), random, bad)


@dataclass(frozen=True)
class _Spot:
    """Where an image lies on the fine canvas: its top-left corner and the size of its pixels."""

    left: float
    top: float
    zoom: float

    def of(self, point: FloatArray) -> tuple[float, float]:
        """Canvas coordinates of an image point: the centre of pixel (0, 0) is half a pixel from the corner."""
        return self.left + (float(point[0]) + 0.5) * self.zoom, self.top + (float(point[1]) + 0.5) * self.zoom


class _Canvas:
    """Tiles in rows on white paper, at ``FINE`` times the final size; it grows downwards as tiles come."""

    def __init__(self, title: str, summary: str, names: tuple[str, ...], columns: int) -> None:
        from PIL import Image as PillowImage
        from PIL import ImageDraw

        self._width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
        self._columns, self._names = columns, names
        self._sheet = PillowImage.new("RGB", (self._width * FINE, 400 * FINE), PAPER)
        self._pen = ImageDraw.Draw(self._sheet)
        self._fonts: dict[int, object] = {}
        self._y, self._column = float(MARGIN), 0
        self._row_height = TILE + CAPTION
        self._lines(title, 20, INK)
        self._lines(summary, 14, FAINT)
        self._legend()

    def section(self, heading: str) -> None:
        """Start a new row of tiles under a heading."""
        self._end_row()
        self._lengthen(30)
        self._text(MARGIN, self._y + 6, heading, 15, INK)
        self._y += 30

    def tile(
        self, image: Image, annotations: Annotations, predictions: Predictions, i: int, captions: tuple[str, str]
    ) -> None:
        """The next tile: image ``i`` with its annotations and what was predicted, and two lines below."""
        if self._column == self._columns:
            self._end_row()
        self._lengthen(self._row_height)
        left = MARGIN + self._column * (TILE + GAP)
        spot = self._paste(image, left, self._y)
        self._marks(spot, annotations, predictions, i)
        for line, text in enumerate(captions):
            self._text(left, self._y + TILE + 3 + 15 * line, text, 12, FAINT if line else INK)
        self._column += 1

    def finish(self) -> Picture:
        """The sheet at its final size."""
        from PIL import Image as PillowImage

        self._end_row()
        height = round(self._y + MARGIN / 2)
        fine = self._sheet.crop((0, 0, self._width * FINE, height * FINE))
        return fine.resize((self._width, height), PillowImage.Resampling.BOX)

    def _end_row(self) -> None:
        if self._column:
            self._y += self._row_height + GAP
            self._column = 0

    def _lengthen(self, height: float) -> None:
        """Make the sheet long enough for ``height`` more."""
        from PIL import Image as PillowImage
        from PIL import ImageDraw

        wanted = int((self._y + height + MARGIN) * FINE)
        if wanted > self._sheet.height:
            longer = PillowImage.new("RGB", (self._sheet.width, max(wanted, 2 * self._sheet.height)), PAPER)
            longer.paste(self._sheet)
            self._sheet, self._pen = longer, ImageDraw.Draw(longer)

    def _paste(self, image: Image, left: float, top: float) -> _Spot:
        """Put an image into its tile, centred: whole multiples of its pixels where it is small, averaged where large."""
        from PIL import Image as PillowImage

        side = max(image.shape[:2])
        fine = TILE * FINE
        whole = fine // side if side > TILE // 3 else TILE // side * FINE
        zoom = whole if whole else fine / side
        width, height = round(image.shape[1] * zoom), round(image.shape[0] * zoom)
        how = PillowImage.Resampling.NEAREST if whole else PillowImage.Resampling.LANCZOS
        picture = PillowImage.fromarray(np.ascontiguousarray(image)).convert("RGB").resize((width, height), how)
        x, y = round(left * FINE + (fine - width) / 2), round(top * FINE + (fine - height) / 2)
        self._sheet.paste(picture, (x, y))
        if zoom >= GRID_FROM * FINE:
            step = int(zoom)
            for at in range(0, width + 1, step):
                self._pen.line([(x + at, y), (x + at, y + height)], fill=GRID, width=1)
            for at in range(0, height + 1, step):
                self._pen.line([(x, y + at), (x + width, y + at)], fill=GRID, width=1)
        self._pen.rectangle([x - 1, y - 1, x + width, y + height], outline=FAINT, width=1)
        return _Spot(x, y, zoom)

    def _marks(self, spot: _Spot, annotations: Annotations, predictions: Predictions, i: int) -> None:
        rows = np.flatnonzero((annotations.index == i) & ~annotations.crowd)
        answers = np.flatnonzero(predictions.image_ids == annotations.image_ids[i])
        size = 5.0 if len(rows) * len(self._names) <= CROWDED else 3.5
        if annotations.single_instance and len(answers):
            answers = answers[[int(np.argmax(predictions.scores[answers]))]]
            labelled = annotations.visible[rows[0]] > 0
            for annotated, predicted in zip(
                annotations.keypoints[rows[0]][labelled], predictions.keypoints[answers[0]][labelled]
            ):
                self._stroke([spot.of(annotated), spot.of(predicted)], PREDICTION, 1)
        for row in rows:
            for j, point in enumerate(annotations.keypoints[row]):
                if annotations.visible[row, j] > 0:
                    self._ring(spot.of(point), ANNOTATION, size)
                    self._number(spot.of(point), j, ANNOTATION)
        for row in answers:
            for j, point in enumerate(predictions.keypoints[row]):
                self._cross(self._inside(spot.of(point), spot), PREDICTION, size)
                self._number(self._inside(spot.of(point), spot), j, PREDICTION, below=True)

    def _inside(self, at: tuple[float, float], spot: _Spot) -> tuple[float, float]:
        """The nearest place of the tile: a prediction far outside is drawn on the edge."""
        x0, y0 = spot.left // FINE * FINE, spot.top // FINE * FINE
        reach = TILE * FINE
        return min(max(at[0], x0 - GAP), x0 + reach), min(max(at[1], y0 - GAP), y0 + reach)

    def _ring(self, at: tuple[float, float], colour: tuple[int, int, int], radius: float = 5) -> None:
        for width, shade in ((4, RIM), (2, colour)):
            r = (radius + width / 2) * FINE
            self._pen.ellipse([at[0] - r, at[1] - r, at[0] + r, at[1] + r], outline=shade, width=round(width * FINE))

    def _cross(self, at: tuple[float, float], colour: tuple[int, int, int], arm: float = 5) -> None:
        a = arm * FINE
        for width, shade in ((4, RIM), (2, colour)):
            for dx, dy in ((a, a), (a, -a)):
                self._pen.line(
                    [(at[0] - dx, at[1] - dy), (at[0] + dx, at[1] + dy)], fill=shade, width=round(width * FINE)
                )

    def _stroke(self, ends: list[tuple[float, float]], colour: tuple[int, int, int], width: float) -> None:
        self._pen.line(ends, fill=RIM, width=round((width + 1.5) * FINE))
        self._pen.line(ends, fill=colour, width=round(width * FINE))

    def _number(self, at: tuple[float, float], j: int, colour: tuple[int, int, int], *, below: bool = False) -> None:
        """Which keypoint it is, where there are several."""
        if len(self._names) in NUMBERED:
            y = at[1] / FINE + (4 if below else -18)
            self._text(at[0] / FINE + 6, y, str(j + 1), 11, colour, rim=True)

    def _legend(self) -> None:
        y = self._y + 10
        x = float(MARGIN + 6)
        self._ring((x * FINE, y * FINE), ANNOTATION)
        self._text(x + 14, y - 9, "annotations", 13, INK)
        x += 14 + self._length("annotations", 13) + 24
        self._cross((x * FINE, y * FINE), PREDICTION)
        self._text(x + 14, y - 9, "prediction", 13, INK)
        x += 14 + self._length("prediction", 13) + 24
        known = (
            ";  ".join(f"{j + 1} {name}" for j, name in enumerate(self._names)) if len(self._names) in NUMBERED else ""
        )
        self._text(x, y - 9, known if len(known) < 110 else known[:107] + "...", 13, FAINT)
        self._y += 26

    def _lines(self, text: str, size: int, colour: tuple[int, int, int]) -> None:
        """Text across the sheet, broken between words."""
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and self._length(longer, size) > self._width - 2 * MARGIN:
                self._text(MARGIN, self._y, line, size, colour)
                self._y += size * 1.35
                longer = word
            line = longer
        self._text(MARGIN, self._y, line, size, colour)
        self._y += size * 1.5

    def _text(
        self, x: float, y: float, text: str, size: int, colour: tuple[int, int, int], *, rim: bool = False
    ) -> None:
        edge = FINE if rim else 0
        self._pen.text(
            (x * FINE, y * FINE), text, fill=colour, font=self._font(size), stroke_width=edge, stroke_fill=RIM
        )

    def _length(self, text: str, size: int) -> float:
        return float(self._pen.textlength(text, font=self._font(size))) / FINE

    def _font(self, size: int) -> Any:
        from PIL import ImageFont

        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size * FINE)
        return self._fonts[size]


def _summary(scores: Scores) -> str:
    mean, exact = scores["mean"], scores["exact"]
    parts = [f"{scores.counts['images']:,} images"]
    parts += ["nothing matched" if mean is None else f"mean {mean:.3f} px"]
    parts += [] if exact is None else [f"exact {100 * exact:.1f} %"]
    if scores.flags["multi_instance"]:
        precision, recall = scores["precision"], scores["recall"]
        parts += [
            f"{name} {value:.3f}" for name, value in (("precision", precision), ("recall", recall)) if value is not None
        ]
    elif scores["misses"]:
        parts.append(f"no answer on {scores['misses']:.0f}")
    return ", ".join(parts)


def _captions(annotations: Annotations, predictions: Predictions, scores: Scores, i: int) -> tuple[str, str]:
    """The error, and which image it is."""
    error, exact = scores.distances[i], scores.exact[i]
    if not (predictions.image_ids == annotations.image_ids[i]).any():
        text = "no answer" if (annotations.index == i).any() else "empty image"
    elif np.isnan(error):
        text = "no instance matched" if (annotations.index == i).any() else "empty image"
    else:
        text = f"{error:.2f} px" + (", exact" if exact == 1 else "")
    label = "" if annotations.labels is None else f", label {annotations.labels[i]}"
    return text, f"image {annotations.image_ids[i]}{label}"
