"""Plots as files: SVG and PNG, drawn by vl-convert, and the specification with its data as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark import files
from benchmark.files import write_bytes, write_text
from benchmark.structures import UserError

ENDINGS = (".svg", ".png", ".json")
SCALE = 2.0  # px of a PNG a px of the plot


def check_ending(path: Path) -> None:
    """Raise a `UserError` where a file's name has no ending of `ENDINGS`."""
    files.check_ending(path, "a plot", ENDINGS, bare=False)


def write_plot(document: dict[str, Any], path: Path) -> None:
    """Write a plot as its file's name asks.

    Args:
        document: A specification with its data.
        path: The file; its folders are made.

    Raises:
        UserError: Where the ending is none of `ENDINGS`, the package that draws is not installed, or the file can't be
            written.
    """
    check_ending(path)
    if path.suffix.lower() == ".json":
        write_text(path, json.dumps(document, indent=1, allow_nan=False))
    elif path.suffix.lower() == ".svg":
        write_text(path, svg(document))
    else:
        write_bytes(path, _drawing().vegalite_to_png(document, scale=SCALE, allowed_base_urls=[]))


def svg(document: dict[str, Any]) -> str:
    """The drawing of a specification with its data; it loads nothing, from the network or a disk."""
    drawn: str = _drawing().vegalite_to_svg(document, allowed_base_urls=[])
    return drawn


def _drawing() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise UserError(
            "plots are drawn by vl-convert: pip install 'keypoint-benchmark[plots]', or write .json"
        ) from None
    return vl_convert
