"""The answer by rule: what a few lines of arithmetic on the ink achieve where the task is such a rule.

Each rule is a named point of the ink (`datasets.ink`). A detector is not told the task, so the rule is recognised: for
each keypoint the first that is exact on every training image. Where none is, the run fails with that reason. Names
ending in ``-bold`` take ink to be brighter than 127, not brighter than 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.detector import Budget, Card, Detector
from benchmark.structures import FloatArray, Image, IntArray, LabeledImages, UserError, stack_images
from benchmark.suggestions import unknown
from datasets.ink import BOLD, NAMES, point

EXACT = 1e-6  # px: a point that went through a file is still exact
RULES = tuple(name + bold for bold in ("", "-bold") for name in NAMES)


def rule_points(name: str, images: Image) -> FloatArray:
    """The point of a rule in every image.

    Args:
        name: One of `RULES`.
        images: (N, H, W) uint8, or RGB.

    Returns:
        (N, 2) float64, pixels (x, y); the image's centre where there is no ink.
    """
    plain = name.removesuffix("-bold")
    return point(plain, images, 0 if plain == name else BOLD)


class Rule(Detector):
    """The rule on the ink that is exact on the training images, where there is one.

    Args:
        target: The rule of every keypoint, joined by '+', used as it is; "" recognises them.

    Raises:
        UserError: For an unknown rule.
    """

    budgets = ()
    partial_labels = True
    card = Card(
        reference="the definition of the task",
        ranked=False,
        ablation={"target": "corner"},
    )

    _chosen: IntArray

    def __init__(self, target: str = "") -> None:
        self._target = [part.strip() for part in target.split("+")] if target else []
        for name in self._target:
            if name not in RULES:
                raise unknown("rule", name, RULES)

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> None:
        """Recognise the rule of every keypoint; see `Detector.fit`.

        Raises:
            UserError: Where no rule is exact on all training images.
        """
        points, names = train.points, train.annotations.keypoint_names
        if self._target and len(self._target) != len(names):
            raise UserError(f"target={'+'.join(self._target)}: give {len(names)} rules, one for each of {names}")
        chosen = self._target
        if not chosen:
            images, known = train.stack(), ~np.isnan(points[:, :, 0])
            chosen = [_recognise(images[known[:, k]], points[known[:, k], k]) for k in range(len(names))]
        self._chosen = np.array([RULES.index(name) for name in chosen], dtype=np.int64)
        self.n_parameters = 0

    def predict(self, images: Sequence[Image]) -> FloatArray:
        """(N, K, 2) px by the rules."""
        if not len(images):
            return np.zeros((0, len(self._chosen), 2))
        stacked = stack_images(images)
        return np.stack([rule_points(RULES[i], stacked) for i in self._chosen.tolist()], axis=1)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Which rules were recognised."""
        return {"chosen": self._chosen}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Use the rules that ``state`` holds."""
        self._chosen = np.asarray(state["chosen"])


def _recognise(images: Image, points: FloatArray) -> str:
    for name in RULES:
        if len(points) and np.abs(rule_points(name, images) - points).max() <= EXACT:
            return name
    raise UserError("no rule is known for this task: none on the ink is exact on every training image")
