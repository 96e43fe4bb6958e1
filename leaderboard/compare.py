"""Two rows on the same images and seeds: how much they differ, how sure that is, which images decide it, and what would.

The tests are `benchmark.statistics.uncertainty.paired` and ``power``; a paired interval is several times narrower than those
of the two rows, because the images that are hard for one are mostly hard for the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.runs.store import Store
from benchmark.statistics.uncertainty import Paired, Power, paired, power
from benchmark.structures import FloatArray, IntArray, UserError
from leaderboard.board import Board, boards, nearest
from leaderboard.rows import BoardRow

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 10


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows ``a`` and ``b`` of a board on ``seeds``, on the ``images`` (positions in the annotations) that both answered.

    errors_a, errors_b: (S, n) px. notes: what a reader must know, in sentences.
    """

    board: str
    a: str
    b: str
    seeds: tuple[int, ...]
    images: IntArray
    image_ids: IntArray
    file_names: tuple[str, ...]
    errors_a: FloatArray
    errors_b: FloatArray
    found: Paired
    power: Power
    notes: tuple[str, ...]

    @property
    def better(self) -> str | None:
        """The row with the smaller mean error, where the difference is shown at 5 %; else None."""
        if self.found.p >= 0.05:
            return None
        return self.a if self.found.difference < 0 else self.b

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; ``deciding`` holds every image that decides, the largest contribution first."""
        found = self.found
        low, high = (value if math.isfinite(value) else None for value in (found.low, found.high))
        return {
            "board": self.board,
            "a": self.a,
            "b": self.b,
            "seeds": list(self.seeds),
            "images": len(self.images),
            "mean_a": float(self.errors_a.mean()),
            "mean_b": float(self.errors_b.mean()),
            "difference": found.difference,
            "low": low,
            "high": high,
            "p": found.p,
            "better": self.better,
            "method": found.method,
            "deciding": [
                {"image_id": i, "file_name": name, "a": x, "b": y} for i, name, x, y in self._deciding(len(self.images))
            ],
            "power": {"seeds": self.power.seeds, "images": self.power.images, "text": self.power.text},
            "notes": list(self.notes),
        }

    def render(self, console: Console) -> None:
        """Print it."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        found = self.found
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"

        def say(text: str, style: str | None = None) -> None:
            console.print(text, style=style, highlight=False, markup=False)

        say(f"{self.a} against {self.b}: {self.board}, {len(self.images):,} images, {seeds}", "bold")
        say(f"mean error   {self.errors_a.mean():.4f} px against {self.errors_b.mean():.4f} px")
        say(f"difference   {found.difference:+.4f} px, 95 % interval {found.low:+.4f} to {found.high:+.4f}")
        say(f"p value      {_p_text(found.p)} ({found.method})")
        say(self.verdict, "bold")
        say(f"power        {self.power.text}")
        for note in self.notes:
            say(note, "dim")
        count = len(found.images_that_decide)
        if not count:
            return
        say(f"{count:,} of {len(self.images):,} images decide it: without them there is no difference; the largest:")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for head in ("image", "file", f"{self.a} px", f"{self.b} px", "difference"):
            table.add_column(escape(head), justify="left" if head == "file" else "right", overflow="fold")
        for image, name, x, y in self._deciding(SHOWN):
            table.add_row(str(image), escape(name), f"{x:.3f}", f"{y:.3f}", f"{x - y:+.3f}")
        console.print(table, highlight=False)

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        if self.better is None:
            return f"{self.a} and {self.b} cannot be told apart here."
        other = self.b if self.better == self.a else self.a
        return f"{self.better} is better than {other}."

    def _deciding(self, most: int) -> list[tuple[int, str, float, float]]:
        """Image id, file name and both errors (mean over seeds, px) of the images that decide, the largest first."""
        of_a, of_b = self.errors_a.mean(axis=0), self.errors_b.mean(axis=0)
        return [
            (int(self.image_ids[i]), self.file_names[i], float(of_a[i]), float(of_b[i]))
            for i in self.found.images_that_decide[:most].tolist()
        ]


