"""Submitted bundles: honest ones stand, and whatever somebody might alter in one is found."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from run_cases import made_dataset

from benchmark import api
from benchmark.metrics import score
from benchmark.runs.bundle import Bundle, open_results
from benchmark.runs.config import RunConfig
from benchmark.runs.submission import Submission, read_about
from benchmark.structures import Predictions, UserError
from datasets.formats import coco_folder
from datasets.formats.coco import annotations_from_json, annotations_to_json
from datasets.formats.coco_results import write_predictions
from leaderboard.external import score_files
from leaderboard.render.verification import WORDS, print_verification
from leaderboard.submit import chosen_runs, submit, submit_predictions
from leaderboard.verify import CHECKS, Verification, verify

ABOUT = Submission(name="Jane Doe", license="CC-BY-4.0", code="https://example.org", training_data="its train split")
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, results of two detectors on it, and the bundle of the row linear."""
    root = tmp_path_factory.mktemp("made")
    coco_folder.write(root / "data", made_dataset())
    api.run_grid(api.grid_config(["linear", "knn"], data=root / "data", results=root / "results", threads=1, seeds=1))
    runs = chosen_runs(open_results(root / "results"), ["linear"])
    submit(runs, ABOUT, root).rename(root / "linear.bundle.zip")
    return root


@pytest.fixture
def check(made: Path, tmp_path: Path) -> Callable[..., Verification]:
    """``verify`` of a bundle, by default the honest one, on the data it was made on."""

    def checked(path: Path = made / "linear.bundle.zip", **settings: Any) -> Verification:
        return verify(path, tmp_path / "scratch", **{"data": str(made / "data"), "sample": 0, **settings})

    return checked


@pytest.fixture
def altered(made: Path, tmp_path: Path) -> Callable[[Callable[[Members], None]], Path]:
    """The honest bundle with its members changed by a function, and its manifest made to fit."""

    def changed(change: Callable[[Members], None]) -> Path:
        with zipfile.ZipFile(made / "linear.bundle.zip") as archive:
            members = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}
        change(members)
        return packed(tmp_path / "altered.bundle.zip", members)

    return changed


def packed(path: Path, members: Members) -> Path:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": 1, "sha256": hashes}))
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def of_record(change: Callable[[dict[str, Any]], None]) -> Callable[[Members], None]:
    """A change of the one record, whose key is made to fit."""

    def changed(members: Members) -> None:
        line = json.loads(members["records.jsonl"])
        change(line["record"])
        line["record"]["key"] = RunConfig(**line["record"]["config"]).key(line["record"]["seed"])
        members["records.jsonl"] = json.dumps(line).encode() + b"\n"

    return changed


def moved(members: Members, by: float, *, rescored: bool) -> None:
    """Predictions moved towards the truth, so that they look better; with figures that fit, or not."""
    line = json.loads(members["records.jsonl"])
    document = json.loads(members["annotations.jsonl"])["document"]
    annotations = annotations_from_json(document, "")
    points = annotations.keypoints + by
    content = io.BytesIO()
    np.lib.format.write_array(content, points.reshape(-1).astype("<f8"), version=(1, 0))
    name = hashlib.sha256(content.getvalue()).hexdigest()[:32]
    members[f"arrays/{name}.npy"] = content.getvalue()
    del members[f"arrays/{line['arrays']['keypoints']}.npy"]
    line["arrays"]["keypoints"] = name
    if rescored:
        arrays = {field: np.load(io.BytesIO(members[f"arrays/{name}.npy"])) for field, name in line["arrays"].items()}
        arrays["keypoints"] = points
        line["record"]["scores"] = score(annotations, Predictions(**arrays), has_scores=False).as_dict()
    members["records.jsonl"] = json.dumps(line).encode() + b"\n"


def failures(found: Verification) -> dict[str, str]:
    return {check.code: " ".join(check.problems) for check in found.checks if check.status == "failed"}


def test_an_honest_bundle_stands_and_its_run_is_made_again(check: Callable[..., Verification]) -> None:
    found = check(sample=5, seed=3)
    assert failures(found) == {}
    assert [one.verdict for one in found.again] == ["identical"]
    assert (found.runs, found.rows, found.submission, found.seed) == (1, ("linear",), ABOUT, 3)
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert document["failed"] is False
    assert {one["name"] for one in document["checks"]} > set(CHECKS)
    assert set(WORDS) == set(CHECKS)
    out = io.StringIO()
    print_verification(found, Console(file=out, width=120))
    assert "Jane Doe, CC-BY-4.0, https://example.org" in out.getvalue()
    assert "1 of 1 run made again: 1 identical" in out.getvalue()
    assert " stands; 1 run, checks" in out.getvalue()


def test_altered_figures_are_found(check: Callable[..., Verification], altered: Callable[..., Path]) -> None:
    found = check(altered(of_record(lambda record: record["scores"].update(mean=0.0))), sample=1)
    assert "rescoring" in failures(found)
    assert found.again == ()  # nothing is run for a bundle that fails already


