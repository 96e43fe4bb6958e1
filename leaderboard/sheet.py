"""A sheet of square tiles with captions under them, row by row: what the sheets of annotations and labels are drawn on."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as Pillow
from PIL import ImageDraw

from benchmark import files

TILE, GAP, LINE = 300, 8, 14  # px
COLUMNS = 4
CHARACTERS = 48  # of a caption's line


class Sheet:
    """A white picture with places for some tiles."""

    def __init__(self, count: int, lines: int = 1) -> None:
        """Nothing is drawn yet.

        Args:
            count: Number of tiles.
            lines: Lines of each caption.
        """
        self._row = TILE + 4 + LINE * lines + GAP
        columns, rows = min(COLUMNS, max(1, count)), max(1, -(-count // COLUMNS))
        self._picture = Pillow.new("RGB", (GAP + columns * (TILE + GAP), GAP + rows * self._row), (255, 255, 255))
        self.pen = ImageDraw.Draw(self._picture)

    def put(self, at: int, tile: Pillow.Image, *caption: str) -> tuple[int, int]:
        """Paste a tile of at most `TILE` x `TILE` px, and write its caption; returns the corner it is pasted at.

        Args:
            at: Which place, from 0.
            tile: What is pasted.
            *caption: Its lines; what is too long is cut.
        """
        left, top = GAP + at % COLUMNS * (TILE + GAP), GAP + at // COLUMNS * self._row
        self._picture.paste(tile, (left, top))
        for i, line in enumerate(caption):
            self.pen.text((left, top + TILE + 2 + LINE * i), line[:CHARACTERS], fill=(0, 0, 0))
        return left, top

    def write(self, path: Path) -> None:
        """Write it as PNG.

        Raises:
            UserError: Where it cannot be written.
        """
        content = io.BytesIO()
        self._picture.save(content, format="PNG")
        files.write_bytes(path, content.getvalue())
