"""Two annotators' labels of the same images, compared: how noisy one annotator's labels are, keypoint by keypoint.

Images are matched by file name, whatever split they are in: by the whole name, else by its last part, else by that without
its ending (an export may have changed it), each only where one image of either side is called so. Keypoints are matched by
name, instances of an image to the nearest: the assignment (Hungarian) of least total distance, that of two instances being the
mean over keypoints that both have, or of their boxes' middles, over the larger box's diagonal. In data of one instance an image
the two always belong together, however far apart; in other data never those a diagonal apart or more.

The figures are those of `benchmark.statistics.label_noise`, over images, or over the groups of images that the data gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmark.files import write_text
from benchmark.statistics.label_noise import FAR, Estimate, LabelNoise, label_noise, pooled_floor, slips, slips_add
from benchmark.structures import Annotations, FloatArray, IntArray, UserError
from datasets import formats
from datasets.dataset import concatenated
from datasets.formats.reading import ReadOptions
from datasets.inspect import Surveyed

SAME = 1e-3  # px: positions written as text of a few digits
COPIES = 0.1  # share of points that are the same in both, before copying is suspected
MOST = 100  # disagreements that are listed
UNPAIRED = 2.0  # what leaving two instances unpaired costs, in box diagonals; they may be 1 apart


@dataclass(frozen=True)
class KeypointAgreement:
    """One keypoint, labelled by two annotators.

    Attributes:
        name: Its name.
        only_first: Matched instances in which the data alone has it labelled.
        only_second: In which the other labels alone have it.
        noise: Of the instances in which both have.
    """

    name: str
    only_first: int
    only_second: int
    noise: LabelNoise


@dataclass(frozen=True)
class Disagreement:
    """A point that two annotators put in different places.

    Attributes:
        image: File name.
        position: Of the image among the data's images, splits one after the other.
        keypoint: Its name.
        pixels: px, how far apart.
        slip: Whether one of the two is likely a slip; see `benchmark.statistics.label_noise`.
        first: (x, y) px, in the data.
        second: (x, y) px, in the other labels.
    """

    image: str
    position: int
    keypoint: str
    pixels: float
    slip: bool
    first: tuple[float, float]
    second: tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """What comparing two annotators says.

    Attributes:
        other: Name of the other labels.
        images: Images that are compared.
        only_first: Images of the data that are not: the other labels lack them, or have them in another size.
        only_second: Images of the other labels that are not.
        instances: Matched instances.
        groups: Groups of images the intervals are over; None where they are over images.
        keypoints: One entry a keypoint.
        floor: px, of the mean error over all labelled keypoints of the data; None where a keypoint has none.
        disagreements: The hundred points that differ most, the farthest first.
        notes: What was set aside or looks odd, a sentence with a count each.
    """

    other: str
    images: int
    only_first: int
    only_second: int
    instances: int
    groups: int | None
    keypoints: tuple[KeypointAgreement, ...]
    floor: Estimate | None
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object; an estimate is value, low, high."""
        return asdict(self)


@dataclass(frozen=True)
class _Labels:
    """The labels of one annotator.

    Attributes:
        title: What they are called in messages.
        names: N image names, unique; with the split in front where two splits have an image of one name.
        known: Of all splits together.
    """

    title: str
    names: list[str]
    known: Annotations


