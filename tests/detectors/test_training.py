"""The shared training loop: budgets, schedules, selection, history, repeating, groups, augmentation, odd data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.conformance import rectangles
from benchmark.detector import Budget
from benchmark.structures import LabeledImages, Prediction, UserError
from datasets.images import grey
from detectors.budget import BudgetTracker, rate
from detectors.layers.pixels import Geometry, Pixels
from detectors.training import TorchDetector, TrainConfig, pixel_error

pytestmark = pytest.mark.fits

NO_BUDGET = Budget()  # the detector's own configuration
TRAIN, VAL = rectangles(40, height=12, width=10, seed=1), rectangles(8, height=12, width=10, seed=2)


class Net(nn.Module):
    """A linear layer with dropout, so that train and eval mode differ."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(geometry.channels * geometry.height * geometry.width, 2 * geometry.keypoints)
        self.shape = (-1, geometry.keypoints, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop(images.flatten(1))).view(self.shape)


class Toy(TorchDetector):
    """Linear regression that notes what the loop does with it."""

    train_config = TrainConfig(epochs=3, batch=16, lr=0.01)
    fixed_size = True

    def __init__(self, config: TrainConfig | None = None, scale: float = 1.0, augment: str = "") -> None:
        self.train_config, self.scale, self.augment = config or self.train_config, scale, augment
        self.modes: list[bool] = []
        self.batches: list[torch.Tensor] = []
        self.points: list[torch.Tensor] = []

    def build(self, geometry: Geometry) -> nn.Module:
        return Net(geometry)

    def loss(self, model, batch):
        self.modes.append(model.training)
        if model.training:
            self.batches.append(batch.images)
            self.points.append(batch.targets)
        return self.scale * nn.functional.mse_loss(model(batch.images), batch.targets)

    def decode(self, model, images):
        return model(images)


def fitted(*, budget: Budget = NO_BUDGET, seed: int = 0, train: LabeledImages = TRAIN, **how: Any) -> tuple[Toy, list]:
    detector = Toy(**how)
    return detector, detector.fit(train, VAL, seed=seed, budget=budget)


@pytest.mark.parametrize(
    ("budget", "epochs", "steps"),
    [
        (Budget(), [0, 1, 2, 3], [0, 3, 6, 9]),
        (Budget(epochs=1), [0, 1], [0, 3]),
        (Budget(steps=4), [0, 1, 2], [0, 3, 4]),
        (Budget(epochs=0), [0], [0]),
    ],
)
def test_a_budget_is_spent_to_the_step(budget, epochs, steps):
    detector, rows = fitted(budget=budget)
    assert [row["epoch"] for row in rows] == epochs
    assert [row["step"] for row in rows] == steps
    assert len(detector.batches) == steps[-1]


class Clock:
    """A clock that moves when it is told to."""

    time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize("took", [0.3, 1.0, 2.5])
def test_seconds_are_kept_by_the_clock(took):
    clock = Clock()
    tracker = BudgetTracker(Budget(seconds=10), epochs=1, per_epoch=3, now=clock)
    fractions = []
    while (fraction := tracker.fraction(len(fractions))) is not None:
        fractions.append(fraction)
        clock.time += took
        tracker.step_taken()
    assert len(fractions) == int(10 / took + 1e-9)
    assert tracker.elapsed <= 10
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0
    assert fractions[-1] == pytest.approx(1, abs=took / 10)


def test_by_the_clock_measuring_takes_a_tenth_and_room_is_left_for_the_last():
    clock = Clock()
    tracker = BudgetTracker(Budget(seconds=100), epochs=1, per_epoch=3, now=clock)
    clock.time += 2
    tracker.measured(began=0.0)
    steps = 0
    while tracker.fraction(steps) is not None:
        clock.time += 1
        tracker.step_taken()
        steps += 1
        assert tracker.worth_measuring == (steps >= 18)  # nine times the two seconds
    assert steps == 96
    assert tracker.elapsed + tracker.overhead == 100
    assert BudgetTracker(Budget(steps=9), epochs=1, per_epoch=3, now=clock).worth_measuring


def test_a_budget_that_ends_before_anything_is_learned_says_so():
    detector, _ = fitted(budget=Budget(steps=1), config=TrainConfig(epochs=3, batch=16, lr=1e-9))
    assert detector.notes == [
        "after 1 of its recipe's 9 steps it is no better on val than the mean of the training points: "
        "give it a longer budget"
    ]
    whole, _ = fitted(budget=Budget(epochs=3), config=TrainConfig(epochs=3, batch=16, lr=1e-9))
    assert whole.notes == []  # that is the recipe: what it is worth, its score says


