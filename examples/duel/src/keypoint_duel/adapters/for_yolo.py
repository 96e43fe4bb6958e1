"""Ultralytics pose.

Positions are shares of the image counted from its edge, both in labels and in answers: what it calls x px is the centre of
the pixel x - .5. So .5 is added on the way in and taken off on the way out.

Its default sigma for other than 17 keypoints is 1/K. With one keypoint every answer anywhere near the object then is right
(OKS about 1): loss and validation see nothing of the place. It reads ``kpt_oks_sigmas`` of the data, which the tuned
configuration gives it; the automatic one does as a user would who does not know of it.
"""

from __future__ import annotations

import json
import os
from typing import Any

MODEL = "yolo11n-pose.yaml"
LEAST_CONFIDENCE = 0.001  # answers above it are kept: an image without an answer is a miss
HALF = 0.5  # px, from pixel centres to edges


def write(job: Any) -> None:
    """Labels as text files beside the images, and ``data.yaml``."""
    told: dict[str, Any] = {"path": str(job.folder), "train": "images/train", "val": "images/val"}
    for split in ("train", "val"):
        document = job.document(split)
        classes = {category["id"]: i for i, category in enumerate(document["categories"])}
        labels = job.folder / "labels" / split
        labels.mkdir(parents=True)
        lines: dict[int, list[str]] = {image["id"]: [] for image in document["images"]}
        sizes = {image["id"]: (image["width"], image["height"]) for image in document["images"]}
        for one in document["annotations"]:
            if one.get("iscrowd"):
                continue
            width, height = sizes[one["image_id"]]
            lines[one["image_id"]].append(line(one, classes[one["category_id"]], width, height))
        for image in document["images"]:
            file = (labels / image["file_name"]).with_suffix(".txt")
            file.write_text("\n".join(lines[image["id"]]), encoding="utf-8")
        told["names"] = {i: str(category["name"]) for i, category in enumerate(document["categories"])}
        told["kpt_shape"] = [len(document["categories"][0]["keypoints"]), 3]
    flips = job.flips()
    if flips != sorted(flips):  # without it, it does not mirror: what a mirror makes of these points is not known
        told["flip_idx"] = flips
    if job.tuned:
        told["kpt_oks_sigmas"] = job.document("train")["info"]["sigmas"]
    (job.folder / "data.yaml").write_text(json.dumps(told), encoding="utf-8")  # JSON is YAML


def line(annotation: dict[str, Any], number: int, width: int, height: int) -> str:
    """A line of a label file: class, box, keypoints, as shares of the image from its edge."""
    x, y, w, h = annotation["bbox"]
    left, top = max(0.0, x), max(0.0, y)  # a box that leaves the image would be dropped with its keypoints
    right, bottom = min(float(width), x + w), min(float(height), y + h)
    values = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]
    keypoints = annotation["keypoints"]
    for px, py, flag in zip(keypoints[::3], keypoints[1::3], keypoints[2::3]):
        values += [(px + HALF) / width, (py + HALF) / height, flag] if flag else [0.0, 0.0, 0]
    return " ".join([str(number), *(repr(float(value)) for value in values)])


def options(job: Any) -> dict[str, Any]:
    """How it is trained: its defaults, or set by hand for few images and a short time on a processor."""
    if not job.tuned:
        return {}
    sizes = job.document("train")["images"]
    longest = max(max(image["width"], image["height"]) for image in sizes)
    side = max(64, min(320, 32 * round(longest / 32)))
    return {"imgsz": side, "batch": 8, "warmup_epochs": 1.0, "close_mosaic": 0, "mosaic": 0.0, "nbs": 8, "scale": 0.2}


def fit(job: Any) -> None:
    """Train until the clock, which it stops at by itself."""
    os.environ.setdefault("YOLO_CONFIG_DIR", str(job.folder))  # its settings, else in the home
    import torch
    from ultralytics import YOLO, settings

    settings.update({"sync": False})  # no statistics are sent
    torch.set_num_threads(job.threads)
    write(job)
    model = YOLO(MODEL)

    def started(trainer: Any) -> None:
        job.ready()

    def learned(trainer: Any) -> None:
        if job.seconds is not None and trainer.epoch == trainer.start_epoch and job.left < job.seconds / 2:
            trainer.save_model()  # it saves after an epoch, and this first one may not end in time

    model.add_callback("on_train_start", started)
    model.add_callback("on_train_batch_end", learned)
    hours = {} if job.seconds is None else {"time": HEADROOM * job.seconds / 3600}
    model.train(
        **{
            "data": str(job.folder / "data.yaml"),
            "project": str(job.model),
            "name": "run",
            "exist_ok": True,
            "pretrained": False,
            "device": "cpu" if job.device == "cpu" else 0,
            "workers": 0 if job.device == "cpu" else min(8, job.threads),
            "seed": job.seed,
            "plots": False,
            "amp": job.device != "cpu",
            **hours,
            **options(job),
        }
    )


HEADROOM = 0.92  # of the budget is for training: it validates after the last epoch, and once more at the end


def weights(job: Any) -> Any:
    """The weights to answer from: of the best epoch, else of the last."""
    found = [job.model / "run" / "weights" / name for name in ("best.pt", "last.pt")]
    there = [path for path in found if path.is_file()]
    if not there:
        raise SystemExit("it has saved no weights in time")
    return there[0]


def predict(job: Any) -> None:
    """Answer the test images."""
    os.environ.setdefault("YOLO_CONFIG_DIR", str(job.folder))  # its settings, else in the home
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(job.threads)
    model = YOLO(str(weights(job)))
    document = job.document("test")
    ids = [category["id"] for category in document["categories"]]
    side = options(job).get("imgsz", 640)
    job.ready()
    found = []
    for image in document["images"]:
        (result,) = model.predict(
            str(job.image("test", image)), imgsz=side, conf=LEAST_CONFIDENCE, verbose=False, device=job.device
        )
        found += instances(image["id"], result.boxes, result.keypoints, ids)
    job.answer(found)


def instances(image: int, boxes: Any, keypoints: Any, ids: list[int]) -> list[Any]:
    """What it found in an image, in pixels whose centres are integers."""
    if boxes is None or keypoints is None:
        return []
    places = (keypoints.xy.cpu().double() - HALF).tolist()
    classes, scores = boxes.cls.cpu().tolist(), boxes.conf.cpu().double().tolist()
    return [(image, ids[int(number)], points, score) for points, number, score in zip(places, classes, scores)]