def compare(store: Store, a: str, b: str, task: str | None = None, data: str | None = None) -> Comparison:
    """Rows ``a`` and ``b``, by detector name or label, on the board of that task and data.

    Where the rows ran on different seeds, those they share are used, and a note says so. UserError where no board, or
    more than one, holds both rows, or where they share no seed or no annotations.
    """
    found = [(board, _row(board, a), _row(board, b)) for board in boards(store, task, data)]
    both = [(board, one, other) for board, one, other in found if one and other]
    asked = f"task {task or 'any'}, data {data or 'any'}"
    if not found:
        raise UserError(f"{store.root}: holds no run of {asked}")
    if not both:
        missing = next((name for name, side in ((a, 1), (b, 2)) if not any(row[side] for row in found)), b)
        for board, _, _ in found:
            for row in board.failed:
                if missing in (row.label, row.config.detector):
                    raise UserError(f"{missing!r} has failed on {board.title}: {row.error}")
        raise UserError(
            f"no board ({asked}) has a finished row {missing!r} beside the other"
            + nearest(missing, (row.label for board, _, _ in found for row in (*board.rows, *board.references)))
        )
    if len(both) > 1:
        names = ", ".join(board.title for board, _, _ in both)
        raise UserError(f"{a!r} and {b!r} are both on {len(both)} boards ({names}): choose with --task and --data")
    board, first, second = both[0]
    if first is None or second is None or first is second:
        raise UserError(f"{a!r} and {b!r} are the same row: name two")
    return compare_rows(board, first, second)


def compare_rows(board: Board, a: BoardRow, b: BoardRow) -> Comparison:
    """Two rows of one board; see `compare`."""
    seeds = tuple(seed for seed in a.seeds if seed in b.seeds)
    if not seeds:
        raise UserError(
            f"{a.label!r} ran with seeds {_listed(a.seeds)} and {b.label!r} with {_listed(b.seeds)}: give both the same"
        )
    if a.annotation_digests != b.annotation_digests or len(a.annotation_digests) != 1:
        raise UserError(f"{a.label!r} and {b.label!r} were scored against different annotation_digests: run both again")
    errors_a = a.errors[[a.seeds.index(seed) for seed in seeds]]
    errors_b = b.errors[[b.seeds.index(seed) for seed in seeds]]
    both = np.isfinite(errors_a).all(axis=0) & np.isfinite(errors_b).all(axis=0)
    if not both.any():
        raise UserError(f"{a.label!r} and {b.label!r} answered no image in common")
    annotations = a.runs[0].annotations
    kept = np.flatnonzero(both)
    errors_a, errors_b = errors_a[:, kept], errors_b[:, kept]
    result = paired(errors_a, errors_b)
    notes = [f"Note: {result.note}."] if result.note else []
    if a.seeds != b.seeds:
        notes.append(f"Compared on the seeds both have ({_listed(seeds)}).")
    if board.many:
        notes.append(
            f"Of {len(annotations):,} images, those in which both matched an instance: misses are not part of this."
        )
    return Comparison(
        board=board.title,
        a=a.label,
        b=b.label,
        seeds=seeds,
        images=kept,
        image_ids=annotations.image_ids[kept],
        file_names=tuple(annotations.file_names[i] for i in kept.tolist()),
        errors_a=errors_a,
        errors_b=errors_b,
        found=result,
        power=power(errors_a, errors_b),
        notes=tuple(notes),
    )


def _row(board: Board, name: str) -> BoardRow | None:
    """The finished row of that label; else the detector's, if it has one row alone. UserError where it has several."""
    rows = (*board.rows, *board.references)
    labelled = [row for row in rows if row.label == name]
    named = labelled or [row for row in rows if row.config.detector == name]
    if len(named) > 1:
        labels = ", ".join(repr(row.label) for row in named)
        raise UserError(f"{name!r} is several rows of {board.title}: choose one of {labels}")
    return named[0] if named else None


def _listed(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def _p_text(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}" if p > 0 else "0"