def test_a_step_longer_than_the_budget_is_taken_once():
    clock = Clock()
    tracker = BudgetTracker(Budget(seconds=1), epochs=1, per_epoch=3, now=clock)
    assert tracker.fraction(0) is not None
    clock.time += 5
    tracker.step_taken()
    assert tracker.fraction(1) is None


def test_the_last_evaluation_is_kept_back_from_the_seconds():
    clock = Clock()
    tracker = BudgetTracker(Budget(seconds=10), epochs=1, per_epoch=3, now=clock)
    tracker.overhead = 4.0
    taken = 0
    while tracker.fraction(taken) is not None:
        taken, clock.time = taken + 1, clock.time + 1
        tracker.step_taken()
    assert taken == 6


def test_seconds_of_a_real_fit_are_bounded():
    _, rows = fitted(budget=Budget(seconds=0.3))
    assert rows[-1]["step"] > 0
    assert rows[-1]["seconds"] < 10  # a machine may be busy; what the clock decides is tested with a clock of our own


def test_fractions_of_steps_run_from_0_to_1():
    tracker = BudgetTracker(Budget(epochs=2), epochs=9, per_epoch=3)
    assert [tracker.fraction(i) for i in range(7)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, None])
    assert BudgetTracker(Budget(steps=1), epochs=9, per_epoch=3).fraction(0) == 1


def test_schedules_have_their_shapes():
    at = np.linspace(0, 1, 101)
    constant, cosine, onecycle = ([rate(name, f) for f in at] for name in ("constant", "cosine", "onecycle"))
    assert set(constant) == {1.0}
    assert cosine == pytest.approx([0.5 * (1 + math.cos(math.pi * f)) for f in at])
    assert onecycle[0] == pytest.approx(0.04)
    assert onecycle[-1] == pytest.approx(1e-4)
    assert int(np.argmax(onecycle)) == 30
    assert onecycle[30] == pytest.approx(1)
    assert (np.diff(onecycle[:31]) > 0).all()
    assert (np.diff(onecycle[30:]) < 0).all()
    assert rate("cosine", -1) == 1
    assert rate("onecycle", 2) == pytest.approx(1e-4)


def test_rates_follow_the_schedule_in_every_group(monkeypatch):
    rates: list[list[float]] = []

    class Grouped(Toy):
        def groups(self, model):
            return [{"params": [model.out.weight]}, {"params": [model.out.bias], "lr": 0.5}, {"params": []}]

        def _step(self, optimizer, *rest):
            rates.append([group["lr"] for group in optimizer.param_groups])
            super()._step(optimizer, *rest)

    Grouped(TrainConfig(epochs=2, batch=16, lr=0.01, schedule="cosine")).fit(TRAIN, VAL, seed=0, budget=Budget())
    shares = [rate("cosine", i / 5) for i in range(6)]
    assert np.array(rates) == pytest.approx(np.outer(shares, [0.01, 0.5]))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimiser_learns(optimizer):
    _, rows = fitted(config=TrainConfig(epochs=20, batch=16, lr=1e-2, optimizer=optimizer, clip=1.0))
    assert min(row["loss"] for row in rows) < 0.8 * rows[0]["loss"]


class Passing(TorchDetector):
    """Answers one point for all images, which moves a pixel an epoch towards a far corner, past the points of val."""

    train_config = TrainConfig(epochs=12, batch=100, lr=1.0, optimizer="sgd")

    def build(self, geometry: Geometry) -> nn.Module:
        model = nn.Module()
        model.point = nn.Parameter(torch.zeros(1, 2))
        return model

    def loss(self, model, batch):
        return -0.1 * model.point.sum()  # a step of .1 px at first; momentum makes it 1 px

    def decode(self, model, images):
        return model.point.expand(len(images), 1, 2)


