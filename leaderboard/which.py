"""Which board or run a user means, who names a task, data, or a row alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.metrics import Pair
from benchmark.runs.bundle import Collection, open_results
from benchmark.runs.store import FolderRun, Results, Store, StoredRun, root_of
from benchmark.structures import UserError
from benchmark.suggestions import suggestion
from datasets import formats
from leaderboard.board import Board, boards, by_board, run_of_row
from leaderboard.rows import BoardRow, labels_of, newest
from leaderboard.titles import title_of


def boards_on(results: Results, task: str | None, data: str | None, pair: Pair | None = None) -> list[Board]:
    """The boards of a task and of data; see `on_data`.

    Args:
        results: Where the runs are.
        task: None for any.
        data: None for any.
        pair: See `leaderboard.board.boards`.

    Raises:
        UserError: For a path of other data than that of the boards, or a record that is broken.
    """
    named = boards(results, task, data, pair)
    if named or data is None:
        return named
    return on_data(boards(results, task, None, pair), results, data)


def only_board(results: Results, names: Sequence[str], task: str | None = None, data: str | None = None) -> Board:
    """The one board of a task and of data that has some rows.

    Args:
        results: Where the runs are.
        names: Of finished rows that it has, by label or detector.
        task: None where one board alone fits.
        data: None where one board alone fits.

    Raises:
        UserError: Where no board, or more than one, fits, or a row is not on it.
    """
    asked = f"task {task or 'any'}, data {data or 'any'}"
    known = [board for board in boards_on(results, task, data) if board.finished]
    fitting = [board for board in known if all(rows_named(board, name) for name in names)]
    if not known:
        raise UserError(f"{results.root}: holds no finished run of {asked}")
    if not fitting:
        labels = sorted({row.label for board in known for row in board.finished})
        missing = next((n for n in names if not any(rows_named(board, n) for board in known)), names[0])
        raise UserError(f"no board ({asked}) has a finished row {missing!r}{suggestion(missing, labels)}")
    if len(fitting) > 1:
        titles = ", ".join(board.title for board in fitting)
        raise UserError(f"{len(fitting)} boards fit ({titles}): choose with --task and --data")
    return fitting[0]


def rows_named(board: Board, name: str) -> list[BoardRow]:
    """The finished rows of that label or detector."""
    return [row for row in board.finished if name in (row.label, row.config.detector)]


def on_data(boards: Sequence[Board], results: Results, data: str | None) -> list[Board]:
    """The boards on some data.

    Args:
        boards: Of these results.
        results: What they are made of.
        data: What the titles call it; or the first digits of its digest, 6 or more; or its path, as ``run --data`` takes it.
            None for any.

    Raises:
        UserError: For a path that can be read, and whose data is not that of a board.
    """
    if data is None:
        return list(boards)
    if named := [board for board in boards if board.data == data]:
        return named
    if re.fullmatch("[0-9a-f]{6,64}", data) and (known := [b for b in boards if b.digest.startswith(data)]):
        return known
    path = Path(data)
    if not path.exists():
        return []
    if there := [board for board in boards if path.resolve() in _places(board, results)]:
        return there
    digest = formats.read(path).digest
    if same := [board for board in boards if board.digest == digest]:
        return same
    listed = ", ".join(board.title for board in boards)
    raise UserError(f"data {path}: no stored run is of it (digest {digest[:12]}); there are {listed or 'none'}")


def _places(board: Board, results: Results) -> set[Path]:
    """Where the data of a board's runs was, as their records say."""
    runs = [run for row in board.every for run in row.runs if run.record.facts.data]
    roots = [run.store.root if isinstance(run, FolderRun) else results.root for run in runs]
    return {(root / run.record.facts.data).resolve() for root, run in zip(roots, runs)}


def find_only_run(results: Results, detector: str, task: str | None = None, seed: int | None = None) -> StoredRun:
    """`find_run` on the one board that has such a row.

    Args:
        results: Where the runs are.
        detector: The detector's name, or the label of its row.
        task: Name of the task; None for any.
        seed: Which; None for the lowest there is.

    Raises:
        UserError: Where no board has such a row, or several have.
    """
    grouped = by_board(results.runs(), task)
    labels = {place: labels_of(newest(runs)[0]) for place, runs in grouped.items()}
    names = {place: {name for i, label in known.items() for name in (i[0], label)} for place, known in labels.items()}
    having = [place for place in grouped if detector in names[place]]
    if not having:
        known = sorted({label for of_board in labels.values() for label in of_board.values()})
        where = f"{results.root}: {detector!r} has no run of {task or 'any task'}"
        raise UserError(f"{where}{suggestion(detector, known)}")
    if len(having) > 1:
        boards_of = sorted(title_of(*place[:2], grouped[place][0].record.config.data) for place in having)
        raise UserError(
            f"{detector!r} is on {len(having)} boards ({', '.join(boards_of)}): choose with --task and --data"
        )
    runs = grouped[having[0]]
    return run_of_row(runs, detector, title_of(*having[0][:2], runs[0].record.config.data), seed)


def stored_run(which: str, results: Path) -> tuple[StoredRun, Results]:
    """The run that a folder, a key or the beginning of one means, and what it is kept in.

    Args:
        which: The folder of a run, or a key's first hex digits (4 to 16) that no other run's key begins with.
        results: Where keys are looked up.

    Raises:
        UserError: Where there is none, or more than one.
    """
    folder = Path(which)
    if (folder / "run.json").is_file():
        store = Store(root_of(folder))
        return store.read(folder), store
    if not re.fullmatch("[0-9a-f]{4,16}", which):
        raise UserError(f"run {which!r}: give the folder of a run, or its key (4 to 16 of the hex digits are enough)")
    kept = open_results(results)
    parts = kept.parts if isinstance(kept, Collection) else [kept]
    found: dict[str, StoredRun] = {}
    for part in parts:
        for run in part.begins(which) if isinstance(part, Store) else part.runs():
            if run.record.key.startswith(which):
                found.setdefault(run.record.key, run)
    if not found:
        raise UserError(f"run {which}: {results.root} holds no run whose key begins so")
    if len(found) > 1:
        listed = ", ".join(f"{key} ({run.title})" for key, run in list(found.items())[:3])
        raise UserError(f"run {which}: {len(found)} keys begin so; give more of one: {listed}")
    return next(iter(found.values())), kept


def folder_of_run(which: str, results: Path) -> Path:
    """The folder of a run, for what bundles do not hold: its weights.

    Args:
        which: See `stored_run`.
        results: Where keys are looked up.

    Raises:
        UserError: Where there is none, or more than one, or it lies in a bundle.
    """
    if Path(which).is_dir():
        return Path(which)
    run, _ = stored_run(which, results)
    if not isinstance(run, FolderRun):
        raise UserError(f"{run.place}: lies in a bundle, which holds no weights; name the folder of results it is from")
    return run.folder
