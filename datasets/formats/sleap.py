"""SLEAP labels (https://io.sleap.ai/latest/formats/slp): ``.slp``, and ``.pkg.slp`` with the images inside.

A file, or a folder that holds one, or one each for train, val and test (as ``train.pkg.slp``). It is HDF5 and is read
through h5py; sleap-io would bring thirty packages and put top-level modules ``tests`` and ``scripts`` beside ours.

An integer is the centre of its pixel since format 1.1; before, labels counted from the pixel's edge, and half a pixel is
taken off here, as SLEAP does (from labels, not from predictions). A point that is not visible is not labelled: SLEAP leaves it
where a template put it, and trains without it. Instances labelled by hand are read, and predictions only where a file has no
others. Frames of one video are one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from benchmark.structures import Annotations, Category, UserError
from datasets.formats.coco import boxes_around, default_sigmas
from datasets.formats.reading import Reading, ReadOptions
from datasets.formats.sleap_images import found_frames
from datasets.formats.sleap_labels import Frame, Labels, Skeleton, read_labels
from datasets.formats.sleap_package import write as write
from datasets.images import ImageFiles, sizes_of

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def sniff(path: Path) -> bool:
    """Whether this is a ``.slp`` file, or a folder that holds one.

    Args:
        path: A folder or file.
    """
    return path.suffix.lower() == ".slp" if path.is_file() else any(_slp_files(path))


def read(path: Path, options: ReadOptions) -> Reading:
    """All labelled frames, of all videos.

    Args:
        path: A file, or a folder that holds one, or one a split.
        options: What the user said about it; ``category`` chooses a skeleton.

    Raises:
        UserError: One line with file and entry, for what is wrong; where no image of the labels can be found; where h5py
            is not installed.
    """
    labels = {name: read_labels(file) for name, file in _splits(path).items()}
    notes = _choose_instances(list(labels.values()))
    skeletons = _choose_skeletons(list(labels.values()), path, options.category, notes)
    names = skeletons[0].nodes
    found = {name: found_frames(one) for name, one in labels.items()}
    notes += _notes_on_images(labels, found)
    titles = list(dict.fromkeys(one.name for one in skeletons))
    sigmas, words = default_sigmas(names, options.sigmas)
    videos = [frame.video for frames in found.values() for frame in frames]
    shown = _titles(list(dict.fromkeys(video.name for video in videos)))
    one_sequence = len(shown) == 1 and all(video.files for video in videos)
    splits = {}
    for name, frames in found.items():
        images = [frame.image for frame in frames if frame.image is not None]
        sizes = sizes_of(images, str(labels[name].path))
        rows = [(i, instance) for i, frame in enumerate(frames) for instance in frame.instances]
        points = np.array([one.points for _, one in rows], dtype=np.float64).reshape(len(rows), len(names), 2)
        visible = np.where(np.isnan(points).any(axis=2), 0, 2).astype(np.int64)
        keypoints = np.where((visible > 0)[:, :, None], points, 0.0)
        boxes = boxes_around(keypoints, visible)
        splits[name] = (
            ImageFiles(images, sizes, str(labels[name].path)),
            Annotations(
                image_ids=np.arange(1, len(frames) + 1),
                file_names=_file_names(frames, shown),
                sizes=sizes,
                index=np.array([i for i, _ in rows], dtype=np.int64),
                keypoints=keypoints,
                visible=visible,
                boxes=boxes,
                areas=boxes[:, 2] * boxes[:, 3],
                crowd=np.zeros(len(rows), dtype=np.bool_),
                category_ids=np.array([1 + titles.index(one.skeleton.name) for _, one in rows], dtype=np.int64),
                keypoint_names=names,
                sigmas=sigmas,
                categories=tuple(Category(i + 1, title) for i, title in enumerate(titles)),
                skeleton=skeletons[0].edges,
                flip_pairs=skeletons[0].symmetries,
                groups=None if one_sequence else tuple(shown[frame.video.name] for frame in frames),
            ),
        )
    notes += ["boxes are those of the labelled points, padded by 3 px", words]
    return Reading(splits if "train" in splits else {"all": next(iter(splits.values()))}, tuple(notes))


def _slp_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.slp")) if path.is_file() and not path.name.startswith("."))


def _splits(path: Path) -> dict[str, Path]:
    """Name of a split -> its file; all where there is one."""
    if path.is_file():
        return {"all": path}
    found = list(_slp_files(path))
    if len(found) == 1:
        return {"all": found[0]}
    named: dict[str, Path] = {}
    for file in found:
        words = file.name.lower().replace("_", ".").replace("-", ".").split(".")
        own = {SPLITS[word] for word in words if word in SPLITS}
        if len(own) == 1:
            named.setdefault(own.pop(), file)
    if len(named) < len(found) or "train" not in named:
        listed = ", ".join(file.name for file in found[:4]) + (", ..." if len(found) > 4 else "")
        raise UserError(
            f"{path}: holds {len(found)} .slp files ({listed}); give one of them, or call them train, val and test"
        )
    return {name: named[name] for name in ("train", "val", "test") if name in named}


def _choose_instances(labels: list[Labels]) -> list[str]:
    """Keep what was labelled by hand, or predictions where there is nothing else. Notes on it."""
    notes = []
    by_hand = any(one.by_hand for part in labels for frame in part.frames for one in frame.instances)
    if predicted := sum(part.predicted for part in labels):
        notes.append(
            f"{predicted} predicted instances set aside"
            if by_hand
            else f"WARNING: nothing is labelled by hand: {predicted} predictions are read as if they were labels"
        )
    empty = 0
    for part in labels:
        for frame in part.frames:
            frame.instances = [one for one in frame.instances if one.by_hand == by_hand]
        kept = [frame for frame in part.frames if frame.instances or frame.negative]
        empty += len(part.frames) - len(kept)
        part.frames = kept
    if empty:
        notes.append(f"{empty} frames without an instance{' labelled by hand' if by_hand else ''} set aside")
    if count := sum(part.invisible for part in labels):
        notes.append(f"{count} points marked not visible: read as not labelled, as SLEAP trains")
    return notes


def _choose_skeletons(labels: list[Labels], path: Path, wanted: str, notes: list[str]) -> list[Skeleton]:
    """The skeletons of the instances that are kept, which have the same nodes."""
    counts = Counter(one.skeleton for part in labels for frame in part.frames for one in frame.instances)
    if not counts:
        raise UserError(f"{path}: no frame holds a labelled instance; label some in SLEAP first")
    listed = ", ".join(f"{one.name} ({len(one.nodes)} nodes, {count} instances)" for one, count in counts.items())
    if wanted and wanted not in {one.name for one in counts}:
        raise UserError(f"{path}: has no skeleton {wanted!r}; there are {listed}")
    chosen = [one for one in counts if wanted in ("", one.name)]
    if len({one.nodes for one in chosen}) > 1:
        raise UserError(f"{path}: its skeletons have different nodes; choose one with --category NAME: {listed}")
    if aside := sum(count for one, count in counts.items() if one not in chosen):
        notes.append(f"{aside} instances of other skeletons set aside")
        for part in labels:
            for frame in part.frames:
                frame.instances = [one for one in frame.instances if one.skeleton in chosen]
            part.frames = [frame for frame in part.frames if frame.instances or frame.negative]
    return chosen


def _notes_on_images(labels: dict[str, Labels], found: dict[str, list[Frame]]) -> list[str]:
    """What was not found; UserError where that is all of a split."""
    notes = []
    missing: Counter[str] = Counter()
    for name, one in labels.items():
        have = {id(frame) for frame in found[name]}
        lost = [frame for frame in one.frames if id(frame) not in have]
        if lost and not have:
            video = lost[0].video
            listed = f"{lost[0].number} of " if not video.files else ""
            raise UserError(
                f"{one.path}: there is no image for any of its {len(lost)} labelled frames, as frame {listed}"
                f"{(video.source or video).name}; put the videos beside it, or save the labels with images (.pkg.slp)"
            )
        missing.update((frame.video.source or frame.video).name for frame in lost)
    for video_name, count in missing.items():
        notes.append(f"WARNING: {count} labelled frames set aside: {video_name} is not found, or does not hold them")
    decoded = [f for frames in found.values() for f in frames if not f.video.dataset and not f.video.files]
    if decoded:
        count = len({id(frame.video) for frame in decoded})
        notes.append(
            f"{len(decoded)} frames decoded from {count} video{'s' if count > 1 else ''}, anew by every command; "
            "export --format coco keeps them"
        )
    return notes


def _titles(names: Sequence[str]) -> dict[str, str]:
    """Short names for videos, each its own: the last part of the path, or with a number where several share it."""
    last = {name: PurePosixPath(name.replace("\\", "/")).name or "images" for name in names}
    counts = Counter(last.values())
    return {name: own if counts[own] == 1 else f"{i + 1}-{own}" for i, (name, own) in enumerate(last.items())}


def _file_names(frames: Sequence[Frame], titles: dict[str, str]) -> tuple[str, ...]:
    """A name an image: its file's where it has one, else its video's and the number of the frame."""
    names = []
    for frame in frames:
        video, title = frame.video, titles[frame.video.name]
        if 0 <= frame.number < len(video.files):
            name = PurePosixPath(video.files[frame.number].replace("\\", "/"))
            inside = ":" not in name.as_posix() and not name.is_absolute() and ".." not in name.parts
            names.append(name.as_posix() if inside else f"{title}/{name.name}")
        else:
            names.append(f"{title}/{frame.number:06d}")
    unique = len(set(names)) == len(names)
    return tuple(names) if unique else tuple(f"{i:06d}-{PurePosixPath(name).name}" for i, name in enumerate(names))
