"""From what the files of a data set say to three splits: train, val and test.

What is missing is made, deterministically by image content (`datasets.splits`):

    train, val, test    used as they are
    train, val          val becomes the test split (COCO's own custom); a fifth of train becomes val
    train, test         a fifth of train becomes val
    one part            60 / 20 / 20 %, or the shares asked for
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.structures import Annotations, LabeledImages, UserError
from datasets import splits
from datasets.dataset import SPLITS, Dataset, DatasetCard, content_digest, with_baseline
from datasets.flip_pairs import inferred
from datasets.formats.reading import NO_GROUPS, Reading, ReadOptions
from datasets.images import open_splits
from datasets.near_duplicates import MOST_COMPARED, near_duplicates, note_on
from datasets.orientation import NOTE, annotated_as_stored


def divide(reading: Reading, root: Path, options: ReadOptions, number: int = 0) -> Dataset:
    """A data set of three splits.

    Args:
        reading: What the files hold.
        root: Where they are, named in errors; its name is the data set's.
        options: The shares of val and test.
        number: Which division of the images, where the files do not bring their own.

    Returns:
        Three splits; val and test know the training mean.

    Raises:
        UserError: Where the parts contradict each other, or there are too few images.
    """
    _refuse_contradictions(reading, root)
    reading = _with_groups(_with_flip_pairs(reading), root, options.group_by)
    opened = open_splits(reading.splits)
    loaded = opened.splits
    if number and len(loaded) == 3:
        raise UserError(f"{root}: brings its own train, val and test, so there is no split {number}; leave --split out")
    train, val, test = _three(loaded, root, options, number)
    val, test = (data if data.annotations.baseline is not None else with_baseline(data, train) for data in (val, test))
    digest = content_digest({"train": train, "val": val, "test": test})
    title = root.resolve().name or "folder"
    card = DatasetCard(task=title, data=title, split=number, digest=digest)
    as_stored = annotated_as_stored(images for images, _ in reading.splits.values())
    known = [part.annotations for part in loaded.values()]
    notes = [*reading.notes, *_with_orientation(opened.notes, as_stored), *_outside(known)]
    if len(train) + len(val) + len(test) <= MOST_COMPARED:
        notes += filter(None, [note_on(near_duplicates({"train": train, "val": val, "test": test}))])
    else:
        notes.append(f"more than {MOST_COMPARED:,} images: not searched for near-duplicates across splits")
    return Dataset(train, val, test, card, digest, notes=tuple(notes), span=opened.span, as_stored=as_stored)


def undivided(reading: Reading, root: Path, options: ReadOptions) -> tuple[dict[str, LabeledImages], tuple[str, ...]]:
    """The parts that the files bring, checked and completed as for a data set, but neither divided nor decoded.

    Args:
        reading: What the files hold.
        root: Where they are, named in errors.
        options: What the user says about them.

    Returns:
        Name -> part, and what is to be known of them: copies too.

    Raises:
        UserError: Where the parts contradict each other, or an image file is none.
    """
    _refuse_contradictions(reading, root)
    reading = _with_groups(_with_flip_pairs(reading), root, options.group_by)
    opened = open_splits(reading.splits, decoded=False)
    as_stored = annotated_as_stored(images for images, _ in reading.splits.values())
    notes = [*reading.notes, *_with_orientation(opened.notes, as_stored)]
    if len(opened.splits) < len(SPLITS):
        notes.append("run divides them into train, val and test (--val, --test: shares)")
    if sum(map(len, opened.splits.values())) > MOST_COMPARED:
        notes.append(f"more than {MOST_COMPARED:,} images: not searched for near-duplicates")
    else:
        notes += filter(None, [note_on(near_duplicates(opened.splits, within=True))])
    return opened.splits, tuple(notes)


def _with_orientation(notes: Sequence[str], as_stored: bool) -> tuple[str, ...]:
    """What opening images said, and which way up they are annotated where it has not said so."""
    return tuple(notes) if not as_stored or any("(EXIF)" in note for note in notes) else (*notes, NOTE)


def _outside(known: Sequence[Annotations]) -> list[str]:
    """How many labelled keypoints lie beyond the edge of their image: a slip, mostly, and learned from all the same."""
    beyond = np.zeros(0)
    for one in known:
        sizes = one.sizes[one.index][:, None, :]
        over = np.maximum(-0.5 - one.keypoints, one.keypoints - (sizes - 0.5)).max(axis=2)
        beyond = np.append(beyond, over[(one.visible > 0) & (sizes > 0).all(axis=2) & (over > 0)])
    if not len(beyond):
        return []
    return [
        f"{len(beyond):,} labelled keypoints lie outside their image, by {beyond.max():,.0f} px at most, and are learned from "
        "and scored as they are; inspect names them"
    ]


def _with_flip_pairs(reading: Reading) -> Reading:
    """What the names of keypoints say of left and right, where the files say nothing."""
    known = [annotations for _, annotations in reading.splits.values()]
    pairs = inferred(known[0].keypoint_names)
    if not pairs or any(annotations.flip_pairs for annotations in known):
        return reading
    names = known[0].keypoint_names
    listed = ", ".join(f"{names[a]}/{names[b]}" for a, b in pairs[:4]) + (", ..." if len(pairs) > 4 else "")
    parts = {
        name: (images, replace(annotations, flip_pairs=pairs)) for name, (images, annotations) in reading.splits.items()
    }
    return Reading(parts, (*reading.notes, f"{len(pairs)} left/right pairs inferred from the names: {listed}"))


def _with_groups(reading: Reading, root: Path, pattern: str) -> Reading:
    """`grouped`, and whether splits share a group, or there are too few to divide."""
    reading = grouped(reading, root, pattern)
    if pattern == NO_GROUPS:
        return reading
    parts = dict(reading.splits)
    notes = list(reading.notes)
    known = {name: set(one.groups) for name, (_, one) in parts.items() if one.groups is not None}
    shared = {group for a in known for b in known if a < b for group in known[a] & known[b]}
    if shared:
        notes.append(
            f"WARNING: {len(shared)} groups lie in several of the splits that the data brings, as {sorted(shared)[0]}: "
            "scores will be too good; use --folds, or one file"
        )
    whole, wanted = ("all", SPLITS) if "all" in parts else ("train", SPLITS[:2])  # what is divided, and into what
    if not pattern and (whole == "all" or len(parts) < len(SPLITS)) and 0 < len(known.get(whole, ())) < len(wanted):
        images, one = parts[whole]
        count, into = len(known[whole]), ", ".join(wanted[:-1]) + f" and {wanted[-1]}"
        notes.append(
            f"WARNING: {count} group{'s' if count > 1 else ''} cannot be divided into {into}: images of one lie in several "
            "splits, so scores will be too good for another"
        )
        return Reading({**parts, whole: (images, replace(one, groups=None))}, tuple(notes))
    if known:
        notes.append(f"{len(set().union(*known.values()))} groups: none is divided between splits or folds made here")
    return Reading(parts, tuple(notes))


def grouped(reading: Reading, root: Path, pattern: str) -> Reading:
    """What a pattern on file names says of groups, where it is one that any name matches.

    Args:
        reading: Whose groups are those of a field of the image records, where there is one of this name.
        root: What was read.
        pattern: `ReadOptions.group_by`.

    Raises:
        UserError: For what is no regular expression, and what is neither a field nor matches any name.
    """
    parts = dict(reading.splits)
    notes = list(reading.notes)
    if pattern == NO_GROUPS:
        ungrouped = {name: (images, replace(one, groups=None)) for name, (images, one) in parts.items()}
        return Reading(ungrouped, (*notes, "groups are ignored (--group-by none)"))
    if pattern:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise UserError(f"group-by {pattern!r}: is not a regular expression ({error})") from error
        found = {name: [compiled.search(file) for file in one.file_names] for name, (_, one) in parts.items()}
        missed = sum(match is None for matches in found.values() for match in matches)
        count = sum(len(matches) for matches in found.values())
        if missed == count and any(one.groups is None for _, one in parts.values()):
            first = next(iter(parts.values()))[1].file_names[0]
            raise UserError(
                f"{root}: group-by {pattern!r} is no field of the images, and matches none of their names, as {first}"
            )
        if missed < count:
            for name, (images, one) in parts.items():
                groups = tuple(
                    file if match is None else str(match.group(1) if match.groups() else match.group())
                    for file, match in zip(one.file_names, found[name])
                )
                parts[name] = (images, replace(one, groups=groups))
            if missed:
                notes.append(f"{missed} images whose names do not match {pattern!r}: each is a group of its own")
    return Reading(parts, tuple(notes))


def _refuse_contradictions(reading: Reading, root: Path) -> None:
    """UserError where the parts have different keypoints, give one keypoint two sigmas, or one category id two names."""
    parts = {name: annotations for name, (_, annotations) in reading.splits.items()}
    if len({annotations.keypoint_names for annotations in parts.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(one.keypoint_names)}" for name, one in parts.items())
        raise UserError(f"{root}: its splits have different keypoints ({listed})")
    (first, known), *others = parts.items()
    names = {category.id: category.name for category in known.categories}
    for name, other in others:
        if not np.array_equal(other.sigmas, known.sigmas):
            raise UserError(f"{root}: {first} and {name} give other sigmas; give both the same")
        for category in other.categories:
            if names.setdefault(category.id, category.name) != category.name:
                raise UserError(
                    f"{root}: category {category.id} is {names[category.id]!r} in one split and {category.name!r} in "
                    f"{name}; give it one name"
                )


def _three(
    loaded: dict[str, LabeledImages], root: Path, options: ReadOptions, number: int
) -> tuple[LabeledImages, LabeledImages, LabeledImages]:
    """Train, val and test of data that may lack some."""
    if len(loaded) == 3:
        return loaded["train"], loaded["val"], loaded["test"]
    whole = loaded["all"] if "all" in loaded else loaded["train"]
    n = len(whole)
    val_size, test_size = (
        max(1, n // 5 if share is None else round(n * share)) for share in (options.val, options.test)
    )
    sizes = [n - val_size, val_size] if "all" not in loaded else [n - val_size - test_size, val_size, test_size]
    if min(sizes) < 1:
        raise UserError(f"{root}: {n} images are too few to be divided into train, val and test")
    digests, groups = splits.digests(whole.images), whole.annotations.groups
    if groups is None:
        cut = splits.split(digests, whole.annotations.labels, sizes, number)
    else:
        cut = splits.split_groups(digests, groups, sizes, number)
    train, val, *test = (whole.take(part) for part in cut)
    return train, val, test[0] if test else loaded.get("test", loaded.get("val", val))
