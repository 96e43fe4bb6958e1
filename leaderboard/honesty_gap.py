"""How much too good scores look where images of one group (a video, a session, a subject) lie in train and in test.

Every image is answered twice by fits without it: once where folds keep groups whole, as a new video will be, and once where
folds are drawn at random, as is often done. The honesty gap is the random folds' error minus the grouped folds', over the
same images; below 0 random folds look better than new groups will. Its interval is over groups
(`benchmark.statistics.groups`), with Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.runs.config import GridConfig
from benchmark.runs.store import StoredRun
from benchmark.statistics.paired import Paired, paired
from benchmark.structures import IntArray, UserError
from datasets.formats.reading import NO_GROUPS
from leaderboard.rows import groups_of, rescored


@dataclass(frozen=True, eq=False)
class Gap:
    """The honesty gap of one detector.

    Attributes:
        detector: As named on boards.
        grouped: px, mean error where folds keep groups whole.
        random: px, mean error where they do not.
        images: Of which both answers are known with every seed.
        unmatched: Images left out, because one of the two ways answered no instance of theirs.
        groups: That these come in.
        result: The difference random - grouped, its interval and p value.
    """

    detector: str
    grouped: float
    random: float
    images: int
    unmatched: int
    groups: int
    result: Paired

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object."""
        low, high = (value if math.isfinite(value) else None for value in (self.result.low, self.result.high))
        return {
            "detector": self.detector,
            "grouped": self.grouped,
            "random": self.random,
            "gap": self.result.difference,
            "low": low,
            "high": high,
            "p": self.result.p,
            "images": self.images,
            "unmatched": self.unmatched,
            "groups": self.groups,
        }


def two_grids(grid: GridConfig) -> tuple[GridConfig, GridConfig]:
    """The grid as it is asked for, and the same with folds drawn at random.

    Raises:
        UserError: Where it has no folds, or says nothing of groups.
    """
    if grid.folds < 2:
        raise UserError(f"folds {grid.folds}: a gap is between two ways to make folds; give at least 2")
    if grid.options.group_by in ("", NO_GROUPS):
        raise UserError("group-by: say what names an image's video or subject: a pattern on file names, or a field")
    return grid, grid.model_copy(update={"options": grid.options.model_copy(update={"group_by": NO_GROUPS})})


def honesty_gaps(grouped: Sequence[StoredRun], random: Sequence[StoredRun]) -> list[Gap]:
    """The gap of each detector that finished both ways, in the order of the first runs.

    Args:
        grouped: Runs whose folds keep groups whole.
        random: Runs of the same detectors and seeds whose folds do not.

    Raises:
        UserError: Where images come in fewer than two groups, or no detector finished both ways.
    """
    gaps = []
    for name in dict.fromkeys(run.record.config.detector for run in grouped):
        of_groups, of_random = (
            {r.record.seed: r for r in runs if r.record.config.detector == name and r.record.status == "finished"}
            for runs in (grouped, random)
        )
        seeds = [seed for seed in of_groups if seed in of_random]
        if not seeds:
            continue
        annotations = of_groups[seeds[0]].annotations
        order = _same_images(annotations.file_names, of_random[seeds[0]].annotations.file_names)
        errors_of_groups = np.array([rescored(of_groups[seed]).distances for seed in seeds])
        errors_of_random = np.array([rescored(of_random[seed]).distances[order] for seed in seeds])
        kept = np.flatnonzero(np.isfinite(errors_of_groups + errors_of_random).all(axis=0))
        groups = groups_of(annotations, kept)
        if groups is None or len(groups) < 2:
            raise UserError("group-by: each image is a group of its own, or all are one: there is no gap to measure")
        a, b = errors_of_random[:, kept], errors_of_groups[:, kept]
        result = paired(a, b, groups=groups)
        known = len(np.unique(annotations.index[(annotations.visible > 0).any(axis=1) & ~annotations.crowd]))
        gaps.append(Gap(name, float(b.mean()), float(a.mean()), len(kept), known - len(kept), len(groups), result))
    if not gaps:
        failed = next((run.record.error for run in [*grouped, *random] if run.record.error), "")
        raise UserError(f"no detector finished both ways{': ' + failed if failed else ''}")
    return gaps


def _same_images(files: Sequence[str], others: Sequence[str]) -> IntArray:
    """For each of N files its position among the others, whose splits, and so the prefix of names, may be other ones."""
    if set(files) != set(others):
        files, others = ([file.partition("-")[2] for file in names] for names in (files, others))
    places = {file: i for i, file in enumerate(others)}
    if len(places) < len(others) or set(files) != set(places):
        raise UserError("several images have one file name, so the answers of both ways cannot be matched: rename them")
    return np.array([places[file] for file in files], dtype=np.int64)
