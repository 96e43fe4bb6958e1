"""How many planted label errors ``suspects`` finds, and how often it cries wolf: run it, read the table.

    python scripts/evaluate_suspects.py WORLD [-d ridge:features=hog -d svr ...] [--seeds 3] [--images 200] [--budget 12]

WORLD is ``photographs4`` or ``photographs17`` (made figures of 4 or 17 discs, the latter with holes), or the name of a
task, which is asked on the preset ``tiny``. In each seed's data 5 % of the labels are made wrong (half of the wrong
instances by exchanging two labels, half by moving one), or are exchanged, or moved, alone; the detectors are fitted on what
came of it over 5 folds. Columns: labels planted; the share of planted ones among as many of the most evident, and among
the first half of these; how many were found, and the share of planted ones among them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "datasets"))

from photographs import photographs

from benchmark.api import grid_config, run_grid
from benchmark.runs.store import Store
from benchmark.structures import Annotations
from datasets.dataset import Dataset, pooled
from datasets.formats import coco_folder
from datasets.load import load
from leaderboard.suspects import find_suspects, out_of_fold_runs, starts_of

SHARE = 0.05
KINDS = {"clean": None, "mixed .4": (0.5, 0.4), "exchanged": (1.0, 0.0), "moved .2": (0.0, 0.2), "moved .4": (0.0, 0.4)}
"""Name -> share of wrong instances whose labels are exchanged, and how far the others move one, in diagonals of the box."""


def planted(
    annotations: Annotations, exchanges: float, move: float, rng: np.random.Generator
) -> tuple[Annotations, np.ndarray[Any, Any]]:
    """Annotations with `SHARE` of their labels made wrong, at most one error an instance; and which, (M, K) bool."""
    points, labelled = annotations.keypoints.copy(), annotations.visible > 0
    wrong = np.zeros(labelled.shape, dtype=bool)
    for row in rng.permutation(len(points)).tolist():
        if wrong.sum() >= round(SHARE * labelled.sum()):
            break
        own = np.flatnonzero(labelled[row])
        if len(own) >= 2 and rng.random() < exchanges:
            pair = rng.choice(own, 2, replace=False)
            points[row, pair] = points[row, pair[::-1]]
            wrong[row, pair] = True
        elif len(own) and move:
            one, angle = int(rng.choice(own)), rng.uniform(0, 2 * np.pi)
            length = move * np.hypot(*annotations.boxes[row, 2:])
            points[row, one] += length * np.array([np.cos(angle), np.sin(angle)])
            wrong[row, one] = True
    return replace(annotations, keypoints=points, spacing=None), wrong


def world(name: str, images: int, seed: int, folder: Path) -> Dataset:
    """The clean data of a seed."""
    if not name.startswith("photographs"):
        return load(name, "tiny", split=seed, root=folder)
    k = int(name.removeprefix("photographs"))
    photographs(folder / "made", images, k=k, size=(160, 120), holes=0.1 if k > 4 else 0.0, seed=seed, suffix=".png")
    return load(None, str(folder / "made"))


def main(
    name: Annotated[str, typer.Argument(metavar="WORLD")],
    detector: Annotated[list[str] | None, typer.Option("--detector", "-d")] = None,
    seeds: int = 3,
    images: int = 200,
    budget: str | None = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Some of the kinds alone.")] = None,
) -> None:
    """Plant, fit, look, print."""
    chosen = detector or ["ridge:features=hog", "ridge", "svr", "knn"]
    print(f"{name}, {', '.join(chosen)}")
    print(
        "| kind | seed | labels | planted | first half | first all | found | true of found | inflation | seen from px |"
    )
    print("| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    for what, (exchanges, move) in ((k, KINDS[k] or (0.0, 0.0)) for k in kind or KINDS):
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as place:
                row = _one(name, chosen, images, budget, exchanges, move, seed, Path(place))
            print(f"| {what} | {seed} | {row} |", flush=True)


def _one(
    name: str, chosen: list[str], images: int, budget: str | None, exchanges: float, move: float, seed: int, place: Path
) -> str:
    clean = world(name, images, seed, place)
    rng = np.random.default_rng(seed)
    parts, wrongs = [], []
    for part in clean.splits.values():
        annotations, wrong = planted(part.annotations, exchanges, move, rng)
        parts.append(replace(part, annotations=annotations))
        wrongs.append(wrong)
    data = coco_folder.write(place / "data", Dataset(*parts, clean.card, ""))
    settings = {"data": str(place / "data"), "folds": 5, "threads": 1, "results": str(place / "results")}
    run_grid(grid_config(chosen, budget=budget, **settings))
    dataset = load(None, str(place / "data"))
    assert dataset.digest == data.digest
    whole = pooled(list(dataset.splits.values()))
    runs = out_of_fold_runs(Store(place / "results"), dataset.digest)
    found, errors = find_suspects(
        runs, whole.annotations, starts_of({split: len(part) for split, part in dataset.splits.items()})
    )
    wrong = np.concatenate(wrongs)
    order = np.argsort(-np.nan_to_num(errors.evidence).ravel())
    count, flagged = int(wrong.sum()), errors.flagged
    first = [f"{100 * wrong.ravel()[order[: max(1, n)]].mean():.0f} %" if count else "" for n in (count // 2, count)]
    right = f"{100 * (flagged & wrong).sum() / flagged.sum():.0f} %" if flagged.any() else ""
    seen = [one.seen_from for one in found.power if one.seen_from is not None]
    return (
        f"{found.judged} | {count} | {first[0]} | {first[1]} | {int(flagged.sum())} | {right} | {errors.inflation:.2f} | "
        f"{np.median(seen) if seen else np.nan:.0f}"
    )


if __name__ == "__main__":
    typer.run(main)