def test_altered_predictions_are_found(check: Callable[..., Verification], altered: Callable[..., Path]) -> None:
    found = check(altered(lambda members: moved(members, 0.1, rescored=False)))
    assert "rescoring" in failures(found)


def test_made_up_predictions_with_figures_that_fit_are_found_by_making_the_run_again(
    check: Callable[..., Verification], altered: Callable[..., Path]
) -> None:
    path = altered(lambda members: moved(members, 0.1, rescored=True))
    assert failures(check(path)) == {}
    found = check(path, sample=1)
    assert "different" in failures(found)["sample"]
    assert found.as_dict()["failed"] is True


def test_other_annotations_are_found(check: Callable[..., Verification], altered: Callable[..., Path]) -> None:
    """Annotations moved to where the predictions are, with every digest and figure made to fit."""

    def change(members: Members) -> None:
        entry = json.loads(members["annotations.jsonl"])
        annotations = annotations_from_json(entry["document"], "")
        eased = replace(annotations, keypoints=annotations.keypoints + 0.25)
        line = json.loads(members["records.jsonl"])
        line["record"]["annotations"] = eased.digest[:16]
        members["annotations.jsonl"] = (
            json.dumps({"digest": eased.digest[:16], "document": annotations_to_json(eased)}).encode() + b"\n"
        )
        members["records.jsonl"] = json.dumps(line).encode() + b"\n"
        moved(members, 0.0, rescored=True)

    found = check(altered(change))
    assert failures(found).keys() == {"data"}
    assert "other annotations" in failures(found)["data"]


def test_other_data_is_found(check: Callable[..., Verification], made: Path, tmp_path: Path) -> None:
    coco_folder.write(tmp_path / "other", made_dataset(shift=10))
    assert "was made on other data" in failures(check(data=str(tmp_path / "other")))["data"]


def test_data_that_is_not_at_hand_is_said(check: Callable[..., Verification]) -> None:
    found = check(data=None)
    assert failures(found) == {}
    (noted,) = [one for one in found.checks if one.code == "data"]
    assert (noted.status, "give --data" in noted.remarks[0]) == ("noted", True)


def test_a_preset_that_is_claimed_is_made_anew(
    check: Callable[..., Verification], altered: Callable[..., Path]
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["config"].update(task="topleft", data="tiny")

    assert "other data" in failures(check(altered(of_record(change)), data=None))["data"]
    path = altered(of_record(lambda record: record["config"].update(task="no-such", data="tiny")))
    assert "cannot be made" in failures(check(path, data=None))["data"]


def test_test_images_among_training_images_are_found(check: Callable[..., Verification], tmp_path: Path) -> None:
    dataset = made_dataset()
    leaking = replace(dataset, train=replace(dataset.train, images=dataset.train.images.copy()))  # type: ignore[attr-defined]
    leaking.train.images[:2] = dataset.test.images[:2]  # type: ignore[index]
    coco_folder.write(tmp_path / "leaking", leaking)
    settings: dict[str, Any] = {"data": tmp_path / "leaking", "results": tmp_path / "results", "threads": 1}
    runs = api.run_grid(api.grid_config("linear", **settings))
    path = submit(runs, ABOUT, tmp_path)
    problems = failures(check(path, data=str(tmp_path / "leaking")))
    assert "2 images of train are also in test" in problems["overlap"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"external": True}, "names", "is called as the detector 'linear' is"),
        ({"facts.file": "linear.py"}, "names", "comes from the file"),
        ({"facts.code": {"somewhere": "0"}}, "names", "other code"),
        ({"config.detector": "ridge"}, "names", "its detector is 'linear'"),
        ({"config.detector": "linear:features=pts"}, "names", "has the parameters of linear"),
        ({"config.name": "l1near", "config.detector": "L-inear"}, "names", "its detector is"),
        ({"config.name": "Linear", "config.detector": "Linear"}, "names", "almost as the detector 'linear'"),
        ({"config.name": "x", "config.detector": "lineаr"}, "names", "plain ASCII"),  # a Cyrillic letter
        ({"config.parameters": {"nonsense": 1}}, "names", "does not take"),
        ({"rule_structured": True}, "names", "rule_structured"),
        ({"ranked": False}, "names", "ranked"),
        ({"facts.packages": {}}, "environment", "version of numpy"),
        ({"facts.processor": ""}, "environment", "processor"),
        ({"status": "failed", "scores": {}}, "board", "has failed"),
    ],
)
def test_what_a_record_claims_is_not_believed(
    check: Callable[..., Verification], altered: Callable[..., Path], change: dict[str, Any], code: str, words: str
) -> None:
    def claim(record: dict[str, Any]) -> None:
        for name, value in change.items():
            place, _, field = name.rpartition(".")
            (record[place] if place else record)[field] = value

    assert words in failures(check(altered(of_record(claim))))[code]