def compare_labels(dataset: Surveyed, other: Path | str, options: ReadOptions | None = None) -> Agreement:
    """Compare a data set with other labels of its images.

    Args:
        dataset: The first annotator's; what its runs are scored against. No image is decoded.
        other: The second annotator's: a folder or file of any format; COCO files need no images beside them.
        options: What the user said about the data; the category is chosen in both.

    Raises:
        UserError: Where the other labels cannot be read, have other keypoints, or none of the images.
    """
    path = Path(other)
    splits = {name: part.annotations for name, part in dataset.splits.items() if len(part)}
    first = _Labels(dataset.name, _names(splits), concatenated(list(splits.values())))
    others, found = formats.read_labels(path, ReadOptions(category=options.category if options else ""))
    notes = [f"{path.name}: {note}" for note in found if note not in dataset.notes]
    others = {name: _in_order(one, first.known, path, notes) for name, one in others.items()}
    second = _Labels(path.name, _names(others), concatenated(list(others.values())))
    mine, theirs = _matched_images(first, second, notes)
    a, b = _matched_instances(first.known, second.known, mine, theirs, notes)
    clusters, groups = _clusters(first.known, a, notes)
    differences = first.known.keypoints[a] - second.known.keypoints[b]
    in_first, in_second = first.known.visible[a] > 0, second.known.visible[b] > 0
    both, sizes = in_first & in_second, np.sqrt(first.known.areas[a])
    columns = [both[:, j] for j in range(both.shape[1])]
    data = [(differences[own, j], sizes[own], clusters[own]) for j, own in enumerate(columns)]
    keypoints = tuple(
        KeypointAgreement(
            name,
            int((in_first & ~in_second)[:, j].sum()),
            int((in_second & ~in_first)[:, j].sum()),
            label_noise(*data[j]),
        )
        for j, name in enumerate(first.known.keypoint_names)
    )
    counted = (first.known.visible[~first.known.crowd] > 0).sum(axis=0).astype(np.float64)
    floor = pooled_floor([d for d, _, _ in data], [s for _, s, _ in data], [c for _, _, c in data], counted)
    added = sum(slips_add(d, s) * n for (d, s, _), n in zip(data, counted.tolist())) / max(1.0, float(counted.sum()))
    notes += _odd(first.known.keypoints[a][both], differences[both], keypoints, counted, sizes[both.any(axis=1)], added)
    return Agreement(
        other=path.name,
        images=len(mine),
        only_first=len(first.names) - len(mine),
        only_second=len(second.names) - len(theirs),
        instances=len(a),
        groups=groups,
        keypoints=keypoints,
        floor=floor,
        disagreements=_disagreements(first, second, a, b, both, sizes),
        notes=tuple(notes),
    )


def write_sigmas(path: Path, agreement: Agreement) -> None:
    """Write the COCO sigmas as the JSON file that ``--sigmas`` reads: keypoint name -> number.

    Args:
        path: The file.
        agreement: Whose sigmas.

    Raises:
        UserError: Where a keypoint has none above 0, or the file cannot be written.
    """
    known = {one.name: one.noise.coco_sigma for one in agreement.keypoints}
    bad = [name for name, sigma in known.items() if sigma is None or sigma.value <= 0]
    if bad:
        raise UserError(
            f"{path}: not written: there is no sigma above 0 for {', '.join(bad[:3])}: label more of its points twice, "
            "independently"
        )
    lines = ",\n".join(
        f" {json.dumps(name)}: {float(f'{sigma.value:.4g}')!r}" for name, sigma in known.items() if sigma
    )
    write_text(path, f"{{\n{lines}\n}}")


def _names(splits: dict[str, Annotations]) -> list[str]:
    """The image names of all splits; those that two splits have begin with the split."""
    spelled = {name: [file.replace("\\", "/") for file in one.file_names] for name, one in splits.items()}
    counts = Counter(file for files in spelled.values() for file in files)
    return [file if counts[file] == 1 else f"{name}/{file}" for name, files in spelled.items() for file in files]


def _in_order(annotations: Annotations, like: Annotations, path: Path, notes: list[str]) -> Annotations:
    """The same with the keypoints of ``like``, in its order, and with what is not compared left out."""
    names, wanted = annotations.keypoint_names, like.keypoint_names
    numbered = tuple(f"keypoint{j + 1}" for j in range(len(wanted)))
    if len(names) == len(wanted) and names != wanted and numbered in (names, wanted):
        order = list(range(len(names)))
        note = "one of the two names no keypoints, so they are compared in their order"
        notes += [note] if note not in notes else []
    elif set(names) != set(wanted):
        raise UserError(
            f"labels {path}: its keypoints are {', '.join(names)}, and those of the data {', '.join(wanted)}; give both the "
            "same names"
        )
    else:
        order = [names.index(name) for name in wanted]
    return replace(
        annotations,
        keypoints=annotations.keypoints[:, order],
        visible=annotations.visible[:, order],
        keypoint_names=wanted,
        sigmas=like.sigmas,
        spacing=None,
        baseline=None,
        skeleton=(),
        flip_pairs=(),
    )


