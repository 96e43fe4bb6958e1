"""A tool of a few lines that speaks the protocol: ``python fake_tool.py HOW fit|predict FOLDER``; HOW says how it fails."""

import json
import sys
import time
from pathlib import Path

how, step, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
job = json.loads((folder / "job.json").read_text())
print(f"hello from {how}, {step}", flush=True)


def document(split):
    return json.loads((folder / "annotations" / f"{split}.json").read_text())


if how == "silent":
    time.sleep(60)
if how == "slow-start":
    time.sleep(1)
if how != "never-ready":
    (folder / "ready").touch()
if step == "fit":
    if how == "crash":
        raise RuntimeError("no such network")
    rows = [row["keypoints"] for row in document("train")["annotations"]]
    mean = [sum(values) / len(rows) for values in zip(*rows)]
    if how == "hang":
        time.sleep(60)
    (folder / "model" / "mean.json").write_text(json.dumps(mean))
    if how == "hang-saved":
        time.sleep(60)
    (folder / "notes.txt").write_text(f"told {job['seconds']:.2g} s, seed {job['seed']}, threads {job['threads']}\n")
elif how != "no-answer":
    mean = json.loads((folder / "model" / "mean.json").read_text())
    asked = document("test")
    assert asked["annotations"] == []
    shift = 0.5 if how == "half-pixel" else 0.0
    points = [value + shift * (i % 3 < 2) for i, value in enumerate(mean)]
    if how == "nan":
        points[0] = float("nan")
    category = asked["categories"][0]["id"]
    rows = [{"image_id": i["id"], "category_id": category, "keypoints": points, "score": 0.5} for i in asked["images"]]
    (folder / "results.json").write_text(json.dumps(rows))
