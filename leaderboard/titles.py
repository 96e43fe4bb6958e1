"""What boards are called, and what is added where several would be called the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboard.board import Board


def title_of(task: str, version: int, data: str) -> str:
    """``topleft@1 on tiny``."""
    return f"{task}@{version} on {data}"


def told_apart(boards: Sequence[Board]) -> list[Board]:
    """The boards; those of one title with what they differ in: folds, groups of images, else digits of the digest."""
    named: dict[str, list[Board]] = {}
    for board in boards:
        named.setdefault(board.title, []).append(board)
    of_title = [named[board.title] for board in boards]
    return [replace(b, apart=_apart(b, of)) if len(of) > 1 else b for b, of in zip(boards, of_title)]


def _apart(board: Board, others: Sequence[Board]) -> str:
    parts = [mine for mine, of_all in zip(_kind(board), zip(*map(_kind, others))) if len(set(of_all)) > 1]
    alike = [other for other in others if _kind(other) == _kind(board)]
    if len(alike) > 1:
        digits = next((n for n in range(8, 64) if len({other.digest[:n] for other in alike}) == len(alike)), 64)
        parts.append(f"data {board.digest[:digits]}")
    return ", ".join(parts)


def _kind(board: Board) -> tuple[str, str]:
    folds = f"{board.folds} folds" if board.folds else "no folds"
    return folds, "images alone" if board.groups is None else "images in groups"
