"""The one extension point: a detector learns from labelled images and answers unlabelled ones."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from benchmark.structures import Annotations, FloatArray, Image, LabeledImages, Prediction, UserError
from benchmark.windows import Size, scaled

HistoryRow = dict[str, float]
Progress = Callable[[float, str], None]
RECIPE = "recipe"  # the budget of a detector that learns as long as its own recipe says
SECONDS = {"s": 1, "min": 60, "h": 3600}


def no_progress(fraction: float, text: str) -> None:
    """The progress of a detector nobody is watching."""


@dataclass(frozen=True)
class Budget:
    """How long a detector may learn. At most one is set; none set means the detector's own recipe.

    Schedules are functions of the fraction spent, so that one recipe serves every budget.

    Attributes:
        epochs: Passes over the training split.
        seconds: Of fitting, evaluation included.
        steps: Optimiser steps.
    """

    epochs: int | None = None
    seconds: float | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """A budget from text: ``20`` or ``20epochs``, ``60s``, ``5min``, ``500steps``; None, "" or ``recipe`` is the recipe.

        Raises:
            UserError: Where the text is none of these.
        """
        if not text or text == RECIPE:
            return cls()
        match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|min|h|epochs?|steps?)?\s*", text)
        unit = (match.group(2) or "epochs") if match else ""
        if match and float(match.group(1)) > 0:
            if unit in SECONDS:
                return cls(seconds=float(match.group(1)) * SECONDS[unit])
            if match.group(1).isdigit():
                number = int(match.group(1))
                return cls(steps=number) if unit.startswith("step") else cls(epochs=number)
        wrong = "leaves no time" if match and not float(match.group(1)) else "is not a budget"
        raise UserError(f"budget {text!r} {wrong}: write 20 (epochs), 60s, 5min or 500steps")

    @property
    def kind(self) -> str:
        """``epochs``, ``steps`` or ``seconds``; "" for the recipe."""
        return next((name for name in ("epochs", "steps", "seconds") if getattr(self, name) is not None), "")

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:.15g}s"
        if self.steps is not None:
            return f"{self.steps}steps"
        return RECIPE if self.epochs is None else f"{self.epochs}epochs"


@dataclass(frozen=True)
class Card:
    """What a detector says of itself, so that neither the harness nor a reader must read its code.

    What it is expected to score stands in no card, where it would go stale: `leaderboard.expected` has it of a
    study's runs.

    Attributes:
        reference: Paper, formula or upstream file it follows.
        version: Raised by whoever changes what the detector answers: it is part of a run's key, the code is not.
        multi_instance: Whether it answers any number of instances an image by itself; otherwise exactly one.
        has_confidence: Whether its scores carry confidence (else AP is marked as tied).
        ranked: False for a row that is shown for comparison, neither ranked nor tested (the training mean, a rule).
        rule_structured: The network's structure is the rule of a task itself.
        untrained: Whether its score before any training (a budget of 0 epochs) is reported beside the trained one.
        needs: What it cannot do without: "gpu", or of one the share it takes, as "gpu:0.25"; "memory:8GiB". Engines that
            place runs on machines ask for it.
        ablation: Parameters that remove its essential part, and so must change its score.
    """

    reference: str = ""
    version: int = 1
    multi_instance: bool = False
    has_confidence: bool = False
    ranked: bool = True
    rule_structured: bool = False
    untrained: bool = False
    needs: tuple[str, ...] = ()
    ablation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needed(self) -> dict[str, str]:
        """What it cannot do without, and how much of it; "" where it does not say."""
        return {name: amount for name, _, amount in (need.partition(":") for need in self.needs)}


class Detector:
    """Base class of every detector: learns from a train split, answers the images of a test split.

    Parameters of a detector are the keyword arguments of its ``__init__``, annotated and with defaults; a command
    line's ``name:key=value`` sets them. ``fit`` and ``predict`` are all a plugin writes.

    Attributes:
        card: What it says of itself.
        partial_labels: Whether it learns from instances some of whose keypoints are unlabelled: NaN in ``points``, 0 in
            ``annotations.visible``. Otherwise the harness hands it the fully labelled ones alone.
        longest_side: px, the longer side of the images it is shown where the user does not say; larger ones are resized.
        budgets: The kinds of budget it follows; any other leaves its recipe as it is.
        device: "cpu" or "cuda"; set by the harness before ``fit``, as ``threads`` and ``progress`` are.
        threads: Threads of every numeric library.
        progress: Called with the fraction done (0 to 1) and a few words.
        n_parameters: Number of learned parameters; ``fit`` may set it.
        notes: What ``fit`` chose, or what went wrong without an error, in sentences; ``fit`` may set it.
        pretraining_images: Images from elsewhere that it learned from; ``fit`` may set it. A run whose test split holds
            one of them fails.
        log: Messages of whatever it runs, kept in the run's log; ``fit`` and ``predict`` may set it.
    """

    card: ClassVar[Card] = Card()
    budgets: ClassVar[tuple[str, ...]] = ("epochs", "steps", "seconds")
    partial_labels: ClassVar[bool] = False
    longest_side: ClassVar[int] = 128
    device: str = "cpu"
    threads: int = 1
    n_parameters: int | None = None
    notes: Sequence[str] = ()
    pretraining_images: Sequence[Image] = ()
    progress: Progress = staticmethod(no_progress)
    log: str = ""

    def fit(
        self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget
    ) -> Sequence[HistoryRow] | None:
        """Learn from labelled images.

        Args:
            train: What to learn from.
            val: For selection only (by mean pixel error); nothing is trained on it.
            seed: Fixes everything that is drawn at random.
            budget: How long to learn.

        Returns:
            May return a history, a row an epoch: ``epoch``, ``seconds``, and where they apply ``loss``, ``train_px``,
            ``val_px``.
        """
        raise NotImplementedError

    def predict(self, images: Sequence[Image]) -> FloatArray | Sequence[Prediction]:
        """Answer unlabelled images.

        Args:
            images: N arrays, uint8, (H, W) or (H, W, 3) RGB.

        Returns:
            (N, K, 2) float64 pixels (x, y), one instance an image; or a `Prediction` an image, where there may be
            several. NaN is not an answer but an error: leave an instance out of a `Prediction` to say "nothing found".
        """
        raise NotImplementedError

    def heatmaps(self, images: Sequence[Image]) -> FloatArray | None:
        """Where the fitted detector sees each keypoint, if that is how it works: shown on pages, never scored.

        Args:
            images: N arrays, uint8, as `predict` is handed them.

        Returns:
            (N, K, h, w), at least 0; a map covers its image from edge to edge, at any resolution. None: it has none.
        """
        return None

    def graph(self) -> Any | None:
        """The fitted detector as one `torch.nn.Module`, decoding included: what ``export-model`` writes as ONNX.

        Returns:
            A module in eval mode from images (B, C, H, W) float32 in [0, 1], of the size and colours that it is shown, to
            points (B, K, 2) px of these images, an integer being a pixel's centre, and confidences (B,). None: it is no
            such module.
        """
        return None

    def wanted_side(self, annotations: Annotations) -> int:
        """The longer side that images should be shown at, by what is annotated on them, where the user does not say.

        Args:
            annotations: Of the training images.

        Returns:
            px; 0: as `shown_size` likes, whatever is annotated.
        """
        return 0

    def shown_size(self, commonest: Size, asked: int) -> Size:
        """The size that images are resized to before the detector sees them.

        Args:
            commonest: (height, width) in px of most training images.
            asked: px of the longer side that the user asked for; 0: as the detector likes.

        Returns:
            (height, width); as a rule the images' own where its longer side is at most ``longest_side``.
        """
        scale = (asked or self.longest_side) / max(commonest)
        return scaled(commonest, scale) if asked or scale < 1 else commonest

    def memory(self, data: LabeledImages) -> int:
        """About how many bytes fitting takes: asked before it starts, on images as they will be shown.

        Args:
            data: The training images; few of them should be looked at, for a look may decode a file.
        """
        return sum(image.nbytes for image in data.images[:1]) * len(data)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """What a fitted detector must remember to predict, as named arrays (stored with safetensors, never pickled)."""
        raise UserError(f"{type(self).__name__} cannot be saved: it defines no state()")

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become the fitted detector whose ``state()`` this was."""
        raise UserError(f"{type(self).__name__} cannot be restored: it defines no restore()")

    def handmade_features(self, images: Sequence[Image]) -> FloatArray | None:
        """The hand-made inputs it learns from, if any (raw pixels are not): (N, F) float64.

        The harness tests whether a linear fit on them already gives the answer, and marks the row "oracle features"
        where it does.
        """
        return None


def parameters(cls: type[Detector]) -> dict[str, inspect.Parameter]:
    """The parameters a detector class takes, by name: its ``__init__`` without ``self``."""
    if cls.__init__ is object.__init__:
        return {}
    own = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