def test_the_best_epoch_on_val_is_kept():
    still = replace(VAL.annotations, keypoints=np.full_like(VAL.annotations.keypoints, 3.0))
    val = LabeledImages(VAL.images, still)
    detector = Passing()
    rows = detector.fit(TRAIN, val, seed=0, budget=NO_BUDGET)
    errors = [row["val_px"] for row in rows]
    assert errors.index(min(errors)) not in (0, len(errors) - 1)  # a run in which the choice matters
    error = np.linalg.norm(detector.predict(val.images) - val.points, axis=-1).mean()
    assert error == pytest.approx(min(errors), abs=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_epochs_before_a_share_of_the_budget_are_not_selected(share):
    still = replace(VAL.annotations, keypoints=np.full_like(VAL.annotations.keypoints, 3.0))
    val = LabeledImages(VAL.images, still)
    detector = Passing()
    detector.train_config = replace(Passing.train_config, select_from=share)
    errors = [row["val_px"] for row in detector.fit(TRAIN, val, seed=0, budget=NO_BUDGET)]
    # an epoch is one step here: before step i of 12 the share i / 11 is spent, and after the last one all of it
    late = [error for i, error in enumerate(errors) if i == 12 or i / 11 >= share]
    assert share < 0.9 or errors.index(min(errors)) < 12 - len(late)  # the choice matters
    error = np.linalg.norm(detector.predict(val.images) - val.points, axis=-1).mean()
    assert error == pytest.approx(min(late), abs=1e-6)


def test_a_budget_that_ends_before_its_share_keeps_what_there_is():
    detector = Toy(TrainConfig(epochs=3, batch=16, lr=0.01, select_from=0.9))
    rows = detector.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=0))
    error = np.linalg.norm(detector.predict(VAL.images) - VAL.points, axis=-1).mean()
    assert error == pytest.approx(rows[0]["val_px"], abs=1e-6)


def test_without_val_the_last_epoch_is_kept():
    detector = Toy()
    rows = detector.fit(TRAIN, VAL.take([]), seed=0, budget=Budget(epochs=2))
    assert "val_px" not in rows[0]
    error = np.linalg.norm(detector.predict(TRAIN.images) - TRAIN.points, axis=-1).mean()
    assert error == pytest.approx(rows[-1]["train_px"], abs=1e-6)


def test_history_is_measured_in_eval_mode_from_the_untrained_network_on():
    detector, rows = fitted(budget=Budget(epochs=1))
    assert [row["epoch"] for row in rows] == [0, 1]
    trained = detector.modes.index(True)
    assert trained > 0  # measured before the first step
    assert detector.modes[-1] is False
    untrained = Toy()
    untrained.fit(TRAIN, VAL, seed=0, budget=Budget(epochs=0))
    away = untrained.predict(TRAIN.images) - TRAIN.points
    assert rows[0]["loss"] == pytest.approx(float((away**2).mean()), rel=1e-5)  # no dropout in it
    assert rows[0]["train_px"] == pytest.approx(float(np.linalg.norm(away, axis=-1).mean()), rel=1e-5)


@pytest.mark.parametrize("scale", [math.nan, math.inf, 1e38])
def test_a_diverged_loss_ends_the_run(scale):
    with pytest.raises(RuntimeError, match="diverged at step"):
        fitted(scale=scale)


def test_weights_that_blow_up_end_the_run():
    with pytest.raises(RuntimeError, match="diverged at step [1-9]"):
        fitted(config=TrainConfig(epochs=50, batch=16, lr=1e6, optimizer="sgd"))


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not():
    (one, rows), (two, again), (other, _) = fitted(seed=3), fitted(seed=3), fitted(seed=4)
    np.testing.assert_array_equal(one.predict(VAL.images), two.predict(VAL.images))
    for mine, theirs in zip(one.batches, two.batches, strict=True):
        assert torch.equal(mine, theirs)
    assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in again]
    assert not np.array_equal(one.predict(VAL.images), other.predict(VAL.images))


def test_training_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fitted()
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_epoch_shows_every_image_once():
    detector, _ = fitted(budget=Budget(epochs=2))
    expected = torch.from_numpy(TRAIN.images).flatten(1).float().sum(1).sort().values
    for epoch in (detector.batches[:3], detector.batches[3:]):
        assert torch.allclose((255 * torch.cat(epoch)).flatten(1).sum(1).sort().values, expected)
    assert not torch.equal(detector.batches[0], detector.batches[3])


def test_a_batch_of_one_joins_another():
    detector, _ = fitted(train=TRAIN.take(range(33)), budget=Budget(epochs=1))
    assert sorted(len(batch) for batch in detector.batches[:2]) == [16, 17]
    alone, _ = fitted(train=TRAIN.take([0]), budget=Budget(epochs=1))
    assert [len(batch) for batch in alone.batches] == [2]