@pytest.mark.parametrize(
    "change",
    [
        of_record(lambda record: record["facts"].update(data="/etc")),
        of_record(lambda record: record["facts"].update(file="../../evil.py")),
        of_record(lambda record: record["facts"].update(options={"sigmas": "/dev/zero"})),
        lambda members: members.update({"../../evil.py": b"print('here')"}),
        lambda members: members.update({"/tmp/evil": b""}),
        lambda members: members.update({"evil.py": b""}),
        lambda members: members.update({"records.jsonl": members["records.jsonl"].replace(b'"seed":0', b'"seed":1')}),
        lambda members: members.update({"records.jsonl": b"{}\n"}),
        lambda members: members.pop("annotations.jsonl"),
    ],
)
def test_paths_strangers_and_keys_that_do_not_fit_are_refused(
    check: Callable[..., Verification], altered: Callable[..., Path], change: Callable[[Members], None]
) -> None:
    with pytest.raises(UserError):
        check(altered(change))


def test_a_wrong_digest_is_refused(check: Callable[..., Verification], made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made / "linear.bundle.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    for name in manifest["sha256"]:
        wrong = {**manifest, "sha256": {**manifest["sha256"], name: "0" * 64}}
        with zipfile.ZipFile(tmp_path / "wrong.bundle.zip", "w") as archive:
            for member, content in {**members, "manifest.json": json.dumps(wrong).encode()}.items():
                archive.writestr(member, content)
        with pytest.raises(UserError, match="not what the manifest promises"):
            check(tmp_path / "wrong.bundle.zip")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b'{"name": "a", "license": "MIT"}', "training_data is missing"),
        (b'{"name": "a\\u001b[31m", "license": "MIT", "training_data": "x"}', "control character"),
        (b'{"name": "a", "license": "<b>", "training_data": "x"}', "license"),
        (b'{"name": "a", "license": "MIT", "training_data": "x", "code": "javascript:alert(1)"}', "link"),
        (b'{"name": "a", "license": "MIT", "training_data": "x", "run": "rm"}', "no entry 'run'"),
        (None, "does not say who submits"),
    ],
)
def test_what_is_said_of_a_submission_is_checked(
    check: Callable[..., Verification], altered: Callable[..., Path], content: bytes | None, words: str
) -> None:
    def change(members: Members) -> None:
        del members["submission.json"]
        if content is not None:
            members["submission.json"] = content

    found = check(altered(change))
    assert words in failures(found)["submission"]


def test_predictions_of_another_tool_stand_and_are_not_run(
    check: Callable[..., Verification], made: Path, tmp_path: Path
) -> None:
    annotations = made_dataset().test.annotations
    answers = next(iter(Bundle(made / "linear.bundle.zip").runs())).predictions
    write_predictions(tmp_path / "theirs.json", answers, annotations)
    scored = score_files(tmp_path / "theirs.json", made / "data")
    found = check(submit_predictions(scored, "theirs", ABOUT, tmp_path), sample=3)
    assert failures(found) == {}
    assert (found.rows, found.again) == (("theirs",), ())
    with pytest.raises(UserError, match="is there already"):
        submit_predictions(scored, "theirs", ABOUT, tmp_path)


def test_a_detector_of_ones_own_is_run_where_the_verifier_names_it_alone(
    check: Callable[..., Verification], made: Path, tmp_path: Path
) -> None:
    text = (
        "import numpy as np\nfrom benchmark import Detector\n\nclass Middle(Detector):\n    '''The middle.'''\n"
        "    def fit(self, train, val, *, seed, budget): self.k = train.points.shape[1]\n"
        "    def predict(self, images): return np.full((len(images), self.k, 2), 7.0)\n"
    )
    (tmp_path / "middle.py").write_text(text)
    settings: dict[str, Any] = {"data": made / "data", "results": tmp_path / "results", "threads": 1}
    runs = api.run_grid(api.grid_config(str(tmp_path / "middle.py"), **settings))
    path = submit([run for run in runs if run.record.config.name == "middle"], ABOUT, tmp_path)
    found = check(path, sample=1)
    assert failures(found) == {}
    assert found.again == ()
    assert any("name the detector with --detector" in words for words in found.checks[-1].remarks)
    (tmp_path / "theirs").mkdir()
    shutil.copy(tmp_path / "middle.py", tmp_path / "theirs")
    found = check(path, sample=1, detectors=[str(tmp_path / "theirs" / "middle.py")])
    assert [one.verdict for one in found.again] == ["identical"]


def test_rows_are_chosen_of_one_board(made: Path, tmp_path: Path) -> None:
    results = open_results(made / "results")
    assert {run.record.config.detector for run in chosen_runs(results)} == {"linear", "knn"}  # no reference row
    assert {run.record.config.detector for run in chosen_runs(results, ["mean"])} == {"mean"}
    with pytest.raises(UserError, match="did you mean 'linear'"):
        chosen_runs(results, ["linaer"])
    with pytest.raises(UserError, match="make a run first"):
        chosen_runs(results, task="no-such")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "give entries"),
        ("name: a\nlicence: MIT", "did you mean 'license'"),
        ("name: 7\nlicense: MIT\ntraining_data: x", "name: "),
        (f"name: {'a' * 200}\nlicense: MIT\ntraining_data: x", "name: "),
    ],
)
def test_a_file_about_a_submission_is_checked(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "about.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        read_about(tmp_path / "about.yaml")
