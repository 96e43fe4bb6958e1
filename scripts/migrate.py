"""Once: the runs of version 0.1, a folder each, become bundles; every figure is scored again and compared.

    python scripts/migrate.py OLD_FOLDER NEW_FOLDER [INSTRUCTION_SET]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.metrics import score
from benchmark.runs.bundle import Bundle, write_bundles
from benchmark.runs.config import RunConfig
from benchmark.runs.facts import Facts
from benchmark.runs.store import Record, Store
from datasets.formats.coco import read_annotations
from datasets.formats.coco_results import read_predictions

RENAMED = {
    "trunk": "backbone",
    "readout": "pooling",
    "most": "max_candidates",
    "split": "split_ratio",
    "each": "maps_per_keypoint",
}


# In 0.1 two names with one class and equal parameters shared a run; now each name has its own.
TWO_NAMES = {
    "dummy-constant:features=pix": "basenet:widths=28",
    "dummy-random:features=pix": "basenet:widths=28",
    "featsnet1:features=pix": "basenet:widths=28",
    "heatmap-dark:decode=argmax": "heatmap-quarter:decode=argmax",
    "heatmap-gaussian:loss=ce": "heatmap-onehot:target=gaussian",
}


def renamed(specification: str) -> str:
    name, colon, tail = specification.partition(":")
    pairs = [part.partition("=") for part in tail.split(",")] if colon else []
    return name + colon + ",".join(RENAMED.get(key, key) + equals + value for key, equals, value in pairs)


def migrated(old: dict[str, Any], instruction_set: str) -> Record:
    recipe, where = old["recipe"], old["environment"]
    config = RunConfig(
        task=recipe["task"],
        version=recipe["version"],
        data=recipe["data"],
        data_digest=recipe["data_digest"],
        folds=recipe["folds"],
        n_train=recipe["n_train"],
        detector=renamed(recipe["detector"]),
        name=recipe["detector"].partition(":")[0],
        parameters={RENAMED.get(key, key): value for key, value in recipe["parameters"].items()},
        budget=recipe["budget"],
        device=recipe["device"],
        threads=recipe["threads"],
    )
    scores = old["scores"]
    if scores:
        scores["flags"] = {
            "tied_scores": scores["flags"]["tied_scores"],
            "multi_instance": scores["flags"]["many"],
        }
    return Record(
        status=old["status"],
        key=config.key(old["seed"]),
        config=config,
        seed=old["seed"],
        specification=config.detector,
        annotations=old["truth"],
        summary=old["line"],
        reference=old["source"],
        has_confidence=old["scored"],
        ranked=not old["reference"],
        rule_structured=old["rule_structured"],
        oracle_features=old["oracle"],
        external=old["external"],
        fit_seconds=old["fit_seconds"],
        predict_ms=old["predict_ms"],
        n_parameters=old["weights"],
        untrained=old["untrained"],
        scores=scores,
        error=old["error"],
        created=old["created"],
        facts=Facts(
            python=where["python"],
            platform=where["platform"],
            processor=where["cpu"],
            instruction_set=instruction_set,
            cores=where["cores"],
            commit=where["commit"],
            packages=where["packages"],
        ),
    )


def main(source: Path, target: Path, instruction_set: str = "") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(scratch)
        old_scores: dict[str, dict[str, Any]] = {}
        answers: dict[str, bytes] = {}
        paths = sorted(source.glob("[!_.]*/*/*/n*/seed*/*/run.json"))
        superseded = 0  # runs of one config by older code, which no board showed
        for path in sorted(paths, key=lambda path: json.loads(path.read_text())["created"]):
            old = json.loads(path.read_text())
            record = migrated(old, instruction_set)
            annotations = read_annotations(source / "_truth" / f"{old['truth']}.json")
            assert store.put_annotations(annotations) == old["truth"], path
            predictions = read_predictions(path.parent / "predictions.json", annotations, own=True)
            history = path.parent / "history.csv"
            stored = store.write(
                record,
                predictions=predictions,
                history=history.read_text() if history.is_file() else "",
                log=(path.parent / "log.txt").read_text(),
            )
            answers[record.key] = (path.parent / "predictions.json").read_bytes()
            assert (stored.folder / "predictions.json").read_bytes() == answers[record.key], path
            superseded += record.key in old_scores
            old_scores[record.key] = old["scores"]
        for alias, original in TWO_NAMES.items() if source.name == "ablations" else ():
            (run,) = [run for run in store.runs() if run.record.config.detector == original]
            config = run.record.config.model_copy(update={"detector": alias, "name": alias.partition(":")[0]})
            record = run.record.model_copy(
                update={"config": config, "key": config.key(run.record.seed), "specification": alias}
            )
            store.write(record, predictions=run.predictions, history=run.history_text, log=run.log)
            old_scores[record.key] = old_scores[run.record.key]
        written = write_bundles(store, target)
        largest, count = 0.0, 0
        for bundle in map(Bundle, written):
            for run in bundle.runs():
                again = score(run.annotations, run.predictions, has_scores=run.record.has_confidence).as_dict()
                before = old_scores.pop(run.record.key)
                count += 1
                for name, value in before.items():
                    if isinstance(value, float):
                        largest = max(largest, abs(value - again[name]))
                    elif value is None:
                        assert again.get(name) is None, (run.place, name)
                for keypoint, figures in before["keypoints"].items():
                    for name, value in figures.items():
                        if value is not None:
                            largest = max(largest, abs(value - again["keypoints"][keypoint][name]))
                assert before["taxonomy"] == again["taxonomy"], run.place
                assert before["counts"] == again["counts"], run.place
        assert not old_scores
        print(f"{source.name}: {count} runs in {len(written)} bundles; largest difference of any figure {largest:g}")
        print(f"  {superseded} superseded by newer runs of the same config, left out")
        print(f"  {sum(path.stat().st_size for path in written) / 1024:,.0f} KiB")


main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
