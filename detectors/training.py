"""The training loop that every detector with gradients shares, and the template such a detector fills in.

A detector gives a network, a loss and a decoding; this module gives it the rest, the same for all: images in memory as
uint8 tensors, an order fixed by the seed, budgets in epochs, steps or seconds with the learning rate a function of the
fraction spent, a history measured in eval mode (row 0: untrained), and the weights of the epoch with the smallest
pixel error on val. Where epochs tie, as they do once val is answered without an error, the smaller pixel error on train
decides, then the smaller loss on val, then the earlier epoch. Same seed, same machine, same threads: the same
predictions, bit for bit.

A budget in seconds follows the clock, so it can't repeat exactly; each history row records its ``step``, and a budget
of that many steps repeats the run up to the clock's jitter in the schedule.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch._dynamo  # the first optimiser would import it anyway: a second that is no part of any detector's fitting
from torch import Tensor, nn

from benchmark.detector import Budget, Detector, HistoryRow
from benchmark.structures import Annotations, FloatArray, Image, IntArray, LabeledImages, Prediction, UserError
from datasets.augment import augment, kinds
from detectors.pixels import Geometry, Pixels

Decoded = Tensor | Sequence[Prediction]


@dataclass(frozen=True)
class _Watched:
    """Images that the history is measured on."""

    annotations: Annotations
    pixels: Pixels
    points: Tensor | None


@dataclass(frozen=True)
class TrainConfig:
    """How a detector is trained where the budget doesn't say otherwise. ``lr`` is the schedule's peak."""

    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "onecycle", "cosine"] = "constant"
    clip: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not 0 < self.lr < math.inf:
            raise ValueError("epochs and batch are whole numbers from 1, and lr is above 0")


@dataclass(frozen=True)
class Batch:
    """Some training images of one size.

    images: (B, C, H, W) float32 in [0, 1]. points: (B, K, 2) float32 pixels of those images, or None where images hold
    other than one instance. positions: (B,) int64 into ``annotations``, the annotations of the whole split, from which a detector for
    many instances reads (see ``rows``). A position may stand twice in a batch.
    """

    images: Tensor
    points: Tensor | None
    positions: IntArray
    annotations: Annotations

    @property
    def targets(self) -> Tensor:
        """``points``, for detectors of one instance."""
        if self.points is None:
            raise UserError("this detector finds one instance an image, and this data holds other numbers of them")
        return self.points

    def rows(self) -> list[IntArray]:
        """For each image of the batch, the rows of its instances in ``annotations`` (keypoints, visible, boxes, areas)."""
        first = np.searchsorted(self.annotations.index, self.positions, side="left")
        last = np.searchsorted(self.annotations.index, self.positions, side="right")
        return [np.arange(a, b) for a, b in zip(first, last)]


def rate(schedule: str, fraction: float) -> float:
    """The learning rate as a share of its peak, at a fraction of the budget in [0, 1].

    onecycle: half a cosine from 1/25 up to 1 at .3, half a cosine down to 1e-4 at 1 (Smith and Topin 2018).
    """
    f = min(max(fraction, 0.0), 1.0)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * f))
    if schedule == "onecycle":
        low, high, part = (0.04, 1.0, f / 0.3) if f < 0.3 else (1e-4, 1.0, (1 - f) / 0.7)
        return low + (high - low) * 0.5 * (1 - math.cos(math.pi * part))
    return 1.0


class Spending:
    """How much of a budget is spent: by steps where they are known beforehand, else by the clock.

    ``overhead`` is the time one evaluation takes: a budget in seconds keeps it back for the last one.
    """

    def __init__(
        self,
        budget: Budget,
        epochs: int,
        per_epoch: int,
        *,
        start: float | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.total = None if budget.seconds is not None else budget.steps
        if budget.seconds is None and budget.steps is None:
            self.total = per_epoch * (budget.epochs if budget.epochs is not None else epochs)
        self.seconds = budget.seconds or 0.0
        self._now, self._start, self._last, self._pace = now, now() if start is None else start, now(), 0.0
        self.overhead = 0.0

    @property
    def elapsed(self) -> float:
        return self._now() - self._start

    def before(self, step: int) -> float | None:
        """The fraction at which step number ``step`` (from 0) is taken, 1 for the last; None: the budget is spent.

        By the clock, a step is taken where it fits as a whole, and the first one always is.
        """
        if self.total is not None:
            return None if step >= self.total else 1.0 if self.total == 1 else step / (self.total - 1)
        end = self.elapsed + self._pace
        room = self.seconds - self.overhead
        self._last = self._now()
        if end > room:
            return None if step else 1.0
        return min(1.0, end / room)

    def after(self) -> None:
        """A step has been taken."""
        took = self._now() - self._last
        self._pace = took if not self._pace else 0.8 * self._pace + 0.2 * took


class TorchDetector(Detector):
    """Template of a detector trained by gradients. A subclass sets ``train_config`` and gives build, loss and decode.

    fixed_size: the network takes one size only; images of others are resized to the commonest of the train split
    (bilinear, antialiased) and the points carried along. Otherwise batches are grouped by size.
    history_images: how many train images (evenly spaced) ``loss`` and ``train_px`` are measured on.
    augment: kinds of ``datasets.augment`` to apply anew each epoch, for one-instance data; "" is none. UserError for an
        unknown kind when it is set.
    amp: whether bfloat16 may be used for training on a GPU (decoding is float32 always).
    """

    train_config: TrainConfig = TrainConfig()
    fixed_size: ClassVar[bool] = False
    history_images: ClassVar[int] = 256
    eval_batch: ClassVar[int] = 256
    amp: ClassVar[bool] = True

    _augment: str = ""
    model: nn.Module
    geometry: Geometry

    @property
    def augment(self) -> str:
        return self._augment

    @augment.setter
    def augment(self, kind: str) -> None:
        if kind:
            kinds(kind)
        self._augment = kind

    # -- what a subclass gives

    def build(self, geometry: Geometry) -> nn.Module:
        """The untrained network; random numbers come from torch's generator, which the seed has set."""
        raise NotImplementedError

    def prepare(self, model: nn.Module, train: LabeledImages, seed: int) -> None:
        """What the network must know of the train split before it learns (means, scales): kept in its buffers."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The scalar to minimise. Called in train mode for learning, and in eval mode for the history."""
        raise NotImplementedError

    def decode(self, model: nn.Module, images: Tensor) -> Decoded:
        """(B, K, 2) pixels, or a Prediction an image, from (B, C, H, W) float32 in [0, 1]; in eval mode, no gradient."""
        raise NotImplementedError

    def groups(self, model: nn.Module) -> Iterable[dict[str, Any]]:
        """The optimiser's parameter groups; one may set its own ``lr`` (peak) and ``weight_decay``."""
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    # -- what it gets

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> list[HistoryRow]:
        """Train; rows: epoch, step, seconds, loss, train_px, val_loss, val_px. RuntimeError where a loss is not finite."""
        if not len(train):
            raise UserError("there are no training images")
        with _reproducible(seed, self.device):
            return self._fit(train, val, seed, budget)

    def _fit(self, train: LabeledImages, val: LabeledImages, seed: int, budget: Budget) -> list[HistoryRow]:
        config, start = self.train_config, time.perf_counter()
        self.geometry = Geometry.of(train)
        model = self.build(self.geometry)
        self.prepare(model, train, seed)
        self.model = model.to(self.device)
        self.n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        pixels = self._pixels(train.images)
        points = self._targets(pixels, train.annotations)
        shown = train.take(np.unique(np.linspace(0, len(train) - 1, min(len(train), self.history_images)).astype(int)))
        watched = [
            _Watched(data.annotations, found := self._pixels(data.images), self._targets(found, data.annotations))
            for data in (shown, val)
        ]
        order = np.random.default_rng(seed)
        per_epoch = len(_shuffled(pixels, config.batch, np.random.default_rng(seed)))
        spending = Spending(budget, config.epochs, per_epoch, start=start)
        parameters = [g for g in self.groups(model) if g["params"]]
        optimizer = _optimizer(config, parameters) if parameters else None
        rows: list[HistoryRow] = []
        best: tuple[tuple[float, float, float], dict[str, Tensor]] | None = None
        step = epoch = 0
        spent = optimizer is None
        while True:
            began = spending.elapsed
            row = {"epoch": float(epoch), "step": float(step), "seconds": 0.0}
            row |= self._measure(*watched)
            spending.overhead = spending.elapsed - began
            row["seconds"] = spending.elapsed
            rows.append(row)
            if bad := [name for name in ("loss", "val_loss", "val_px") if not math.isfinite(row.get(name, 0.0))]:
                raise RuntimeError(f"diverged at step {step}: {bad[0]} is {row[bad[0]]}")
            # Without a val split the last epoch stands.
            score = (row.get("val_px", -float(epoch)), row["train_px"], row.get("val_loss", 0.0))
            if best is None or score < best[0]:
                best = (score, {k: v.detach().clone() for k, v in model.state_dict().items()})
            if spent or optimizer is None:
                break
            epoch += 1
            if self.augment and points is not None:
                pixels, points = self._augmented(train, seed, epoch)
            model.train()
            for positions in _shuffled(pixels, config.batch, order):
                fraction = spending.before(step)
                if fraction is None:
                    spent = True
                    break
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate(config.schedule, fraction)
                self._step(optimizer, config, _batch(pixels, points, train.annotations, positions), step)
                step += 1
                spending.after()
                self.progress(fraction, f"epoch {epoch}" + (f", val {score[0]:.2f} px" if len(val) else ""))
            spent = spent or spending.before(step) is None
            if step == rows[-1]["step"]:
                break
        model.load_state_dict(best[1])
        model.eval()
        return rows

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

    def _augmented(self, train: LabeledImages, seed: int, epoch: int) -> tuple[Pixels, Tensor]:
        """This epoch's version of the training images."""
        mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
        images, moved = augment(train.images, train.points, seed=mixed, kind=self.augment)
        pixels = self._pixels(images)
        return pixels, torch.as_tensor(pixels.from_original(moved), dtype=torch.float32, device=self.device)

    @torch.no_grad()
    def _measure(self, train: _Watched, val: _Watched) -> HistoryRow:
        """Losses and pixel errors in eval mode; leaves the random numbers that training will draw untouched."""
        self.model.eval()
        row: HistoryRow = {}
        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            torch.manual_seed(0)
            for before, data in (("", train), ("val_", val)):
                if count := len(data.annotations):
                    total = 0.0
                    for positions in data.pixels.batches(np.arange(count), self.eval_batch):
                        batch = _batch(data.pixels, data.points, data.annotations, positions)
                        total += len(positions) * float(self.loss(self.model, batch))
                    row[before + "loss"] = total / count
                    row[(before or "train_") + "px"] = pixel_error(self._decode(data.pixels), data.annotations)
        return row

    @torch.no_grad()
    def _decode(self, pixels: Pixels) -> FloatArray | list[Prediction]:
        """Answers in the pixels of the images as they came, in their order."""
        array = np.full((len(pixels), self.geometry.keypoints, 2), np.nan)
        many: dict[int, Prediction] = {}
        for positions in pixels.batches(np.arange(len(pixels)), self.eval_batch):
            found = self.decode(self.model, pixels.floats(positions))
            if isinstance(found, Tensor):
                array[positions] = pixels.to_original(found.double().cpu().numpy(), positions)
            else:
                many.update(zip(positions.tolist(), found))
        return [many[i] for i in range(len(pixels))] if many else array

    def predict(self, images: Sequence[Image]) -> FloatArray | list[Prediction]:
        """(N, K, 2) float64 pixels, or a Prediction an image where the detector finds many."""
        self.model.eval()
        if not len(images) and self.card.multi_instance:
            return []
        with _reproducible(0, self.device):
            return self._decode(self._pixels(images))

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights and buffers as ``model.*``, and the geometry (K, H, W, C)."""
        weights = {f"model.{k}": v.detach().cpu().numpy().copy() for k, v in self.model.state_dict().items()}
        return {"geometry": np.array(astuple(self.geometry), dtype=np.int64), **weights}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Become the fitted detector whose ``state()`` this was. UserError where it is another detector's."""
        try:
            self.geometry = Geometry(*(int(v) for v in state["geometry"]))
            with _reproducible(0, self.device):
                self.model = self.build(self.geometry)
            weights = {k.removeprefix("model."): torch.as_tensor(v) for k, v in state.items() if k != "geometry"}
            self.model.load_state_dict(weights)
        except (KeyError, TypeError, RuntimeError) as error:
            raise UserError(f"these weights are not those of a {type(self).__name__}: {error}") from error
        self.model.to(self.device).eval()

    def _pixels(self, images: Sequence[Image]) -> Pixels:
        size = (self.geometry.height, self.geometry.width) if self.fixed_size else None
        return Pixels(images, self.geometry.channels, size, self.device)

    def _targets(self, pixels: Pixels, annotations: Annotations) -> Tensor | None:
        if not annotations.single_instance and self.card.multi_instance:
            return None
        return torch.as_tensor(pixels.from_original(annotations.points), dtype=torch.float32, device=self.device)


