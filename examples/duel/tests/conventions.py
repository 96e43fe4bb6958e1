"""Where a tool thinks a dot is, run by its own Python: ``PYTHON conventions.py ADAPTERS TOOL FOLDER``.

FOLDER is what `fit` is given. Two distances are printed as JSON, the largest over images and keypoints, in px:

    labels    between the middle of a dot in what the network is shown and the place that it is taught, less the half pixel
              where the tool counts from edges: at several sizes, for a wrong half pixel grows with the scale
    answers   between the annotation and what a network that has learned this without error is made to answer
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, sys.argv[1])
import protocol

RADIUS = 2.5  # standard deviations of a dot about which its middle is taken


def middle(gray, near, sigma):
    """The centroid (x, y) of what is brighter than the surroundings about a place: an integer is a pixel's centre."""
    x0, y0 = near
    r = max(2, round(RADIUS * sigma))
    for _ in range(5):  # about itself, so that the window does not pull it
        y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
        weight = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * r**2)) * np.clip(gray - np.median(gray), 0, None)
        x0, y0 = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
    return np.array([x0, y0])


def yolo(job):
    import for_yolo
    import torch
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset
    from ultralytics.engine.predictor import BasePredictor

    for_yolo.write(job)
    data = check_det_dataset(str(job.folder / "data.yaml"))
    truth = {one["image_id"]: one["keypoints"] for one in job.document("val")["annotations"]}
    labels, answers = [], []
    for side in (64, 192):
        scale = side / 96
        found = YOLODataset(
            img_path=data["val"],
            imgsz=side,
            augment=False,
            rect=False,
            data=data,
            task="pose",
            hyp=get_cfg(),
            batch_size=1,
        )
        for item in (found[i] for i in range(len(found))):
            gray = item["img"].float().mean(0).numpy()
            taught = item["keypoints"][0, :, :2].numpy() * side
            for place in taught:
                labels.append(middle(gray, place, 2 * scale) + for_yolo.HALF - place)

        def perfect(predictor, im, *rest, scale=scale, **named):
            gray = im[0].float().mean(0).numpy()
            y, x = np.unravel_index(np.argmax(gray), gray.shape)
            at = middle(gray, (x, y), 2 * scale) + for_yolo.HALF
            keypoints = [value for _ in range(len(job.category()["keypoints"])) for value in (*at, 1.0)]
            return torch.tensor([*at, 20.0, 20.0, 0.9, *keypoints])[None, :, None]

        BasePredictor.inference = perfect
        model = YOLO(for_yolo.MODEL)
        model.model.kpt_shape, model.model.names = [len(job.category()["keypoints"]), 3], {0: "instance"}
        for image in job.document("val")["images"]:
            (result,) = model.predict(str(job.image("val", image)), imgsz=side, verbose=False, device="cpu")
            ((_, _, points, _),) = for_yolo.instances(image["id"], result.boxes, result.keypoints, [1])
            answers.append(np.array(points[0]) - np.array(truth[image["id"]][:2]))
    return labels, answers


def sleap(job):
    import for_sleap
    import torch
    from sleap_nn.inference.peak_finding import find_global_peaks
    from sleap_nn.training.model_trainer import ModelTrainer

    labels, answers = [], []
    for split in ("train", "val"):
        for_sleap.labels(job, split).save(str(job.folder / f"{split}.slp"), verbose=False)
    for scale in (1.0, 0.5):
        config = for_sleap.configuration(job, job.folder / "train.slp", job.folder / "val.slp")
        config.data_config.preprocessing.scale = scale
        trainer = ModelTrainer.get_model_trainer_from_config(config)
        head = trainer.config.model_config.head_configs.single_instance.confmaps
        trainer.trainer = SimpleNamespace(global_rank=0, num_devices=1)
        _, found = trainer._setup_datasets()
        for item in (found[i] for i in range(len(found))):
            gray = item["image"].float().squeeze().numpy()
            gray = gray.mean(0) if gray.ndim == 3 else gray
            taught = item["instances"].squeeze().reshape(-1, 2).numpy()
            for place in taught:
                labels.append((middle(gray, place, 2 * scale) + 0.5) / scale - 0.5 - place / scale)
            maps = item["confidence_maps"]
            maps = maps.reshape(1, -1, *maps.shape[-2:])
            peaks, _ = find_global_peaks(maps, threshold=0.0, refinement="integral", integral_patch_size=5)
            answers += list((peaks.squeeze(0).numpy() * head.output_stride - taught) / scale)
    torch.set_num_threads(1)
    return labels, answers


def deeplabcut(job):
    import for_deeplabcut
    import torch
    from deeplabcut.pose_estimation_pytorch.data.cocoloader import COCOLoader
    from deeplabcut.pose_estimation_pytorch.data.transforms import build_transforms
    from deeplabcut.pose_estimation_pytorch.models.predictors import HeatmapPredictor
    from deeplabcut.pose_estimation_pytorch.models.target_generators import HeatmapGaussianGenerator
    from deeplabcut.pose_estimation_pytorch.task import Task

    root = for_deeplabcut.prepared(job)
    job.model.mkdir(exist_ok=True)
    for_deeplabcut.configuration(job, root)
    loader = COCOLoader(root, job.model / for_deeplabcut.CONFIG, "train.json", "val.json")
    plain = build_transforms(loader.model_cfg["data"]["inference"])
    found = loader.create_dataset(transform=plain, mode="test", task=Task.BOTTOM_UP)
    k = len(job.category()["keypoints"])
    generator = HeatmapGaussianGenerator(num_heatmaps=k, pos_dist_thresh=17, generate_locref=True, locref_std=7.2801)
    predictor = HeatmapPredictor(apply_sigmoid=False, location_refinement=True, locref_std=7.2801)
    labels, answers = [], []
    for item in (found[i] for i in range(len(found))):
        gray = np.asarray(item["image"]).mean(0)
        keypoints = np.asarray(item["annotations"]["keypoints"], dtype=float)
        taught = keypoints.reshape(-1, keypoints.shape[-1])[:k, :2]
        for place in taught:
            labels.append(middle(gray, place, 2) - place)
        for stride in (4, 8):
            shape = gray.shape[0] // stride, gray.shape[1] // stride
            outputs = {"heatmap": torch.zeros(1, k, *shape), "locref": torch.zeros(1, 2 * k, *shape)}
            told = {"keypoints": torch.tensor(keypoints)[None]}
            target = generator(stride, outputs, told)
            maps = {"heatmap": target["heatmap"]["target"], "locref": target["locref"]["target"]}
            poses = predictor(stride, maps)["poses"]
            answers += list(poses[0, 0, :, :2].numpy() - taught)
    return labels, answers


if __name__ == "__main__":
    labels, answers = globals()[sys.argv[2]](protocol.Job(Path(sys.argv[3])))
    figures = {name: float(np.abs(np.array(v)).max()) for name, v in (("labels", labels), ("answers", answers))}
    print(
        json.dumps(
            {**figures, "mean": np.mean(labels, axis=0).tolist(), "mean answer": np.mean(answers, axis=0).tolist()}
        )
    )
