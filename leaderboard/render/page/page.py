"""The page: boards as one HTML file, which holds its data, its code and its look, and asks the network for nothing.

What it shows is made in the browser, by the files of ``assets/``, of the JSON that `payload` makes. Nothing of that JSON is
markup: it is escaped as a whole, and enters the document as text alone. The content security policy names the page's own
scripts by their hashes, so that a script which came in by a name would not be run; a test puts some there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.metrics.registry import PERCENT, Metric, metrics
from leaderboard.board import Board
from leaderboard.render import words
from leaderboard.render.columns import mean, name, rank, short
from leaderboard.render.page.packing import pack_object
from leaderboard.render.page.payload import payloads

HERE = Path(__file__).parent
FIRST = ("dom.js",)  # what other files need while they are read; the rest is in the order of the names
SPECIAL = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
}  # of HTML; the rest above 126 is ASCII already


class Vendored(NamedTuple):
    """A script of others that rides along; see ``vendor/VENDOR.md``.

    Attributes:
        name: What the page asks for it by.
        packed: base64 of gzip.
        hash: As a content security policy names the inflated text.
    """

    name: str
    packed: str
    hash: str


def page_html(boards: Sequence[Board], more: Mapping[str, Any] | None = None) -> str:
    """The page of some boards; the same boards give the same text.

    Args:
        boards: In the order of the chooser.
        more: What sections besides the board need, JSON-able, by names of their own: the images of the gallery.

    Returns:
        A whole HTML document.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    import benchmark
    from leaderboard.render.plots.page_specs import page_specs

    shown = [{**made, **_besides(board)} for made, board in zip(payloads(boards), boards)]
    digest = hashlib.sha256(_json(shown).encode()).hexdigest()[:16]
    data = {**(more or {}), "boards": shown, "rules": words.RULES, "digest": digest, "plots": pack_object(page_specs())}
    code = script()
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("template.html.j2").render(
        title=boards[0].title if len(boards) == 1 else "Keypoint benchmark",
        version=benchmark.__version__,
        policy=_policy([_hash(code), *(one.hash for one in vendored())]),
        boards=[_plain(board) for board in boards],
        data=_json(data),
        vendored=vendored(),
        style=style(),
        code=code,
    )


def script() -> str:
    """The page's own code: every file of ``assets/``, and the call that starts it."""
    files = sorted((HERE / "assets").glob("*.js"), key=lambda path: (path.name not in FIRST, path.name))
    parts = [
        "globalThis.KB = { sections: [] };",
        *(path.read_text(encoding="utf-8") for path in files),
        "KB.app.start();",
    ]
    return "\n".join(parts)


def style() -> str:
    """The page's look: ``page.css``, then that of other sections."""
    files = sorted((HERE / "assets").glob("*.css"), key=lambda path: (path.name != "page.css", path.name))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def vendored() -> tuple[Vendored, ...]:
    """The scripts of others, ``vendor/*.js.gz``, by name; the browser inflates one when a section asks for it."""
    found = []
    for path in sorted((HERE / "vendor").glob("*.js.gz")):
        content = path.read_bytes()
        text = gzip.decompress(content).decode("utf-8")
        found.append(Vendored(path.name.removesuffix(".js.gz"), base64.b64encode(content).decode(), _hash(text)))
    return tuple(found)


def _policy(scripts: Sequence[str]) -> str:
    """Nothing from anywhere; the scripts of these hashes, styles and images that the page itself holds."""
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {' '.join(scripts)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that may stand inside a script element, whatever its strings hold."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(SPECIAL)


def _besides(board: Board) -> dict[str, Any]:
    """What a page says of a board besides its payload: the metrics it has, and what would tell its rows apart."""
    known = {entry for row in board.finished for entry, value in row.metrics.items() if value is not None}
    return {
        "columns": [
            {
                "name": entry.name,
                "heading": entry.column.heading if entry.column else _heading(entry),
                "summary": entry.summary,
                "better": entry.better,
                "format": entry.format,
            }
            for entry in metrics().values()
            if entry.name in known
        ],
        "separation": words.separation(board.separation),
    }


def _heading(entry: Metric) -> str:
    unit = "%" if entry.format == PERCENT else entry.unit if entry.unit == "px" else ""
    return f"{entry.name.replace('pck@', 'PCK@')} {unit}".strip()


def _plain(board: Board) -> dict[str, Any]:
    """What a browser without JavaScript shows."""
    table = [
        {
            "name": name(row),
            "rank": rank(row),
            "mean": mean(row),
            "exact": "" if (exact := row.metrics.get("exact")) is None else metrics()["exact"].text(exact),
            "fit": short(row.fit_seconds),
        }
        for row in board.finished
    ]
    return {"title": board.title, "advice": words.advice(board), "table": table}
