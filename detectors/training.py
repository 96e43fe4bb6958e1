"""The training loop that every detector with gradients shares, and the template such a detector fills in.

A detector gives a network, a loss and a decoding; this module gives it the rest, the same for all: images in memory as
tensors, an order fixed by the seed, budgets in epochs, steps or seconds with the learning rate a function of the
fraction spent, a history measured in eval mode (row 0: untrained), and the weights of the epoch with the smallest
pixel error on val. Where epochs tie, as they do once val is answered without an error, the smaller pixel error on train
decides, then the smaller loss on val, then the earlier epoch. Same seed, same machine, same threads: the same
predictions, bit for bit.

A budget in seconds follows the clock, so it can't repeat exactly; each history row records its ``step``, and a budget
of that many steps repeats the run up to the clock's jitter in the schedule.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch._dynamo  # the first optimiser would import it anyway: a second that is no part of any detector's fitting
from torch import Tensor, nn

from benchmark.detector import Budget, Detector, HistoryRow
from benchmark.metrics.pixels import distance
from benchmark.structures import Annotations, FloatArray, Image, IntArray, LabeledImages, Prediction, UserError
from datasets.augment import NONE, augment, kinds, usual
from detectors.budget import BudgetTracker, rate
from detectors.layers.pixels import KEPT, Geometry, Pixels

Decoded = Tensor | Sequence[Prediction]
BATCH_PIXELS = 1 << 19  # of a batch of images that is learned from: 32 of 128 x 128
EVAL_PIXELS = 1 << 21  # of a batch that is answered
LEAST_STEPS = 240  # of recipes made for 568 images, on which they take more
LARGE_PIXELS = 1 << 13  # of an image; of larger ones
LARGE_BATCH = 16  # so many make a batch at most
LARGE_SHOWN = 16  # and so many of train are enough for the history
ACTIVATIONS = 256  # numbers that training keeps for a pixel, about: a U-Net's


@dataclass(frozen=True)
class _Measured:
    """Images that the history is measured on, and their points (N, K, 2) in px of the tensors, NaN if unlabelled."""

    annotations: Annotations
    pixels: Pixels
    points: Tensor | None


@dataclass(frozen=True)
class TrainConfig:
    """How a detector is trained where the budget doesn't say otherwise.

    Attributes:
        epochs: Passes over the training split.
        least_steps: Optimiser steps at least: with few images, a pass is few of them.
        batch: Images in a batch.
        lr: Learning rate at the schedule's peak.
        optimizer: ``adam``, ``adamw``, or ``sgd`` with a momentum of .9.
        weight_decay: The optimiser's.
        schedule: See `rate`.
        clip: Largest norm of the gradient; 0 for no limit.
        select_from: Share of the budget before which no epoch is selected, where there is a later one: a short recipe's
            weights are worth most once its learning rate has come down, and val splits of few images tie long before.
    """

    epochs: int = 30
    least_steps: int = 0
    batch: int = 32
    lr: float = 1e-3
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "onecycle", "cosine"] = "constant"
    clip: float = 0.0
    select_from: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not 0 < self.lr < math.inf:
            raise ValueError("epochs and batch are whole numbers from 1, and lr is above 0")

    def with_epochs(self, epochs: int) -> TrainConfig:
        """The same for so many passes; where a user asks for other than the recipe's, they are what is done."""
        return self if epochs == self.epochs else replace(self, epochs=epochs, least_steps=0)


@dataclass(frozen=True)
class Batch:
    """Some images of one size and what is known of them.

    Attributes:
        images: (B, C, H, W) float32 in [0, 1].
        points: (B, K, 2) float32, pixels of those images, (0, 0) where a keypoint is not labelled; None where images hold
            other than one instance.
        positions: (B,) int64 into ``annotations``. A position may stand twice in a batch.
        annotations: Of the whole split; a detector for several instances reads them by `rows`.
        labelled: (B, K) bool, the keypoints that ``points`` knows; None where it knows all. Losses are taken of these
            (`detectors.layers.labelled.select`).
    """

    images: Tensor
    points: Tensor | None
    positions: IntArray
    annotations: Annotations
    labelled: Tensor | None = None

    @property
    def targets(self) -> Tensor:
        """(B, K, 2) float32 px: ``points``, for detectors of one instance.

        Raises:
            UserError: Where images hold other than one instance.
        """
        if self.points is None:
            raise UserError("this detector finds one instance an image, and this data holds other numbers of them")
        return self.points

    def rows(self) -> list[IntArray]:
        """For each image of the batch, the rows of its instances in the arrays of ``annotations``."""
        first = np.searchsorted(self.annotations.index, self.positions, side="left")
        last = np.searchsorted(self.annotations.index, self.positions, side="right")
        return [np.arange(a, b) for a, b in zip(first, last)]


