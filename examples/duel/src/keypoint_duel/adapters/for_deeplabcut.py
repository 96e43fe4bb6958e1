"""DeepLabCut 3, PyTorch engine.

A cell of its heatmap stands for the place (cell + .5) * stride, in targets as in answers, and the offset that is learned adds
the rest: so whatever a position means in the labels it means in the answers. Integers are pixel centres in both.

Its backbones begin with ImageNet weights that it downloads: the automatic configuration does not start offline. The tuned one
begins with none. It has no budget in time, and saves every 25 epochs: it is stopped at a step, and saves then.

Its mAP on val leaves out instances of fewer than two keypoints. With one keypoint it is 0 (or NaN, in some versions) after
every epoch, and the "best" snapshot is the first that was looked at: the tuned configuration answers from the last.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG = "pytorch_config.yaml"
LAST = "in-time.pt"
EPOCHS = 100_000  # the clock decides
SAVE_SECONDS = 3.0  # of the budget, a tenth of it at most, to save


class TimeOver(Exception):
    """The clock stops the training."""


def prepared(job: Any) -> Path:
    """A folder as its COCO loader wants it: one of annotations, with whole paths of images."""
    root = Path(job.folder / "deeplabcut")
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        document = job.document(split)
        first = job.category()
        document["categories"] = [{**first, "id": 1}]
        document["annotations"] = [
            {**one, "category_id": 1}
            for one in document["annotations"]
            if not one.get("iscrowd") and one["category_id"] == first["id"]
        ]
        having = {one["image_id"] for one in document["annotations"]}
        document["images"] = [
            {**image, "file_name": str(job.image(split, image))}
            for image in document["images"]
            if image["id"] in having
        ]
        (root / "annotations" / f"{split}.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def configuration(job: Any, root: Path) -> Any:
    """A project's configuration: ResNet-50, or with several animals its bottom-up network, as it makes them."""
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig

    most = 1
    for split in ("train", "val"):
        counts: dict[int, int] = {}
        for one in json.loads((root / "annotations" / f"{split}.json").read_text(encoding="utf-8"))["annotations"]:
            counts[one["image_id"]] = counts.get(one["image_id"], 0) + 1
        most = max([most, *counts.values()])
    names = [str(name) for name in job.category()["keypoints"]]
    several = most > 1
    project = {
        "Task": "duel",
        "scorer": "duel",
        "date": "today",
        "project_path": str(root),
        "multianimalproject": several,
        "bodyparts": "MULTI!" if several else names,
        "multianimalbodyparts": names if several else [],
        "individuals": [f"individual{i + 1}" for i in range(most)],
        "default_net_type": "resnet_50",
    }
    told = PoseConfig.build(project, job.model / CONFIG, top_down=False, multi_animal=several).to_dict()
    settings = told["train_settings"]
    settings["seed"] = job.seed
    if job.seconds is not None:
        settings["epochs"] = EPOCHS
    if job.tuned:
        told["model"]["backbone"]["model_name"] = "resnet18"
        told["model"]["backbone_output_channels"] = 512
        for head in told["model"]["heads"].values():
            for part in ("heatmap_config", "locref_config", "paf_config"):
                if head.get(part):
                    head[part]["channels"][0] = 512
        settings["batch_size"] = 4
        told["runner"]["optimizer"]["params"]["lr"] = 1e-3
        told["runner"]["scheduler"] = None
        width = max(image["width"] for image in job.document("train")["images"])
        height = max(image["height"] for image in job.document("train")["images"])
        told["data"]["train"]["crop_sampling"] |= {"width": min(256, width), "height": min(256, height)}
    config = PoseConfig.from_dict(told)
    config.to_yaml(job.model / CONFIG, overwrite=True)
    return config


def fit(job: Any) -> None:
    """Train until the clock."""
    import torch
    from deeplabcut.pose_estimation_pytorch.apis.training import train
    from deeplabcut.pose_estimation_pytorch.data.cocoloader import COCOLoader
    from deeplabcut.pose_estimation_pytorch.models import PoseModel
    from deeplabcut.pose_estimation_pytorch.runners.train import PoseTrainingRunner
    from deeplabcut.pose_estimation_pytorch.task import Task

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    root = prepared(job)
    configuration(job, root)
    loader = COCOLoader(root, job.model / CONFIG, "train.json", "val.json")
    if job.tuned:
        build = PoseModel.build
        PoseModel.build = staticmethod(lambda *given, **named: build(*given, **{**named, "pretrained_backbone": False}))
        job.note("begins with no weights")
    learn, step = PoseTrainingRunner.fit, PoseTrainingRunner.step

    def started(runner: Any, *given: Any, **named: Any) -> None:
        job.ready()
        try:
            learn(runner, *given, **named)
        except TimeOver:
            torch.save({k: v for k, v in runner.state_dict().items() if k != "optimizer"}, job.model / LAST)

    def timed(runner: Any, *given: Any, **named: Any) -> Any:
        if job.seconds is not None and job.left < min(SAVE_SECONDS, job.seconds / 10):
            raise TimeOver
        return step(runner, *given, **named)

    PoseTrainingRunner.fit, PoseTrainingRunner.step = started, timed
    try:
        train(loader, loader.model_cfg, Task.BOTTOM_UP, device=job.device)
    except Exception as error:
        if offline(error):
            raise SystemExit(
                f"it cannot start offline: it wants weights from the network ({type(error).__name__})"
            ) from error
        raise


def offline(error: BaseException | None) -> bool:
    """Whether an error is, or comes of, a network that cannot be reached."""
    while error is not None:
        words = f"{type(error).__name__} {error}".lower()
        if any(word in words for word in ("offline", "connection", "proxy", "resolve", "huggingface", "localentry")):
            return True
        error = error.__cause__ or error.__context__
    return False


def epoch(path: Path) -> int:
    """The epoch that a snapshot's name says."""
    return int(path.stem.rpartition("-")[2])


def snapshot(job: Any) -> Path:
    """The weights to answer from: of the best epoch on val, where it can tell, else those at the end."""
    best = sorted(job.model.glob("snapshot-best-*.pt"), key=epoch)[-1:]
    regular = sorted(set(job.model.glob("snapshot-*.pt")) - set(job.model.glob("snapshot-best-*.pt")), key=epoch)[-1:]
    end = [path for path in (job.model / LAST,) if path.is_file()]
    blind = job.tuned and len(job.category()["keypoints"]) < 2
    there = [*end, *regular, *best] if blind else [*best, *end, *regular]
    if not there:
        raise SystemExit("it has saved no weights in time")
    job.note(f"answers from {there[0].name}")
    return there[0]


def predict(job: Any) -> None:
    """Answer the test images."""
    import numpy as np
    import torch
    from deeplabcut.pose_estimation_pytorch.apis.utils import get_pose_inference_runner

    torch.set_num_threads(job.threads)
    runner = get_pose_inference_runner(job.model / CONFIG, snapshot(job), device=job.device)
    document, category = job.document("test"), job.category()
    job.ready()
    answers = runner.inference([str(job.image("test", image)) for image in document["images"]])
    found = []
    for image, answer in zip(document["images"], answers):
        for points in np.asarray(answer["bodyparts"], dtype=float):
            known = points[:, 2] >= 0  # -1 stands for what it did not find
            places = np.where(known[:, None], points[:, :2], np.nan).tolist()
            score = float(points[known, 2].mean()) if known.any() else 0.0
            found.append((image["id"], category["id"], places, score))
    job.answer(found)
