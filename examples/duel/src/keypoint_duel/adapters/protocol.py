"""The tool's side of the protocol, in the standard library alone."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PROTOCOL = 1  # raised where the folder means something else


class Job:
    """A step to do.

    Args:
        folder: Where it lies.

    Attributes:
        folder: That folder.
        model: The folder for what is learned.
        seconds: To learn for, from `ready` on; None: as long as the tool likes.
        seed: Fixes what is drawn at random.
        threads: To compute with.
        device: "cpu" or "cuda".
        tuned: Whether it is to be configured by hand.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.model = folder, folder / "model"
        self._told: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        if self._told.get("protocol") != PROTOCOL:
            raise SystemExit(
                f"{folder}: speaks protocol {self._told.get('protocol')}, and this adapter speaks {PROTOCOL}"
            )
        self.seconds: float | None = self._told.get("seconds")
        self.seed, self.threads = int(self._told.get("seed", 0)), int(self._told.get("threads", 1))
        self.device = str(self._told.get("device", "cpu"))
        self.settings: dict[str, Any] = self._told.get("settings", {})
        self.tuned = self.settings.get("config") == "tuned"
        self._begun = time.monotonic()

    def check_version(self) -> None:
        """End with a line where the tool is not there, or in another version than the row is about."""
        package, asked = self.settings.get("package"), self.settings.get("version")
        if not package:
            return
        try:
            found = version(package)
        except PackageNotFoundError:
            raise SystemExit(f"this environment has no {package}") from None
        if found != asked:
            raise SystemExit(f"this environment has {package} {found}, and not {asked}: say version={found}")
        self.note(f"{package} {found}, {self.settings.get('config')}")

    def ready(self) -> None:
        """Say that all is imported and made ready: the clock starts."""
        self._begun = time.monotonic()
        (self.folder / "ready").touch()

    @property
    def left(self) -> float:
        """Seconds that are left to learn."""
        return math.inf if self.seconds is None else self.seconds - (time.monotonic() - self._begun)

    def note(self, words: str) -> None:
        """A sentence for the run's record."""
        with (self.folder / "notes.txt").open("a", encoding="utf-8") as file:
            file.write(" ".join(words.split()) + "\n")

    def document(self, split: str) -> dict[str, Any]:
        """The COCO document of a split: train, val or test."""
        text = (self.folder / "annotations" / f"{split}.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document

    def image(self, split: str, image: dict[str, Any]) -> Path:
        """The file of an image of a document."""
        return self.folder / "images" / split / str(image["file_name"])

    def category(self) -> dict[str, Any]:
        """The first category, with names of keypoints."""
        first: dict[str, Any] = self.document("train")["categories"][0]
        return first

    def flips(self) -> list[int]:
        """For each keypoint the one that a mirror makes of it (0-based); itself where nothing is said."""
        category = self.category()
        order = list(range(len(category["keypoints"])))
        for a, b in category.get("flip_pairs", []):
            order[a - 1], order[b - 1] = b - 1, a - 1
        return order

    def answer(self, found: Sequence[tuple[int, int, Sequence[Sequence[float]], float]]) -> None:
        """Write the results file.

        A keypoint that was not found (NaN) lies at the mean of the instance's others; an instance without any is none.

        Args:
            found: Instances: image id, category id, K points (x, y) in px, integer = pixel centre, and score.
        """
        rows, filled = [], 0
        for image, category, points, score in found:
            known = [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
            if not known:
                continue
            middle = [sum(values) / len(known) for values in zip(*known)]
            filled += len(points) - len(known)
            keypoints: list[float] = []
            for x, y in points:
                at = (x, y) if math.isfinite(x) and math.isfinite(y) else middle
                keypoints += [float(at[0]), float(at[1]), 2]
            confidence = float(score) if math.isfinite(score) else 0.0
            rows.append({"image_id": image, "category_id": category, "keypoints": keypoints, "score": confidence})
        if filled:
            self.note(f"{filled} keypoints that it did not find lie at the mean of the instance's others")
        (self.folder / "results.json").write_text(json.dumps(rows), encoding="utf-8")
