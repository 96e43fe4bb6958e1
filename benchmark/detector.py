"""The one extension point: a detector learns from labelled images and answers unlabelled ones."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from benchmark.structures import FloatArray, Image, LabeledImages, Prediction, UserError

HistoryRow = dict[str, float]
Progress = Callable[[float, str], None]


def no_progress(fraction: float, text: str) -> None:
    """The progress of a detector nobody is watching."""


@dataclass(frozen=True)
class Budget:
    """How long a detector may learn. At most one is set; none set means the detector's own recipe.

    epochs: passes over the training split. steps: optimiser steps. seconds: of fitting, evaluation included.
    Schedules are functions of the fraction spent, so that one recipe serves every budget.
    """

    epochs: int | None = None
    seconds: float | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """``20`` or ``20epochs``, ``60s``, ``500steps``; None or "" is the recipe. UserError otherwise."""
        if not text:
            return cls()
        found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|epochs?|steps?)?\s*", text)
        unit = (found.group(2) or "epochs") if found else ""
        if found and float(found.group(1)) > 0:
            if unit == "s":
                return cls(seconds=float(found.group(1)))
            if found.group(1).isdigit():
                number = int(found.group(1))
                return cls(steps=number) if unit.startswith("step") else cls(epochs=number)
        raise UserError(f"budget {text!r} is not a budget: write 20 (epochs), 60s (seconds) or 500steps")

    @property
    def kind(self) -> str:
        """``epochs``, ``steps`` or ``seconds``; "" for the recipe."""
        return next((name for name in ("epochs", "steps", "seconds") if getattr(self, name) is not None), "")

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g}s"
        if self.steps is not None:
            return f"{self.steps}steps"
        return "recipe" if self.epochs is None else f"{self.epochs}epochs"


@dataclass(frozen=True)
class Card:
    """What a detector says of itself, so that the harness and a reader need not read its code.

    source: paper, formula or upstream file it follows.
    instances: whether it answers one instance an image or many.
    scores: whether its scores carry confidence (else AP is marked as tied).
    reference: an unranked reference row. rule_structured: the network's structure is the rule of a task itself.
    untrained: whether its score before any training (a budget of 0 epochs) is reported beside the trained one.
    needs: what it cannot do without: "gpu".
    ablation: parameters that remove its essential part, and so must change its score.

    What it is expected to score stands in no card, where it would go stale: ``leaderboard.expected`` reads it off the
    published runs.
    """

    source: str = ""
    instances: Literal["one", "many"] = "one"
    scores: bool = False
    reference: bool = False
    rule_structured: bool = False
    untrained: bool = False
    needs: tuple[str, ...] = ()
    ablation: Mapping[str, Any] = field(default_factory=dict)


class Detector:
    """Base class of every detector: learns from a train split, answers the images of a test split.

    Parameters of a detector are the keyword arguments of its ``__init__``, annotated and with defaults; a command
    line's ``name:key=value`` sets them. ``fit`` and ``predict`` are all a plugin writes.

    The runner sets ``device`` ("cpu" or "cuda"), ``threads`` and ``progress`` before it calls ``fit``; ``fit`` may set
    ``weights``, the number of learned parameters, and ``pretraining_images``, images from elsewhere that it learned from: a run
    whose test split holds one of them fails. ``budgets`` are the kinds of budget it heeds; others leave its recipe as it is.
    """

    card: ClassVar[Card] = Card()
    budgets: ClassVar[tuple[str, ...]] = ("epochs", "steps", "seconds")
    device: str = "cpu"
    threads: int = 1
    weights: int | None = None
    pretraining_images: Sequence[Image] = ()
    progress: Progress = staticmethod(no_progress)

    def fit(
        self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget
    ) -> Sequence[HistoryRow] | None:
        """Learn from ``train``; ``val`` is for selection only (by mean pixel error). May return a row an epoch.

        History rows hold ``epoch``, ``seconds``, and where they apply ``loss``, ``train_px``, ``val_px``.
        """
        raise NotImplementedError

    def predict(self, images: Sequence[Image]) -> FloatArray | Sequence[Prediction]:
        """(N, K, 2) float64 pixels, one instance an image; or a Prediction an image, where there may be many.

        A row of NaN is not an answer but an error: leave an instance out of a Prediction to say "nothing found".
        """
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What a fitted detector must remember to predict, as named arrays (stored with safetensors, never pickled)."""
        raise UserError(f"{type(self).__name__} cannot be saved: it defines no state()")

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become the fitted detector whose ``state()`` this was."""
        raise UserError(f"{type(self).__name__} cannot be restored: it defines no restore()")

    def handmade_features(self, images: Sequence[Image]) -> FloatArray | None:
        """(N, F) the hand-made inputs it learns from, if any (raw pixels are not): the runner tests whether a linear
        fit on them already gives the answer, and marks the row "oracle features" where it does."""
        return None


def parameters(cls: type[Detector]) -> dict[str, inspect.Parameter]:
    """The parameters a detector class takes, by name: its ``__init__`` without ``self``."""
    if cls.__init__ is object.__init__:
        return {}
    found = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