def affordable(batch: int, pixels: int, limit: int = BATCH_PIXELS) -> int:
    """How many images a batch may hold: ``batch``, less where they are large.

    Args:
        batch: Images that were asked for.
        pixels: Of one image.
        limit: Pixels of all of them.
    """
    return max(1, min(batch, limit // pixels))


class TorchDetector(Detector):
    """Template of a detector trained by gradients. A subclass sets ``train_config`` and gives build, loss and decode.

    Attributes:
        train_config: How it is trained where the budget doesn't say otherwise.
        fixed_size: Whether the network takes one size only: images of others are resized to the commonest of the train
            split (bilinear, antialiased) and the points carried along. Otherwise batches are grouped by size.
        partial_labels: See `Detector`; a loss of such a detector looks at ``batch.labelled``.
        history_images: How many train images (evenly spaced) ``loss`` and ``train_px`` are measured on.
        val_images: How many val images (evenly spaced) select, at most: thousands tell epochs apart as well as all do.
        eval_batch: Images in a batch where nothing is learned.
        amp: Whether bfloat16 may be used for training on a GPU (decoding is float32 always).
        model: The network, once built.
        geometry: What its shape depends on, once fitted.
    """

    train_config: TrainConfig = TrainConfig()
    fixed_size: ClassVar[bool] = False
    history_images: ClassVar[int] = 256
    val_images: ClassVar[int] = 2000
    eval_batch: ClassVar[int] = 256
    amp: ClassVar[bool] = True

    _augment: str = ""
    notes: list[str] = []
    model: nn.Module
    geometry: Geometry

    @property
    def augment(self) -> str:
        """Kinds of `datasets.augment` to apply anew each epoch, joined by '+', for one-instance data.

        "" is what `datasets.augment.usual` says of the training images (nothing, of digits), and ``none`` is none.

        Raises:
            UserError: For an unknown kind, when it is set.
        """
        return self._augment

    @augment.setter
    def augment(self, kind: str) -> None:
        if kind not in ("", NONE):
            kinds(kind)
        self._augment = kind

    # -- what a subclass gives

    def build(self, geometry: Geometry) -> nn.Module:
        """The untrained network; random numbers come from torch's generator, which the seed has set.

        Args:
            geometry: What its shape depends on.

        Returns:
            The network; all that it must remember is in its parameters and buffers.
        """
        raise NotImplementedError

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        """Give the network what it must know of the train split before it learns (means, scales), kept in its buffers.

        Args:
            model: The network that `build` made.
            train: The training split.
            seed: The seed of the fit.
        """

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The scalar to minimise. Called in train mode for learning, and in eval mode for the history.

        Args:
            model: The network.
            batch: Images and what is known of them.

        Returns:
            The mean loss of the images of the batch.
        """
        raise NotImplementedError

    def decode(self, model: nn.Module, images: Tensor) -> Decoded:
        """The answers for some images; called in eval mode, without gradients.

        Args:
            model: The network.
            images: (B, C, H, W) float32 in [0, 1].

        Returns:
            (B, K, 2) pixels of these images; or a `Prediction` an image.
        """
        raise NotImplementedError

    def loss_and_answers(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Decoded]:
        """`loss` and `decode` of the same images, for the history; a subclass may compute once what both need.

        Args:
            model: The network, in eval mode.
            batch: Images and what is known of them.

        Returns:
            What `loss` and what `decode` give.
        """
        return self.loss(model, batch), self.decode(model, batch.images)

    def points_and_scores(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """`decode` as tensors alone, for a detector of one instance an image: what an exported graph computes.

        Args:
            model: The network.
            images: (B, C, H, W) float32 in [0, 1].

        Returns:
            (B, K, 2) pixels of these images, and (B,) confidences: 1 where a detector has none.
        """
        points = self.decode(model, images)
        if not isinstance(points, Tensor):
            raise TypeError(f"{type(self).__name__} answers in instances, not in one tensor")
        return points, points.new_ones(points.shape[0])

    def groups(self, model: nn.Module) -> Iterable[dict[str, Any]]:
        """The optimiser's parameter groups.

        Args:
            model: The network.

        Returns:
            Groups as torch's optimisers take them; one may set its own ``lr`` (at the schedule's peak) and
            ``weight_decay``.
        """
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def recipe(self, geometry: Geometry) -> TrainConfig:
        """How images of that geometry are learned from where the budget doesn't say otherwise: ``train_config``."""
        return self.train_config

    def affordable_batch(self, geometry: Geometry) -> int:
        """Images in a batch that is learned from: the recipe's, less where they are large.

        With few large ones, steps are worth more than images in them.
        """
        pixels, batch = geometry.height * geometry.width, self.recipe(geometry).batch
        most = min(batch, LARGE_BATCH) if pixels > LARGE_PIXELS else batch
        return affordable(most, pixels, self.batch_pixels(geometry))

    def batch_pixels(self, geometry: Geometry) -> int:
        """How many pixels a batch may have, where memory and time are to last."""
        return BATCH_PIXELS

    # -- what it gets

    def memory(self, data: LabeledImages) -> int:
        """The images, as far as they are kept; four numbers a weight (Adam's); and about what a batch leaves behind."""
        if not len(data):
            return 0
        first = LabeledImages(data.images[:1], data.annotations.take([0]))
        self.geometry = geometry = Geometry.of(first)
        pixels = geometry.height * geometry.width
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            try:
                weights = sum(p.numel() for p in self.build(geometry).parameters())
            except (RuntimeError, NotImplementedError):  # a network that looks at numbers while it is built
                weights = 0
        batch = self.affordable_batch(geometry)
        return min(super().memory(data), KEPT) + 16 * weights + 4 * ACTIVATIONS * batch * pixels

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> list[HistoryRow]:
        """Train, and keep the weights of the best epoch; see `Detector.fit`.

        Args:
            train: What to learn from.
            val: For selection only.
            seed: Fixes everything that is drawn at random.
            budget: How long to learn; ``train_config`` says so where it doesn't.

        Returns:
            A row an epoch, the untrained network's first: epoch, step, seconds, loss, train_px, val_loss, val_px.

        Raises:
            UserError: Where there are no training images.
            RuntimeError: Where a loss is not finite.
        """
        if not len(train):
            raise UserError("there are no training images")
        with _reproducible(seed, self.device):
            return self._fit(train, val, seed, budget)

    def _fit(self, train: LabeledImages, val: LabeledImages, seed: int, budget: Budget) -> list[HistoryRow]:
        start = time.perf_counter()
        self.notes = []
        self.geometry = Geometry.of(train)
        config = replace(self.recipe(self.geometry), batch=self.affordable_batch(self.geometry))
        model = self.build(self.geometry)
        self.prepare(model, train, seed)
        self.model = model.to(self.device)
        self.n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        pixels = self._pixels(train.images)
        points = self._targets(pixels, train.annotations)
        shown, selecting = (
            _Measured(data.annotations, own := self._pixels(data.images), self._targets(own, data.annotations))
            for data in (_spaced(train, self._history_images), _spaced(val, self.val_images))
        )
        kind = "" if points is None or self.card.multi_instance else self._augmentation(train)
        order = np.random.default_rng(seed)
        per_epoch = len(_shuffled(pixels, config.batch, np.random.default_rng(seed)))
        epochs = max(config.epochs, math.ceil(config.least_steps / per_epoch))
        tracker = BudgetTracker(budget, epochs, per_epoch, start=start)
        # Passes a measurement: where they are many and short, they are measured as often as the recipe has passes.
        rest = 1 if budget.kind else max(1, epochs // config.epochs)
        parameters = [g for g in self.groups(model) if g["params"]]
        optimizer = _optimizer(config, parameters) if parameters else None
        rows: list[HistoryRow] = []
        best: tuple[tuple[float, float, float], dict[str, Tensor]] | None = None
        step = epoch = 0
        early, spent = False, optimizer is None
        while True:
            began = tracker.elapsed
            row = {"epoch": float(epoch), "step": float(step), "seconds": 0.0}
            fraction = tracker.fraction(step)
            done = 1.0 if fraction is None else fraction
            row |= self._measure(shown, selecting, done)
            tracker.measured(began)
            row["seconds"] = tracker.elapsed
            rows.append(row)
            if bad := [name for name in ("loss", "val_loss", "val_px") if not math.isfinite(row.get(name, 0.0))]:
                raise RuntimeError(f"diverged at step {step}: {bad[0]} is {row[bad[0]]}")
            # Without a val split the last epoch stands.
            score = (row.get("val_px", -float(epoch)), row["train_px"], row.get("val_loss", 0.0))
            if best is None or early or score < best[0]:
                best = (score, {k: v.detach().clone() for k, v in model.state_dict().items()})
            early = done < config.select_from
            if spent or optimizer is None:
                break
            model.train()
            for passed in itertools.count(1):
                epoch += 1
                if kind:
                    pixels, points = self._augmented(train, kind, seed, epoch)
                for positions in _shuffled(pixels, config.batch, order):
                    fraction = tracker.fraction(step)
                    if fraction is None:
                        spent = True
                        break
                    for group in optimizer.param_groups:
                        group["lr"] = group["peak"] * rate(config.schedule, fraction)
                    self._step(optimizer, config, _batch(pixels, points, train.annotations, positions), step)
                    step += 1
                    tracker.step_taken()
                    self.progress(fraction, f"epoch {epoch}" + (f", val {score[0]:.2f} px" if len(val) else ""))
                spent = spent or tracker.fraction(step) is None
                if spent or (passed >= rest and tracker.worth_measuring):
                    break
            if step == rows[-1]["step"]:
                break
        if budget.kind and step < epochs * per_epoch:
            self._say_if_stopped_early(rows, train, val, step, epochs * per_epoch)
        model.load_state_dict(best[1])
        model.eval()
        return rows

    def _say_if_stopped_early(
        self, rows: list[HistoryRow], train: LabeledImages, val: LabeledImages, steps: int, recipe: int
    ) -> None:
        """A note where a budget ended before anything was learned: a row behind ``mean`` should not be a riddle."""
        if self.card.multi_instance or not len(val):
            return
        points = train.points
        known = ~np.isnan(points[..., 0])
        mean = np.nan_to_num(points).sum(axis=0) / np.maximum(known.sum(axis=0), 1)[:, None]
        floor = pixel_error(np.broadcast_to(mean, (len(val), *mean.shape)), val.annotations)
        if min(row["val_px"] for row in rows) >= floor:
            self.notes.append(
                f"after {steps} of its recipe's {recipe} steps it is no better on val than the mean of the training "
                "points: give it a longer budget"
            )

    def _step(self, optimizer: torch.optim.Optimizer, config: TrainConfig, batch: Batch, step: int) -> None:
        on_gpu = self.amp and self.device.startswith("cuda")
        with torch.autocast("cuda", torch.bfloat16) if on_gpu else contextlib.nullcontext():
            loss = self.loss(self.model, batch)
        if not math.isfinite(value := float(loss.detach())):
            raise RuntimeError(f"diverged at step {step}: the loss is {value}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        optimizer.step()

    def _augmentation(self, train: LabeledImages) -> str:
        """The kinds that are applied, and a note where nobody asked for them."""
        if self.augment:
            return "" if self.augment == NONE else self.augment
        kind = usual(train.images, train.annotations.flip_pairs) if self.partial_labels else ""
        if kind:
            self.notes.append(
                f"few photographs: they are varied anew each epoch ({kind}; augment=none leaves them as they are)"
            )
        return kind

    def _augmented(self, train: LabeledImages, kind: str, seed: int, epoch: int) -> tuple[Pixels, Tensor]:
        """This epoch's version of the training images."""
        mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
        pairs = train.annotations.flip_pairs
        images, moved = augment(train.images, train.points, seed=mixed, kind=kind, flip_pairs=pairs)
        pixels = self._pixels(images)
        return pixels, torch.as_tensor(pixels.from_original(moved), dtype=torch.float32, device=self.device)

    @torch.no_grad()
    def _measure(self, train: _Measured, val: _Measured, done: float) -> HistoryRow:
        """Losses and pixel errors in eval mode; leaves the random numbers that training will draw untouched.

        done: how far training is, for whoever watches.
        """
        self.model.eval()
        row: HistoryRow = {}
        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            torch.manual_seed(0)
            for before, data in (("", train), ("val_", val)):
                if count := len(data.annotations):
                    total, answers = 0.0, _Answers(data.pixels, self.geometry.keypoints)
                    for positions in data.pixels.batches(np.arange(count), self._eval_batch):
                        batch = _batch(data.pixels, data.points, data.annotations, positions)
                        loss, decoded = self.loss_and_answers(self.model, batch)
                        total += len(positions) * float(loss)
                        answers.add(positions, decoded)
                        self.progress(done, f"measuring on {'val' if before else 'train'}")
                    row[before + "loss"] = total / count
                    row[(before or "train_") + "px"] = pixel_error(answers.of_all(), data.annotations)
        return row

    @torch.no_grad()
    def _decode(self, pixels: Pixels) -> FloatArray | list[Prediction]:
        """Answers in the pixels of the images as they came, in their order."""
        answers = _Answers(pixels, self.geometry.keypoints)
        for positions in pixels.batches(np.arange(len(pixels)), self._eval_batch):
            answers.add(positions, self.decode(self.model, pixels.floats(positions)))
        return answers.of_all()

    def predict(self, images: Sequence[Image]) -> FloatArray | list[Prediction]:
        """(N, K, 2) float64 pixels, or a `Prediction` an image where `decode` gives those; see `Detector.predict`."""
        self.model.eval()
        if not len(images) and self.card.multi_instance:
            return []
        with _reproducible(0, self.device):
            return self._decode(self._pixels(images))

    def graph(self) -> nn.Module | None:
        """`points_and_scores` of the fitted network as a module; None for several instances. See `Detector.graph`."""
        return None if self.card.multi_instance else _Graph(self).eval()

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights and buffers as ``model.*``, the geometry (K, H, W, C), and the category ids, both int64."""
        weights = {f"model.{k}": v.detach().cpu().numpy().copy() for k, v in self.model.state_dict().items()}
        *shape, categories = astuple(self.geometry)
        geometry = {"geometry": np.array(shape, dtype=np.int64), "category_ids": np.array(categories, dtype=np.int64)}
        return {**geometry, **weights}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become the fitted detector whose ``state()`` this was.

        Raises:
            UserError: Where it is another detector's.
        """
        try:
            keypoints, height, width, channels = state["geometry"].tolist()
            self.geometry = Geometry(keypoints, height, width, channels, tuple(state["category_ids"].tolist()))
            with _reproducible(0, self.device):
                self.model = self.build(self.geometry)
            weights = {k.removeprefix("model."): torch.as_tensor(v) for k, v in state.items() if k.startswith("model.")}
            self.model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"these weights are not those of a {type(self).__name__}: {error}") from error
        self.model.to(self.device).eval()

    @property
    def _history_images(self) -> int:
        """Fewer where images are large: what they show is a curve, and the time is better spent on learning."""
        large = self.geometry.height * self.geometry.width > LARGE_PIXELS
        return min(self.history_images, LARGE_SHOWN) if large else self.history_images

    @property
    def _eval_batch(self) -> int:
        return affordable(self.eval_batch, self.geometry.height * self.geometry.width, EVAL_PIXELS)

    def _pixels(self, images: Sequence[Image]) -> Pixels:
        size = (self.geometry.height, self.geometry.width) if self.fixed_size else None
        return Pixels(images, self.geometry.channels, size, self.device)

    def _targets(self, pixels: Pixels, annotations: Annotations) -> Tensor | None:
        if not annotations.single_instance and self.card.multi_instance:
            return None
        return torch.as_tensor(pixels.from_original(annotations.points), dtype=torch.float32, device=self.device)


class _Answers:
    """Collects what `TorchDetector.decode` says of batches, in the pixels of the images as they came."""

    def __init__(self, pixels: Pixels, keypoints: int) -> None:
        self._pixels, self._array = pixels, np.full((len(pixels), keypoints, 2), np.nan)
        self._predictions: dict[int, Prediction] = {}

    def add(self, positions: IntArray, answers: Decoded) -> None:
        """Keep the answers for the images at ``positions``."""
        if isinstance(answers, Tensor):
            self._array[positions] = self._pixels.to_original(answers.double().cpu().numpy(), positions)
        else:
            self._predictions.update(zip(positions.tolist(), answers))

    def of_all(self) -> FloatArray | list[Prediction]:
        """The answers for all images, in their order."""
        return [self._predictions[i] for i in range(len(self._array))] if self._predictions else self._array


class _Graph(nn.Module):
    """A fitted detector as a module."""

    def __init__(self, detector: TorchDetector) -> None:
        super().__init__()
        self.model, self._answers = detector.model, detector.points_and_scores

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) float32 in [0, 1] to (B, K, 2) px and (B,) confidences."""
        return self._answers(self.model, images)


def pixel_error(answers: FloatArray | Sequence[Prediction], annotations: Annotations) -> float:
    """The mean distance that selects epochs: over images and keypoints, or over instances where there may be several.

    With several, the M best-scored predictions of an image with M instances stand for it; each instance is compared
    with the nearest of them, and a missing one counts as the image's diagonal.

    Args:
        answers: (N, K, 2) px, or a `Prediction` an image.
        annotations: Of the N images.

    Returns:
        px; 0 where nothing is labelled.
    """
    if isinstance(answers, np.ndarray):
        errors = distance(answers - annotations.points)
        known = ~np.isnan(errors)
        return float(errors.mean() if known.all() else errors[known].mean()) if known.any() else 0.0
    of_instances = []
    for i, prediction in enumerate(answers):
        rows = np.arange(*np.searchsorted(annotations.index, [i, i + 1]))
        best = np.argsort(-prediction.scores, kind="stable")[: len(rows)]
        for row in rows:
            labelled = annotations.visible[row] > 0
            if labelled.any():
                offsets = prediction.keypoints[best][:, labelled] - annotations.keypoints[row, labelled]
                diagonal = float(np.hypot(*annotations.sizes[i]))
                of_instances.append(distance(offsets).mean(axis=1).min() if len(best) else diagonal)
    return float(np.mean(of_instances)) if of_instances else 0.0


def _batch(pixels: Pixels, points: Tensor | None, annotations: Annotations, positions: IntArray) -> Batch:
    images = pixels.floats(positions)
    if points is None:
        return Batch(images, None, positions, annotations)
    chosen = points.index_select(0, torch.from_numpy(positions).to(points.device))
    known = ~torch.isnan(chosen[..., 0])
    if bool(known.all()):
        return Batch(images, chosen, positions, annotations)
    return Batch(images, torch.nan_to_num(chosen), positions, annotations, known)


def _spaced(data: LabeledImages, most: int) -> LabeledImages:
    """At most so many of the images, evenly spaced."""
    if len(data) <= most:
        return data
    return data.take(np.unique(np.linspace(0, len(data) - 1, most).astype(int)))


def _shuffled(pixels: Pixels, size: int, order: np.random.Generator) -> list[IntArray]:
    """An epoch's batches. A batch of one image would break batch normalisation: it joins another, or stands twice."""
    batches: list[IntArray] = []
    for positions in pixels.batches(order.permutation(len(pixels)), size):
        if len(positions) == 1 and batches and pixels.same_size(batches[-1][0], positions[0]):
            batches[-1] = np.concatenate([batches[-1], positions])
        else:
            batches.append(np.repeat(positions, 2) if len(positions) == 1 else positions)
    if pixels.sizes == 1:
        return batches
    return [batches[i] for i in order.permutation(len(batches))]


def _optimizer(config: TrainConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    peaked = [{**g, "peak": g.get("lr", config.lr)} for g in groups]
    if config.optimizer == "sgd":
        return torch.optim.SGD(peaked, lr=config.lr, momentum=0.9, weight_decay=config.weight_decay, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(peaked, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _fill(on: bool) -> None:
    """Whether fresh memory is filled with NaN in deterministic mode: a safety net that costs time."""
    torch._C._set_deterministic_fill_uninitialized_memory(on)


@contextlib.contextmanager
def _reproducible(seed: int, device: str) -> Iterator[None]:
    """Deterministic kernels and torch's generators at ``seed``; everything is put back afterwards."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before, fill = torch.get_deterministic_debug_mode(), torch._C._get_deterministic_fill_uninitialized_memory()
    torch.set_deterministic_debug_mode("warn" if on_gpu else "error")
    _fill(False)
    try:
        with torch.random.fork_rng(devices=None if on_gpu else []):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
        _fill(fill)