def _matched_images(first: _Labels, second: _Labels, notes: list[str]) -> tuple[IntArray, IntArray]:
    """The positions of the images that both have, of each in turn; of one size, where both say it."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    ways = (
        ("", lambda name: name),
        ("by the last part of their names", lambda name: PurePosixPath(name).name),
        ("by names without their endings", lambda name: PurePosixPath(name).stem),
    )
    for how, key in ways:
        mine, theirs = _unique([key(name) for name in first.names]), _unique([key(name) for name in second.names])
        found = {
            i: theirs[name]
            for name, i in mine.items()
            if name in theirs and i not in pairs and theirs[name] not in taken
        }
        pairs |= found
        taken |= set(found.values())
        if how and found:
            notes.append(f"{len(found)} images matched {how}")
    positions = sorted(pairs)
    a, b = np.array(positions, dtype=np.int64), np.array([pairs[i] for i in positions], dtype=np.int64)
    if not len(a):
        raise UserError(
            f"labels {second.title}: has none of the images of {first.title}: {second.names[0]} there, {first.names[0]} "
            "here; give the same images the same file names"
        )
    sizes = first.known.sizes[a], second.known.sizes[b]
    other = (sizes[0] != sizes[1]).any(axis=1) & (sizes[0] > 0).all(axis=1) & (sizes[1] > 0).all(axis=1)
    if other.all():
        i = int(a[0])
        raise UserError(
            f"labels {second.title}: its images have other sizes than those of {first.title}, as {first.names[i]} "
            f"({' x '.join(map(str, sizes[0][0]))} and {' x '.join(map(str, sizes[1][0]))} px): give labels in pixels of the same images"
        )
    if other.any():
        names = [first.names[i] for i in a[other].tolist()]
        notes.append(f"{len(names)} images have another size in {second.title}: set aside, as {names[0]}")
    for one, shared in ((first, set(a.tolist())), (second, set(b.tolist()))):
        if lacking := len(one.names) - len(shared):
            example = next(name for i, name in enumerate(one.names) if i not in shared)
            notes.append(f"{lacking} images only in {one.title}: not compared, as {example}")
    return a[~other], b[~other]


def _unique(names: Sequence[str]) -> dict[str, int]:
    """Name -> position, of the names that stand once."""
    counts = Counter(names)
    return {name: i for i, name in enumerate(names) if counts[name] == 1}


def _matched_instances(
    first: Annotations, second: Annotations, mine: IntArray, theirs: IntArray, notes: list[str]
) -> tuple[IntArray, IntArray]:
    """The rows of the instances that belong together, of each in turn. Crowds belong to none."""
    rows = [_rows(first, mine), _rows(second, theirs)]
    several = any(len(own) > 1 for side in rows for own in side)
    counts = [sum(len(own) for own in side) for side in rows]
    combined = [np.array(np.meshgrid(a, b, indexing="ij")).reshape(2, -1) for a, b in zip(*rows)]
    a, b = np.concatenate(combined, axis=1)
    distances = _distances(first, second, a, b)
    if several:
        starts = np.cumsum([0, *(one.shape[1] for one in combined)]).tolist()
        chosen: list[int] = []
        for own, other, start, end in zip(*rows, starts, starts[1:]):
            if start < end:
                cost = np.where(distances[start:end] < 1, distances[start:end], UNPAIRED).reshape(len(own), len(other))
                i, j = linear_sum_assignment(cost)
                kept = cost[i, j] < 1
                chosen += (start + i[kept] * len(other) + j[kept]).tolist()
        a, b = a[chosen], b[chosen]
    for count, where in zip(counts, ("the data", "the other labels")):
        if alone := count - len(a):
            notes.append(f"{alone} of {count} instances of {where} have none that belongs to them: not compared")
    return a, b


def _rows(annotations: Annotations, images: IntArray) -> list[IntArray]:
    """The rows of each image's instances, crowds left out."""
    counted = np.flatnonzero(~annotations.crowd)
    index = annotations.index[counted]
    low, high = np.searchsorted(index, images), np.searchsorted(index, images, side="right")
    return [counted[i:j] for i, j in zip(low.tolist(), high.tolist())]


