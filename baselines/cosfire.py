"""COSFIRE: filters made from an example.

Azzopardi and Petkov, "Trainable COSFIRE filters for keypoint detection and pattern recognition", PAMI 2013.

A bank of Gabor filters responds to strokes of several directions and widths. From one training image, a *prototype*, a
filter is configured: on circles around its keypoint the strongest answers of the bank are noted, each as a tuple
(which Gabor filter, where from the keypoint). To apply the filter to an image, each tuple's Gabor response is
blurred (the largest value near by, weighted with a Gaussian that widens with the distance rho from the keypoint,
sigma = sigma0 + alpha rho), shifted so that all tuples meet at the keypoint, and the weighted geometric mean is taken:
all parts must be there, in their places, give or take. The keypoint is where the response is largest.

Such a filter knows only what must be there, and a point defined by emptiness (nothing lies above the top-left pixel)
needs more: places where the prototype is quiet *inhibit* it, after Guo, Shi, Azzopardi and Petkov,
"Inhibition-augmented trainable COSFIRE filters", 2016. Here the mean response at those places is taken off the log of
the geometric mean; ``inhibition=0`` is the filter of 2013.

One filter knows one shape, so several are used and the largest response of any counts. Filters are added one by one,
each the one that lowers the pixel error on the training images most; how many are kept is decided on val.

Differences from the paper: no invariance to rotation, scale or reflection (the keypoints here are not invariant
either); a small floor under each response instead of a hard zero, so that there always is a largest place; and a
prototype's keypoint may lie between pixels, then the fraction is added to the answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from baselines.refit_on_load import one_size
from benchmark.detector import Budget, Card, Detector, HistoryRow
from benchmark.metrics.pixels import distance
from benchmark.structures import FloatArray, Image, IntArray, LabeledImages, Prediction, mean_points
from datasets.images import grey

Maps = NDArray[np.float32]

RADII = (0.0, 3.0, 6.0, 9.0, 12.0)  # px, of the circles
WAVELENGTHS = (4.0, 8.0)  # px: strokes of about 2 and 4 px
SIGMA0, ALPHA = 0.67, 0.1  # px and px per px: how far a tuple may lie from its place (the paper's values)
FLOOR = 0.01  # Gabor response that counts as none; a full stroke gives about 2
LEAST = 0.2  # of the prototype's largest response: below it, nothing is noted
ON_CIRCLE = 32  # places on a circle where parts are looked for
QUIET_ON_CIRCLE = 16  # and where there may be quiet
LEARN_FROM = 1000  # images of a split that the choice of filters looks at, at most
CHUNK = 128  # images answered at a time


def gabor_bank(orientations: int) -> list[Maps]:
    """Even Gabor kernels of unit norm and mean 0.

    Args:
        orientations: Number of directions of each of the `WAVELENGTHS`.

    Returns:
        Square kernels, float32, wavelength by wavelength.
    """
    from skimage.filters import gabor_kernel

    bank = []
    for wavelength in WAVELENGTHS:
        for i in range(orientations):
            kernel = cast(Any, gabor_kernel)(
                1 / wavelength, theta=np.pi * i / orientations, bandwidth=1.0, n_stds=2
            ).real
            kernel = kernel - kernel.mean()
            bank.append((kernel / np.linalg.norm(kernel)).astype(np.float32))
    return bank


def gabor_responses(images: Image, bank: Sequence[Maps]) -> Maps:
    """The response of each kernel at each pixel, negative responses cut off.

    Args:
        images: (N, H, W) uint8.
        bank: B kernels.

    Returns:
        (N, B, H, W) float32.
    """
    import cv2

    out = np.empty((len(images), len(bank), *images.shape[1:]), dtype=np.float32)
    for image, maps in zip(images.astype(np.float32) / 255.0, out):
        for kernel, target in zip(bank, maps):
            target[:] = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.maximum(out, 0.0)


def blurred_maximum(maps: Maps, sigma: float) -> Maps:
    """The largest value around each pixel, weighted by a Gaussian with peak value 1.

    The weight of an offset is a product over the axes and values are not negative, so each axis is done by itself.

    Args:
        maps: (..., H, W), not negative.
        sigma: px, of the Gaussian, cut off at twice that.

    Returns:
        (..., H, W).
    """
    reach = int(np.ceil(2 * sigma))
    for axis in (-2, -1):
        best = maps.copy()
        for offset in range(1, min(reach, maps.shape[axis] - 1) + 1):
            weight = np.float32(np.exp(-(offset**2) / (2 * sigma**2)))
            near, far = [slice(None)] * maps.ndim, [slice(None)] * maps.ndim
            near[axis], far[axis] = slice(None, -offset), slice(offset, None)
            for to, origin in ((near, far), (far, near)):
                np.maximum(best[tuple(to)], weight * maps[tuple(origin)], out=best[tuple(to)])
        maps = best
    return maps


def configure(maps: Maps, x: float, y: float) -> tuple[IntArray, IntArray]:
    """The parts of a prototype and its quiet places.

    Parts are, on each circle, the kernels that respond most strongly of all at a local maximum, over the angle, of the
    bank's largest response; there are none where nothing responds.

    Args:
        maps: (B, H, W), the Gabor responses of the prototype.
        x: Of its keypoint, px.
        y: Of its keypoint, px.

    Returns:
        Parts, (T, 4) int64: kernel, index of the radius, dx, dy; and quiet places, (Q, 2) int64: dx, dy. Offsets are in
        px from the keypoint.
    """
    least = LEAST * float(maps.max())
    parts: list[tuple[int, int, int, int]] = []
    quiet: list[tuple[int, int]] = []
    for r, radius in enumerate(RADII):
        dx, dy, values = _on_circle(maps, x, y, radius, ON_CIRCLE)
        strongest = values.max(axis=0)
        peak = strongest >= np.maximum(np.roll(strongest, 1), np.roll(strongest, -1))
        for i in np.flatnonzero(peak & (strongest > least)):
            parts.append((int(values[:, i].argmax()), r, int(dx[i]), int(dy[i])))
        dx, dy, values = _on_circle(maps, x, y, radius, QUIET_ON_CIRCLE)
        quiet += [(int(dx[i]), int(dy[i])) for i in np.flatnonzero(values.max(axis=0) <= least)]
    return (
        np.array(sorted(set(parts)), dtype=np.int64).reshape(-1, 4),
        np.array(sorted(set(quiet)), dtype=np.int64).reshape(-1, 2),
    )


def _on_circle(maps: Maps, x: float, y: float, radius: float, count: int) -> tuple[IntArray, IntArray, Maps]:
    """dx, dy of the places on a circle, and (B, places) the responses there, 0 outside the image."""
    _, height, width = maps.shape
    angles = np.arange(count if radius else 1) * 2 * np.pi / count
    dx, dy = np.rint(radius * np.cos(angles)).astype(np.int64), np.rint(radius * np.sin(angles)).astype(np.int64)
    at_x, at_y = round(x) + dx, round(y) + dy
    inside = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height)
    return dx, dy, np.where(inside, maps[:, at_y.clip(0, height - 1), at_x.clip(0, width - 1)], 0).astype(np.float32)


def shifted(maps: Maps, dx: int, dy: int, outside: float) -> Maps:
    """Maps (..., H, W) moved: out[..., y, x] = maps[..., y + dy, x + dx].

    Args:
        maps: (..., H, W).
        dx: px.
        dy: px.
        outside: The value of what comes from outside the image.
    """
    height, width = maps.shape[-2:]
    out = np.full_like(maps, outside)
    if abs(dx) < width and abs(dy) < height:
        to_y, to_x = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
        from_y, from_x = slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx))
        out[..., to_y, to_x] = maps[..., from_y, from_x]
    return out


@dataclass(frozen=True, eq=False)
class Blurred:
    """What filters are applied to: Gabor responses, blurred for each circle.

    Attributes:
        logs: For each circle, (N, B, H, W) log responses blurred for it.
        largest: (N, H, W), the bank's largest response, not blurred.
    """

    logs: list[Maps]
    largest: Maps

    @classmethod
    def of(cls, maps: Maps) -> Blurred:
        """From (N, B, H, W) Gabor responses."""
        logs = [np.log(np.maximum(blurred_maximum(maps, SIGMA0 + ALPHA * radius), FLOOR)) for radius in RADII]
        return cls(logs, maps.max(axis=1))


@dataclass(frozen=True, eq=False)
class Filter:
    """A configured filter.

    Attributes:
        parts: (T, 4), see `configure`.
        quiet: (Q, 2), see `configure`.
        inhibition: Weight of the quiet places.
        offset: (2,) px, from the filter's pixel to the keypoint.
        level: Log response to its own prototype; responses are taken relative to it.
    """

    parts: IntArray
    quiet: IntArray
    inhibition: float
    offset: FloatArray
    level: float = 0.0

    def response(self, to: Blurred) -> Maps:
        """The log of the weighted geometric mean of the parts, less what inhibits, relative to ``level``.

        Near parts weigh more: 1 at the keypoint, .5 at the filter's widest circle.

        Args:
            to: Blurred responses of N images.

        Returns:
            (N, H, W) float32.
        """
        radii = np.array([RADII[r] for r in self.parts[:, 1]])
        importance = 0.5 ** ((radii / (radii.max() or 1.0)) ** 2)
        total = np.full_like(to.largest, -self.level)
        for (kernel, r, dx, dy), weight in zip(self.parts.tolist(), importance / importance.sum()):
            total += np.float32(weight) * shifted(to.logs[r][:, kernel], dx, dy, np.log(FLOOR))
        if self.inhibition:
            for dx, dy in self.quiet.tolist():
                total -= np.float32(self.inhibition / len(self.quiet)) * shifted(to.largest, dx, dy, 0.0)
        return total


def make_filter(maps: Maps, x: float, y: float, inhibition: float) -> Filter | None:
    """The filter of one prototype.

    Args:
        maps: (B, H, W), its Gabor responses.
        x: Of its keypoint, px.
        y: Of its keypoint, px.
        inhibition: Weight of its quiet places.

    Returns:
        The filter; None where nothing responds.
    """
    parts, quiet = configure(maps, x, y)
    if not len(parts):
        return None
    column, row = round(x), round(y)
    unlevelled = Filter(parts, quiet, inhibition, np.array([x - column, y - row]))
    own = unlevelled.response(Blurred.of(maps[None]))[0]
    height, width = own.shape
    level = own[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return replace(unlevelled, level=float(level))


def peaks(images: Image, bank: Sequence[Maps], filters: Sequence[Filter]) -> tuple[FloatArray, FloatArray]:
    """The largest response of each filter in each image.

    Args:
        images: (N, H, W) uint8.
        bank: B kernels.
        filters: F filters.

    Returns:
        (F, N) log responses, and (F, N, 2) px, the keypoints they stand for.
    """
    values = np.zeros((len(filters), len(images)))
    places = np.zeros((len(filters), len(images), 2))
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        blurred = Blurred.of(gabor_responses(images[part], bank))
        for i, one in enumerate(filters):
            response = one.response(blurred)
            flat = response.reshape(len(response), -1)
            at = flat.argmax(axis=1)
            values[i, part] = flat[np.arange(len(flat)), at]
            places[i, part] = np.stack([at % response.shape[2], at // response.shape[2]], axis=1) + one.offset
    return values, places


def _strongest(values: FloatArray, places: FloatArray) -> FloatArray:
    """(N, 2) px: the keypoint of the filter with the largest response."""
    strongest: FloatArray = places[values.argmax(axis=0), np.arange(values.shape[1])]
    return strongest


def _greedy(values: FloatArray, places: FloatArray, points: FloatArray) -> list[int]:
    """Filters in the order in which each lowers the mean pixel error of the strongest answer the most."""
    order: list[int] = []
    best, errors = np.full(len(points), -np.inf), np.zeros(len(points))
    own = np.hypot(*np.moveaxis(places - points, -1, 0))
    while len(order) < len(values):
        after = np.where(values > best, own, errors).mean(axis=1)
        after[order] = np.inf
        added = int(after.argmin())
        order.append(added)
        errors = np.where(values[added] > best, own[added], errors)
        best = np.maximum(best, values[added])
    return order


@dataclass(eq=False)
class Cosfire(Detector):
    """Filters configured from examples of the keypoint's surroundings (COSFIRE); the strongest response wins.

    Args:
        prototypes: Training images that filters are configured from.
        orientations: Of the Gabor filters.
        inhibition: Weight of the places where there must be nothing.
    """

    prototypes: int = 100
    orientations: int = 8
    inhibition: float = 2.0

    budgets = ()
    partial_labels = True
    card = Card(
        reference="Azzopardi and Petkov 2013",
        has_confidence=True,
        ablation={"inhibition": 0.0},
    )

    def __post_init__(self) -> None:
        if min(self.prototypes, self.orientations) < 1:
            raise ValueError("prototypes and orientations must be at least 1")

    def fit(self, train: LabeledImages, val: LabeledImages, *, seed: int, budget: Budget) -> list[HistoryRow]:
        """Configure filters on ``train``, order them there, and keep as many as are best on ``val``.

        One history row for each number of filters, errors averaged over keypoints; it follows no budget.
        """
        started = time.perf_counter()
        stacked, points = train.stack(), train.points
        images = grey(stacked)
        complete = not np.isnan(points).any()
        self._shape, self._mean = stacked.shape[1:], points.mean(axis=0) if complete else mean_points(points)
        shuffled = np.random.default_rng(seed).permutation(len(images))
        chosen = np.sort(shuffled[:LEARN_FROM])
        some_val = val.take(range(min(len(val), LEARN_FROM)))
        val_images = grey(one_size(some_val.images, self._shape, "Cosfire"))
        val_points = some_val.points
        self._filters: list[list[Filter]] = []
        curves = []
        for k in range(points.shape[1]):
            known = ~np.isnan(points[:, k, 0])
            prototypes = shuffled[known[shuffled]][: self.prototypes]
            of_prototypes = gabor_responses(images[prototypes], self._bank)
            configured = [
                make_filter(maps, float(points[one, k, 0]), float(points[one, k, 1]), self.inhibition)
                for maps, one in zip(of_prototypes, prototypes)
            ]
            filters = [one for one in configured if one is not None]
            asked = chosen[known[chosen]]
            values, places = peaks(images[asked], self._bank, filters)
            order = _greedy(values, places, points[asked, k])
            on_train = _curve(order, values, places, points[asked, k])
            on_val = on_train
            if (val_known := ~np.isnan(val_points[:, k, 0])).any():
                of_val = peaks(val_images[val_known], self._bank, filters)
                on_val = _curve(order, *of_val, val_points[val_known, k])
            self._filters.append([filters[i] for i in order[: int(np.argmin(on_val)) + 1]] if order else [])
            curves.append((on_train, on_val))
            self.progress((k + 1) / points.shape[1], "filters")
        self.n_parameters = sum(one.parts.size + one.quiet.size + 3 for filters in self._filters for one in filters)
        seconds = time.perf_counter() - started
        return [
            {
                "epoch": float(i + 1),
                "seconds": seconds,
                "train_px": float(np.mean([t[min(i, len(t) - 1)] for t, _ in curves])),
                "val_px": float(np.mean([v[min(i, len(v) - 1)] for _, v in curves])),
            }
            for i in range(min((len(t) for t, _ in curves), default=0))
        ]

    @property
    def _bank(self) -> list[Maps]:
        return gabor_bank(self.orientations)

    def predict(self, images: Sequence[Image]) -> list[Prediction]:
        """One instance an image; its score is the response relative to the prototype's own, averaged over keypoints."""
        pixels = grey(one_size(images, self._shape, "Cosfire"))
        points = np.repeat(self._mean[None], len(pixels), axis=0)
        logs = np.zeros(points.shape[:2])
        for k, filters in enumerate(self._filters):
            if filters and len(pixels):
                values, places = peaks(pixels, self._bank, filters)
                points[:, k], logs[:, k] = _strongest(values, places), values.max(axis=0)
        scores = np.exp(logs.mean(axis=1))
        return [Prediction(point[None], score[None]) for point, score in zip(points, scores)]

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """The filters, flat: a row a filter, and their parts and quiet places, each with the number of its filter."""
        kept = [(k, one) for k, filters in enumerate(self._filters) for one in filters]
        parts = [np.insert(one.parts, 0, i, axis=1) for i, (_, one) in enumerate(kept)]
        quiet = [np.insert(one.quiet, 0, i, axis=1) for i, (_, one) in enumerate(kept)]
        return {
            "shape": np.array(self._shape, dtype=np.int64),
            "mean": self._mean,
            "parts": np.concatenate([np.zeros((0, 5), dtype=np.int64), *parts]),
            "quiet": np.concatenate([np.zeros((0, 3), dtype=np.int64), *quiet]),
            "keypoint": np.array([k for k, _ in kept], dtype=np.int64),
            "offset": np.array([one.offset for _, one in kept], dtype=np.float64).reshape(-1, 2),
            "level": np.array([one.level for _, one in kept], dtype=np.float64),
        }

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Use the filters that ``state`` holds."""
        self._shape = tuple(state["shape"].tolist())
        self._mean = np.asarray(state["mean"])
        self._filters = [[] for _ in self._mean]
        parts, quiet = np.asarray(state["parts"]), np.asarray(state["quiet"])
        for i, k in enumerate(state["keypoint"].tolist()):
            own = parts[parts[:, 0] == i, 1:], quiet[quiet[:, 0] == i, 1:]
            offset, level = np.asarray(state["offset"][i]), float(state["level"][i])
            self._filters[k].append(Filter(*own, self.inhibition, offset, level))


def _curve(order: Sequence[int], values: FloatArray, places: FloatArray, points: FloatArray) -> list[float]:
    """Mean pixel error with the first 1, 2, ... filters of ``order``."""
    prefixes = [order[: i + 1] for i in range(len(order))]
    return [float(distance(_strongest(values[some], places[some]) - points).mean()) for some in prefixes]