def pixel_error(found: FloatArray | Sequence[Prediction], annotations: Annotations) -> float:
    """The mean distance in px that selects epochs: over images and keypoints, or over instances where there are many.

    With many, the M best-scored predictions of an image with M instances stand for it; each instance is compared with
    the nearest of them, and a missing one counts as the image's diagonal.
    """
    if isinstance(found, np.ndarray):
        return float(np.linalg.norm(found - annotations.points, axis=-1).mean())
    errors = []
    for i, prediction in enumerate(found):
        rows = np.arange(*np.searchsorted(annotations.index, [i, i + 1]))
        best = np.argsort(-prediction.scores, kind="stable")[: len(rows)]
        for row in rows:
            seen = annotations.visible[row] > 0
            if seen.any():
                away = np.linalg.norm(prediction.keypoints[best][:, seen] - annotations.keypoints[row, seen], axis=-1)
                errors.append(away.mean(axis=1).min() if len(best) else float(np.hypot(*annotations.sizes[i])))
    return float(np.mean(errors)) if errors else 0.0


def _batch(pixels: Pixels, points: Tensor | None, annotations: Annotations, positions: IntArray) -> Batch:
    chosen = None if points is None else points.index_select(0, torch.from_numpy(positions).to(points.device))
    return Batch(pixels.floats(positions), chosen, positions, annotations)


def _shuffled(pixels: Pixels, size: int, order: np.random.Generator) -> list[IntArray]:
    """An epoch's batches. A batch of one image would break batch normalisation: it joins another, or stands twice."""
    batches: list[IntArray] = []
    for found in pixels.batches(order.permutation(len(pixels)), size):
        if len(found) == 1 and batches and pixels.same_size(batches[-1][0], found[0]):
            batches[-1] = np.concatenate([batches[-1], found])
        else:
            batches.append(np.repeat(found, 2) if len(found) == 1 else found)
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
