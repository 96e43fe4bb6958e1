"""The command that writes boards as a page to look at: page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import BoardData, BoardTask, PairName, Results, having_pair, pair_of, say, waiting
from benchmark.files import check_ending
from benchmark.structures import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.runs.store import Results as StoredResults
    from leaderboard.board import Board

app = typer.Typer()


@app.command(epilog="Example: python -m benchmark page --results studies/topleft/runs --out page.html")
def page(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="HTML file to write.")] = Path("page.html"),
    task: BoardTask = None,
    data: BoardData = None,
    pair: PairName = "",
    gallery: Annotated[bool, typer.Option("--gallery/--no-gallery", help="Whether test images ride along.")] = True,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="PATH", help="Where your own data lies, if not where the runs left it."),
    ] = None,
    results: Results = Path("results"),
) -> None:
    """Write the boards as one HTML file to look at in a browser: it needs no network, and scores itself."""
    from benchmark.runs.bundle import open_results
    from leaderboard.which import boards_on

    check_page(out)
    if images is not None and not Path(images).exists():
        raise UserError(f"--images {images}: there is no such folder or file; give where your own data lies")
    stored = open_results(results)
    with waiting("scoring"):
        shown = having_pair(boards_on(stored, task, data, asked := pair_of(pair)), asked)
    if not shown:
        raise UserError(f"{stored.root}: holds no run of {task or 'any task'} on {data or 'any data'}")
    write_page(shown, out, stored if gallery else None, images)


def check_page(out: Path) -> None:
    """UserError where a page cannot have that name."""
    check_ending(out, "a page", (".html", ".htm"))


def write_page(
    boards: Sequence[Board],
    out: Path,
    results: StoredResults | None = None,
    images: str | None = None,
    *,
    said_on_stderr: bool = False,
) -> None:
    """Write the page of some boards, whole, and say how large it is.

    Args:
        boards: What it shows.
        out: The file.
        results: What the boards were made of, by which their images are found; None: a page without images.
        images: Where the data lies now.
        said_on_stderr: Stdout is for something else.
    """
    from benchmark.files import write_text
    from leaderboard.render.page.gallery_payload import galleries
    from leaderboard.render.page.page import page_html

    check_page(out)
    with waiting("writing the page"):
        more = {} if results is None else {"gallery": galleries(boards, results, data=images)}
        text = page_html(boards, more)
        write_text(out, text)
    for board, own in zip(boards, more.get("gallery", {"boards": []})["boards"]):
        if own.get("why"):
            say(f"{board.title}: {own['why']}", stderr=True)
    rows = sum(len(board.every) for board in boards)
    many = f"{len(boards)} boards" if len(boards) > 1 else boards[0].title
    say(f"{out}: {many}, {rows:,} rows, {len(text) / 1e6:.1f} MB", stderr=said_on_stderr)
