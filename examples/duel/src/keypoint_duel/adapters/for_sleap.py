"""SLEAP-NN.

In labels as in answers an integer is the centre of a pixel, so positions go in and come out as they are.

It has no budget in time: a callback stops it, and saves what it has learned where no epoch was finished by then. Peaks below a
threshold of .2 are not answered (NaN), which for a single keypoint is no answer at all, and costs most: it is lowered here.
The loss on val chooses the epoch.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

RUN = "run"
SAVE_SECONDS = 2.0  # of the budget, and a fiftieth of it at most, to end and to save
PATIENCE = 10_000  # epochs: the clock decides
ANY, LOW = -1e6, 0.05  # thresholds for peaks: of one instance an image the highest is the answer, however low


def most_instances(job: Any) -> int:
    """The most instances that a training image holds."""
    owners = [one["image_id"] for one in job.document("train")["annotations"] if not one.get("iscrowd")]
    return max(Counter(owners).values(), default=1)


def labels(job: Any, split: str) -> Any:
    """A split as SLEAP's labels: every image a video of one frame, for images may differ in size."""
    import numpy as np
    import sleap_io as sio

    document, category = job.document(split), job.category()
    names = [str(name) for name in category["keypoints"]]
    edges = [(names[a - 1], names[b - 1]) for a, b in category.get("skeleton") or []]
    if not edges:  # it groups keypoints along edges
        edges = list(itertools.pairwise(names))
    skeleton = sio.Skeleton(nodes=names, edges=edges, name="instance")
    frames = []
    for image in document["images"]:
        video = sio.Video.from_filename([str(job.image(split, image))])
        instances = []
        for one in document["annotations"]:
            if one["image_id"] != image["id"] or one.get("iscrowd"):
                continue
            rows = np.array(one["keypoints"], dtype=float).reshape(-1, 3)
            points = np.where(rows[:, 2:] > 0, rows[:, :2], np.nan)
            instances.append(sio.Instance.from_numpy(points, skeleton=skeleton))
        if instances or split == "test":
            frames.append(sio.LabeledFrame(video=video, frame_idx=0, instances=instances))
    return sio.Labels(labeled_frames=frames, videos=[frame.video for frame in frames], skeletons=[skeleton])


def configuration(job: Any, train: Path, val: Path) -> Any:
    """What its configuration generator says of the labels; ``tuned``: smaller images, batches and networks, larger steps."""
    from sleap_nn.config_generator import ConfigGenerator

    generator = ConfigGenerator.from_slp(str(train)).auto()
    several = most_instances(job) > 1
    recommended = generator.recommend().pipeline.recommended
    keypoints = len(job.category()["keypoints"])
    wanted = "single_instance" if not several else "bottomup" if keypoints > 1 else "centroid"
    if recommended != wanted:  # a pair of networks that are trained one after the other has no common clock
        job.note(f"it recommends {recommended}, and {wanted} is trained")
        generator.pipeline(wanted)
    if job.tuned:
        longest = max(max(image["width"], image["height"]) for image in job.document("train")["images"])
        generator.input_scale(0.5 if longest > 256 else 1.0).output_stride(2).sigma(2.5).batch_size(4).learning_rate(
            1e-3
        )
    config = generator.build()
    if job.tuned:
        for backbone in config.model_config.backbone_config.values():
            if backbone is not None and "filters" in backbone:
                backbone.filters = 16
        config.trainer_config.min_train_steps_per_epoch = 20
    data, trainer = config.data_config, config.trainer_config
    data.train_labels_path, data.val_labels_path = [str(train)], [str(val)]
    trainer.ckpt_dir, trainer.run_name, trainer.save_ckpt = str(job.model), RUN, True
    trainer.seed, trainer.use_wandb, trainer.enable_progress_bar = job.seed, False, False
    trainer.trainer_accelerator = "cpu" if job.device == "cpu" else "gpu"
    trainer.visualize_preds_during_training = False
    for loader in (trainer.train_data_loader, trainer.val_data_loader):
        loader.num_workers = 0
    if job.seconds is not None:
        trainer.max_epochs = PATIENCE
    return config


def fit(job: Any) -> None:
    """Train until the clock."""
    import lightning
    import torch
    from sleap_nn.training.model_trainer import ModelTrainer

    torch.set_num_threads(job.threads)
    files = {}
    for split in ("train", "val"):
        files[split] = job.folder / f"{split}.slp"
        labels(job, split).save(str(files[split]), verbose=False)

    class Clock(lightning.Callback):
        """Starts with the training and stops it in time."""

        def on_train_start(self, trainer: Any, module: Any) -> None:
            job.ready()

        def on_train_batch_end(self, trainer: Any, module: Any, *rest: Any) -> None:
            if job.seconds is not None and job.left < min(SAVE_SECONDS, job.seconds / 10):
                trainer.should_stop = True
                if not (job.model / RUN / "best.ckpt").exists():
                    trainer.save_checkpoint(str(job.model / RUN / "best.ckpt"))
                    job.note("no epoch was finished in time: it answers from the weights it had then")

    original = ModelTrainer._setup_loggers_callbacks

    def with_clock(trainer: Any, *given: Any, **named: Any) -> Any:
        loggers, callbacks = original(trainer, *given, **named)
        return loggers, [Clock(), *callbacks]

    ModelTrainer._setup_loggers_callbacks = with_clock  # its instances take no attribute
    ModelTrainer.get_model_trainer_from_config(configuration(job, files["train"], files["val"])).train()


def predict(job: Any) -> None:
    """Answer the test images."""
    import numpy as np
    import torch
    from sleap_nn.inference.run import predict as answer

    torch.set_num_threads(job.threads)
    if not (job.model / RUN / "best.ckpt").exists():
        raise SystemExit("it has saved no weights in time")
    asked = labels(job, "test")
    document, category = job.document("test"), job.category()
    ids = {str(job.image("test", image)): image["id"] for image in document["images"]}
    job.ready()
    found = []
    answers = answer(
        asked,
        model_paths=[str(job.model / RUN)],
        device=job.device,
        batch_size=1,
        peak_threshold=ANY if most_instances(job) == 1 else LOW,
        output_path=str(job.folder / "answers.slp"),
    )
    for frame in answers:
        name = frame.video.filename
        image = ids[str(name[0] if isinstance(name, list) else name)]
        for instance in frame.instances:
            points = np.asarray(instance.numpy(), dtype=float)[:, :2].tolist()
            score = getattr(instance, "score", None)
            found.append((image, category["id"], points, 1.0 if score is None else float(score)))
    job.answer(found)
