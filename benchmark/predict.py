"""A fitted detector on new images: from a run's saved weights to a COCO results file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark import files
from benchmark.detector import Detector
from benchmark.registry import named_for, spec_of
from benchmark.runs import facts
from benchmark.runs.execute import answer, commonest_category
from benchmark.runs.plan import changed_since
from benchmark.runs.store import FolderRun, Store, root_of
from benchmark.runs.threads import limited_threads
from benchmark.structures import Annotations, Category, Image, UserError
from datasets import formats
from datasets.formats.coco_results import write_predictions
from datasets.formats.reading import ReadOptions
from datasets.images import BROKEN, SUFFIXES, Span, decode, lies


def restored(folder: Path, device: str = "auto", detector: str | None = None) -> tuple[Detector, FolderRun, list[str]]:
    """The fitted detector of a run's folder.

    Args:
        folder: The folder of a run that was made with ``--save-weights``.
        device: auto, cpu or cuda.
        detector: The detector, where it is the user's own file: a record does not say what code is run.

    Returns:
        The detector; its run; and the files whose code has changed since it was fitted.

    Raises:
        UserError: Where weights are missing or not its own, or the detector is not to be had any more.
    """
    root = root_of(folder)
    stored = Store(root).read(folder)
    if not stored.weights.is_file():
        raise UserError(f"{stored.weights}: there are no weights; make the run with --save-weights")
    config, record = stored.record.config, stored.record
    spec = spec_of(named_for(config.name, record.facts.file, detector, stored.place), config.parameters)
    fitted = spec.framed()
    fitted.device = facts.device(device)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        with limited_threads(config.threads):  # restoring may be fitting again
            fitted.restore(load_file(stored.weights))
    except SafetensorError as error:
        raise UserError(
            f"{stored.weights}: is not a safetensors file ({error}); make the run again with --overwrite"
        ) from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{stored.weights}: are not the weights of {config.detector!r} ({why}); make the run again with --overwrite"
        ) from error
    file = spec.entry.file
    code = spec.code(() if file else record.facts.code)
    changed = changed_since(record, code, file.absolute().parent if file else None)
    return fitted, stored, changed


def predict_folder(
    weights: Path,
    images: Path,
    out: Path,
    *,
    device: str = "auto",
    detector: str | None = None,
    split: int = 0,
    options: ReadOptions | None = None,
) -> str:
    """Answer a folder of images (sorted by name, ids from 1), or the test split of a data set (its ids).

    Args:
        weights: The folder of a run that was made with ``--save-weights``.
        images: The images.
        out: A COCO results file to write. Beside a plain folder's, ``<out>.images.json`` says which file each id is.
        device: auto, cpu or cuda.
        detector: The detector, where it is the user's own file.
        split: How a data set is divided where its files do not say; 0 for development.
        options: What the user says about a data set.

    Returns:
        A sentence on what was written.

    Raises:
        UserError: For anything that cannot be read, answered or written.
    """
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file")
    fitted, run, changed = restored(weights, device, detector)
    known, threads = run.annotations, run.record.config.threads
    warning = f"; {', '.join(changed)} changed since it was fitted, so answers may differ" if changed else ""
    category = commonest_category(known)
    if formats.is_data_set(images):
        test = formats.read(images, split, options).test
        given, learned = len(test.annotations.keypoint_names), len(known.keypoint_names)
        if given != learned:
            raise UserError(f"{images}: has {given} keypoints, and the detector was fitted for {learned}")
        _write(out, fitted, test.annotations, test.images, category, threads)
        return f"{out}: points of {len(test)} images{warning}"
    if split or options not in (None, ReadOptions()):
        raise UserError(
            f"images {images}: holds no annotations, so nothing is divided or chosen; leave such options out"
        )
    pictures, names, turned = _images_of(images, run.record.span)
    if turned:
        warning = f"; {turned} of them turned upright, as their EXIF orientation says, and so are the points{warning}"
    index = out.with_suffix(".images.json")
    _write(out, fitted, _blank(pictures, names, known), pictures, category, threads)
    listed = [{"id": i, "file_name": name} for i, name in enumerate(names, 1)]
    files.write_text(index, json.dumps(listed, indent=1, ensure_ascii=False))
    return f"{out}: points of {len(names)} images; {index} says which id is which file{warning}"


def _write(
    out: Path, detector: Detector, annotations: Annotations, images: Sequence[Image], category: int, threads: int
) -> None:
    """Answer the images, and write the answers. UserError where the detector cannot, or the file cannot be written."""
    with files.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with limited_threads(threads):  # as the run, or the same images would be answered otherwise in the last bits
            predictions, _ = answer(detector, annotations, images, category)
    except UserError:
        raise
    except Exception as error:
        shapes = ", ".join(str(shape) for shape in sorted({image.shape for image in images})[:3])
        raise UserError(
            f"the detector cannot answer these images, of shape {shapes} ({' '.join(f'{type(error).__name__}: {error}'.split())}): give images "
            "of the size and colours it was fitted on"
        ) from error
    with files.writing(out):
        write_predictions(out, predictions, annotations)


def _images_of(folder: Path, span: Span | None) -> tuple[list[Image], list[str], int]:
    """The images of a folder, upright; their names; and how many were turned."""
    if not folder.is_dir():
        raise UserError(
            f"images {folder}: " + ("is a file; name its folder" if folder.exists() else "there is no such folder")
        )
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"images {folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    images, turned = [], 0
    for path in paths:
        try:
            images.append(decode(path, span=span))
            turned += lies(path)
        except BROKEN as error:
            raise UserError(f"{path}: is not an image that can be read ({error})") from error
    return images, [p.name for p in paths], turned


def _blank(images: Sequence[Image], names: Sequence[str], like: Annotations) -> Annotations:
    """Images of which nothing is known but their sizes, with the keypoints that the detector was fitted for."""
    k = len(like.keypoint_names)
    return Annotations(
        image_ids=np.arange(1, len(images) + 1),
        file_names=tuple(names),
        sizes=np.array([[image.shape[1], image.shape[0]] for image in images]),
        index=np.zeros(0, dtype=np.int64),
        keypoints=np.zeros((0, k, 2)),
        visible=np.zeros((0, k), dtype=np.int64),
        boxes=np.zeros((0, 4)),
        areas=np.zeros(0),
        crowd=np.zeros(0, dtype=bool),
        category_ids=np.zeros(0, dtype=np.int64),
        keypoint_names=like.keypoint_names,
        sigmas=like.sigmas,
        categories=tuple(Category(i, name) for i, name in _category_names(like).items()),
        skeleton=like.skeleton,
    )


def _category_names(like: Annotations) -> dict[int, str]:
    named = {category.id: category.name for category in like.categories}
    return {i: named.get(i, f"category {i}") for i in like.known_category_ids.tolist()}