def _distances(first: Annotations, second: Annotations, a: IntArray, b: IntArray) -> FloatArray:
    """(Q,) how far apart two instances are, in diagonals of the larger box (at least a pixel)."""
    shared = (first.visible[a] > 0) & (second.visible[b] > 0)
    offsets = first.keypoints[a] - second.keypoints[b]
    lengths = np.where(shared, np.hypot(offsets[:, :, 0], offsets[:, :, 1]), 0.0).sum(axis=1)
    boxes = first.boxes[a], second.boxes[b]
    middles = boxes[0][:, :2] + boxes[0][:, 2:] / 2 - boxes[1][:, :2] - boxes[1][:, 2:] / 2
    number = shared.sum(axis=1)
    apart = np.where(number > 0, lengths / np.maximum(number, 1), np.hypot(middles[:, 0], middles[:, 1]))
    diagonals = [np.hypot(box[:, 2], box[:, 3]) for box in boxes]
    return np.asarray(apart / np.maximum(np.maximum(*diagonals), 1.0))


def _clusters(annotations: Annotations, rows: IntArray, notes: list[str]) -> tuple[IntArray, int | None]:
    """What is independent of each other: groups where there are several, else images. And how many groups there are."""
    images = annotations.index[rows]
    if annotations.groups is None:
        return images, None
    names = sorted({annotations.groups[i] for i in images.tolist()})
    if len(names) < 2:
        notes.append("all images compared are of one group: intervals speak of its images alone")
        return images, None
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[annotations.groups[i]] for i in images.tolist()], dtype=np.int64), len(names)


def _odd(
    points: FloatArray,
    differences: FloatArray,
    keypoints: Sequence[KeypointAgreement],
    counted: FloatArray,
    sizes: FloatArray,
    added: float,
) -> list[str]:
    """What about the comparison itself looks wrong."""
    notes = []
    same = (np.abs(differences) < SAME).all(axis=1)
    between = same & (np.abs(points - points.round()) > SAME).any(axis=1)
    if len(points) and between.sum() > COPIES * len(points):
        notes.append(
            f"WARNING: {int(between.sum())} of {len(points)} points are the same in both, between whole pixels: was one made "
            "from the other? The noise is then larger than these figures"
        )
    if count := sum(one.noise.slips for one in keypoints):
        notes.append(
            f"{count} points lie more than {FAR:g} robust standard deviations apart (swaps, slips): left out of all figures; "
            f"they would add about {added:.2g} px to the floor"
        )
    if without := int((sizes == 0).sum()):
        notes.append(f"{without} instances have no area: left out of COCO's sigma")
    lacking = [one.name for one, n in zip(keypoints, counted.tolist()) if n and one.noise.floor is None]
    if lacking:
        named = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
        notes.append(f"no floor in all: fewer than two images have {named} labelled twice")
    if len(points) > 2 and not same.all():
        spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
        if np.median(np.hypot(differences[:, 0], differences[:, 1])) > spread:
            notes.append(
                "WARNING: the two differ as much as the points of different images do: are these the same images?"
            )
    return notes


def _disagreements(
    first: _Labels, second: _Labels, a: IntArray, b: IntArray, both: NDArray[np.bool_], sizes: FloatArray
) -> tuple[Disagreement, ...]:
    """The farthest, in the order of the data where they are equally far."""
    mine, theirs = first.known.keypoints[a], second.known.keypoints[b]
    lengths = np.where(both, np.hypot(*np.moveaxis(mine - theirs, 2, 0)), 0.0)
    slip = np.zeros_like(both)
    for j in range(both.shape[1]):
        slip[both[:, j], j] = slips((mine - theirs)[both[:, j], j], sizes[both[:, j]])
    found = []
    for flat in np.argsort(-lengths, axis=None, kind="stable")[:MOST].tolist():
        i, j = divmod(flat, both.shape[1])
        if lengths[i, j] >= SAME:
            position = int(first.known.index[a[i]])
            found.append(
                Disagreement(
                    image=first.known.file_names[position],
                    position=position,
                    keypoint=first.known.keypoint_names[j],
                    pixels=round(float(lengths[i, j]), 3),
                    slip=bool(slip[i, j]),
                    first=(float(mine[i, j, 0]), float(mine[i, j, 1])),
                    second=(float(theirs[i, j, 0]), float(theirs[i, j, 1])),
                )
            )
    return tuple(found)