def test_shift_moves_the_image_and_its_point_alike_and_anew_each_epoch():
    train = replace(TRAIN)
    lone = np.zeros_like(train.images)
    at = train.points[:, 0].astype(int)
    lone[np.arange(len(lone)), at[:, 1], at[:, 0]] = 255
    detector, _ = fitted(train=LabeledImages(lone, train.annotations), augment="shift", budget=Budget(epochs=2))
    for images, points in zip(detector.batches, detector.points):
        rows, columns = images[:, 0].amax(2).argmax(1), images[:, 0].amax(1).argmax(1)
        torch.testing.assert_close(points[:, 0], torch.stack([columns, rows], 1).float())
    first, second = (torch.cat(detector.points[i : i + 3]).flatten().sort().values for i in (0, 3))
    assert not torch.equal(first, second)


def test_few_photographs_are_varied_unless_somebody_says_not_to():
    random = np.random.default_rng(0)
    drawn = rectangles(20, height=70, width=70, seed=1)
    noisy = LabeledImages(random.integers(1, 256, drawn.images.shape).astype(np.uint8), drawn.annotations)
    before = np.sort(drawn.points[:, 0], axis=0)
    varied, _ = fitted(train=noisy, budget=Budget(epochs=1))
    assert varied.notes == []  # `Toy` learns from whole labels alone, and a point may leave the frame
    Toy.partial_labels = True
    try:
        varied, _ = fitted(train=noisy, budget=Budget(epochs=1))
        still, _ = fitted(train=noisy, budget=Budget(epochs=1), augment="none")
    finally:
        del Toy.partial_labels
    assert varied.notes[0].startswith("few photographs: they are varied anew each epoch (photo;")
    assert still.notes == []
    learned = [np.sort(torch.cat(one.points)[:, 0].numpy(), axis=0) for one in (varied, still)]
    assert np.abs(learned[0] - before).max() > 1
    np.testing.assert_allclose(learned[1], before, atol=1e-4)


def test_other_sizes_are_resized_and_their_points_carried_along():
    """Twice as large, an image is the network's size again, and the answer comes back in its own pixels."""
    large = rectangles(2, height=24, width=20, seed=5)
    detector, _ = fitted()
    small = large.images.reshape(2, 12, 2, 10, 2).mean(axis=(2, 4)).round().astype(np.uint8)
    pixels = detector._pixels(large.images)
    assert pixels.floats(np.arange(2)).shape == (2, 1, 12, 10)
    np.testing.assert_allclose(pixels.to_original(pixels.from_original(large.points), np.arange(2)), large.points)
    np.testing.assert_allclose(pixels.from_original(large.points), (large.points + 0.5) / 2 - 0.5)
    answers, expected = detector.predict(large.images), detector.predict(small)
    assert np.abs(answers - ((expected + 0.5) * 2 - 0.5)).max() < 0.5


def test_colour_that_a_grey_network_meets_becomes_luma_as_everywhere():
    """The network learned from grey images; RGB ones are turned to grey by `datasets.images.grey`, rounded up."""
    colour = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), dtype=np.uint8)
    of_colour, of_grey = (Pixels(images, 1, None, "cpu").floats(np.arange(3)) for images in (colour, grey(colour)))
    assert torch.equal(of_colour, of_grey)
    faint = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    faint[0, 0, 0, 2] = 1  # a blue of 1 is .114 of luma, and stays ink
    assert Pixels(faint, 1, None, "cpu").floats(np.arange(1)).flatten().tolist() == pytest.approx([1 / 255, 0, 0, 0])
    assert Pixels(list(colour), 3, None, "cpu").floats(np.arange(3)).shape == (3, 3, 12, 10)


def test_pixel_error_takes_the_nearest_of_the_best_predictions():
    annotations = replace(VAL.annotations.take([0, 1]), index=np.array([0, 0]))  # the first image holds both instances
    near, far = annotations.keypoints[0], annotations.keypoints[1]
    one = Prediction(np.stack([near + np.array([3, 4]), far, near]), np.array([0.9, 0.5, 0.1]))
    nothing = Prediction(np.zeros((0, 1, 2)), np.zeros(0))
    first = min(5.0, float(np.linalg.norm(far - near)))
    assert pixel_error([one, nothing], annotations) == pytest.approx((first + 0) / 2)
    assert pixel_error([nothing, nothing], annotations) == pytest.approx(np.hypot(10, 12))


def test_no_images_is_a_plain_refusal():
    with pytest.raises(UserError, match="no training images"):
        Toy().fit(TRAIN.take([]), VAL, seed=0, budget=Budget())


def test_weights_of_another_network_are_refused():
    detector, _ = fitted(budget=Budget(epochs=0))
    state = detector.state()
    with pytest.raises(UserError, match="not those of a Toy"):
        Toy().restore({k: v for k, v in state.items() if not k.endswith("bias")})
