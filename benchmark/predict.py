"""A fitted detector on new images: from a run's saved weights to a COCO results file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.runs import environment as env
from benchmark.detector import Detector
from benchmark.registry import Entry, Spec
from benchmark.runs.execute import answer
from datasets.formats.coco_results import write_predictions
from benchmark.runs.store import Store, writing
from benchmark.structures import Image, Annotations, UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def restored(folder: Path, device: str = "auto") -> tuple[Detector, Annotations, str]:
    """The fitted detector of a run's folder, the annotations it was scored on, and a warning where its code has changed since.

    UserError where weights are missing or not its own.
    """
    stored = Store(_root_of(folder)).read(folder)
    path = folder / "weights.safetensors"
    if not path.is_file():
        raise UserError(f"{path}: there are no weights; make the run with --save-weights")
    recipe = stored.record.recipe
    entry = Entry(recipe.detector, recipe.target, str(folder))
    spec = Spec(entry, entry.load(), recipe.parameters)
    detector = spec.build()
    detector.device = env.device(device)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        detector.restore(load_file(path))
    except SafetensorError as error:
        raise UserError(f"{path}: is not a safetensors file ({error}); make the run again with --overwrite") from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{path}: are not the weights of {recipe.detector!r} ({why}); make the run again with --overwrite"
        ) from error
    changed = (
        "" if spec.source == recipe.source else "; its code has changed since it was fitted, so answers may differ"
    )
    return detector, stored.annotations, changed


def predict_folder(weights: Path, images: Path, out: Path, *, device: str = "auto") -> str:
    """Answer a folder of images (sorted by name, ids from 1), or the test split of a COCO folder (its ids).

    Writes ``out``, a COCO results file, and beside a plain folder's ``<out>.images.json`` which file each id is.
    Returns a sentence on what was written.
    """
    detector, known, changed = restored(weights, device)
    if (images / "annotations").is_dir():
        from datasets.formats.coco_folder import read_folder

        test = read_folder(images).test
        if len(test.annotations.names) != len(known.names):
            raise UserError(
                f"{images}: has {len(test.annotations.names)} keypoints, and the detector was fitted for {len(known.names)}"
            )
        _write(out, detector, test.annotations, test.images)
        return f"{out}: points of {len(test)} images{changed}"
    found, names = _images_of(images)
    index = out.with_suffix(".images.json")
    _write(out, detector, _blank(found, names, known), found)
    listed = json.dumps([{"id": i, "file_name": n} for i, n in enumerate(names, 1)], indent=1, ensure_ascii=False)
    with writing(index):
        index.write_text(listed + "\n", encoding="utf-8", errors="backslashreplace")
    return f"{out}: points of {len(names)} images; {index} says which id is which file{changed}"


def _write(out: Path, detector: Detector, annotations: Annotations, images: Sequence[Image]) -> None:
    """Answer the images, and write the answers. UserError where the detector cannot, or the file cannot be written."""
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = answer(detector, annotations, images)
    except (ValueError, RuntimeError) as error:
        shapes = ", ".join(str(shape) for shape in sorted({image.shape for image in images})[:3])
        raise UserError(
            f"the detector cannot answer these images, of shape {shapes} ({' '.join(str(error).split())}): give images "
            "of the size and colours it was fitted on"
        ) from error
    with writing(out):
        write_predictions(out, found, annotations)


def _images_of(folder: Path) -> tuple[list[Image], list[str]]:
    from PIL import Image as ImageFiles
    from PIL import UnidentifiedImageError

    if not folder.is_dir():
        raise UserError(
            f"images {folder}: " + ("is a file; name its folder" if folder.exists() else "there is no such folder")
        )
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"images {folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    images = []
    for path in paths:
        try:
            with ImageFiles.open(path) as picture:
                images.append(np.array(picture if picture.mode == "L" else picture.convert("RGB"), dtype=np.uint8))
        except (UnidentifiedImageError, OSError) as error:
            raise UserError(f"{path}: is not an image that can be read ({error})") from error
    return images, [p.name for p in paths]


def _blank(images: Sequence[Image], names: Sequence[str], like: Annotations) -> Annotations:
    """Images of which nothing is known but their sizes, with the keypoints that the detector was fitted for."""
    k = len(like.names)
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
        categories=np.zeros(0, dtype=np.int64),
        names=like.names,
        sigmas=like.sigmas,
    )


def _root_of(folder: Path) -> Path:
    """The results folder a run's folder lies in: six levels up."""
    if not (folder / "run.json").is_file():
        raise UserError(f"weights {folder}: is not the folder of a run (it holds no run.json)")
    above = folder.resolve().parents
    if len(above) < 7 or not (above[5] / "_annotations").is_dir():
        raise UserError(
            f"weights {folder}: lies outside its results folder (no _annotations six levels up); give it in its place"
        )
    return above[5]
