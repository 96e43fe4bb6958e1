"""Every other command by its real road, against answers that are not its own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import photographs
from PIL import Image
from pycocotools.coco import COCO

from benchmark import registry
from datasets.load import load
from datasets.tasks.catalog import tasks
from leaderboard.expected import expected

Cli = Any  # the fixtures of conftest.py


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def errors(answers: np.ndarray, annotations: np.ndarray) -> np.ndarray:
    return np.hypot(*(answers - annotations).T)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lists_read_well_at_any_width(cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = cli("list", "detectors").out.splitlines()
    assert max(map(len, lines)) <= width
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith("  ")]
    assert [name for name in names if name in registry.entries()] == list(registry.entries())
    for what in ("tasks", "data", "suites"):
        assert max(map(len, cli("list", what).out.splitlines())) <= width


def test_lists_as_json(cli: Cli) -> None:
    assert [row["name"] for row in cli("list", "--json").document] == list(registry.entries())
    assert [row["name"] for row in cli("list", "tasks", "--json").document] == list(tasks())
    assert {row["name"] for row in cli("list", "data", "--json").document} >= {"tiny", "mnist5k", "mnist"}
    assert "default" in {row["name"] for row in cli("list", "suites", "--json").document}


@pytest.mark.parametrize("width", [60, 80])
def test_lists_leave_room_for_words_at_any_width(cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Below the name, line after line, where beside it they would be broken every few letters."""
    monkeypatch.setenv("COLUMNS", str(width))
    for what, words in (
        ("detectors", registry.entries()["linear"][0].summary),
        ("tasks", tasks()["topleft-bold"].summary),
        ("suites", "net3, resnet18, heatmap, extrema, keypointrcnn"),
    ):
        assert words in " ".join(cli("list", what).out.split())


def test_info_is_all_about_a_name(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    (card,) = cli("info", "heatmap", "--json").document
    assert (card["kind"], card["family"], card["example"]) == (
        "detector",
        "heatmap",
        "python -m benchmark run --detector heatmap",
    )
    own = {one["name"]: one for one in card["parameters"]}
    assert own["loss"] == {"name": "loss", "value": "ce", "choices": ["ce", "mse"], "what it is": "ce or mse."}
    assert all(one["what it is"] for one in own.values())
    assert card["without its essential part"] == registry.resolve("heatmap").ablated
    assert card["published"]["exact"] == pytest.approx(expected()["heatmap"]["exact"])
    shown = cli("info", "heatmap").out
    assert max(map(len, shown.splitlines())) <= 60
    for words in ("Tompson 2014", "loss=ce", card["without its essential part"], card["example"]):
        assert words in " ".join(shown.split())


def test_every_name_on_a_list_has_a_card(cli: Cli) -> None:
    for what, kind in (("tasks", "task"), ("data", "data"), ("suites", "suite"), ("detectors", "detector")):
        for row in cli("list", what, "--json").document:
            cards = {card["kind"]: card for card in cli("info", row["name"], "--json").document}
            assert cards[kind]["name"] == row["name"]
            assert cards[kind]["what it is"]


def test_info_of_a_specification_a_file_and_a_name_nobody_knows(cli: Cli, plugin: Path, data: Path) -> None:
    (card,) = cli("info", "forest:trees=7", "--json").document
    assert {one["name"]: one["value"] for one in card["parameters"]}["trees"] == 7
    assert card["published"] is None  # only forest as it comes was run
    assert cli("info", plugin, "--json").document[0]["kind"] == "detector"
    assert "did you mean 'heatmap'" in cli("info", "heatmp").err
    assert f"python -m benchmark inspect {data}" in cli("info", data).err
    assert cli("info", "topleft").out.startswith("topleft: first inked pixel")


def test_a_plugin_s_line_is_no_markup(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = registry.Entry("ghost", "nowhere:Ghost", "here", summary="[/red] a [bold]line[/bold] of brackets")
    monkeypatch.setattr(registry, "entries", lambda: {"ghost": [offer]})
    assert "[/red] a [bold]line[/bold] of brackets" in cli("list").out


def test_an_export_repeats_itself_and_comes_back_whole(cli: Cli, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    said = cli("export", "--out", first)
    assert said.out.startswith(f"{first}: topleft@1 tiny, split 0: 568 train, 141 val, 291 test images, digest ")
    cli("export", "--task", "topleft", "--data", "tiny", "--out", second)
    before = hashes(first)
    assert before == hashes(second)
    assert cli("export", "--out", first).code == 0
    assert hashes(first) == before
    made, read = load("topleft", "tiny", root=tmp_path / "cache"), load(None, str(first))
    for part, count in (("train", 568), ("val", 141), ("test", 291)):
        ours, back = getattr(made, part), getattr(read, part)
        assert np.array_equal(np.asarray(ours.images), np.asarray(back.images))
        assert ours.annotations.digest == back.annotations.digest
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(first / "annotations" / f"{part}.json"))
        assert (len(coco.getImgIds()), len(coco.getAnnIds())) == (count, count)
        keypoints = [a["keypoints"][:2] for a in coco.loadAnns(coco.getAnnIds())]
        assert np.array_equal(np.array(keypoints), back.points[:, 0])


def test_boards_are_chosen_by_task_and_data(cli: Cli, results: Path) -> None:
    assert cli("leaderboard", "--results", results, "--task", "made", "--data", "made").code == 0
    for words in (["--task", "other"], ["--data", "other"], ["--task", "other", "--json"]):
        said = cli("leaderboard", "--results", results, *words)
        assert (said.code, said.out) == (2, "")
        assert "there are made on made" in said.err


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_board_fits_its_terminal(cli: Cli, results: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = cli("leaderboard", "--results", results).out.splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("rank"))
    ranks = re.compile(r"^ *\d+(–\d+)?  (\S+)")
    assert {"net3", "linear"} == {match[2] for line in lines if (match := ranks.match(line))}
    assert any(line.startswith("t  tied scores") for line in lines) == ("AP" in head.split())


def test_a_sheet_is_a_picture_of_annotations_and_answer(cli: Cli, data: Path, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "sheet.png"
    words = ["show", "linear", "--data", data, "--results", results, "--seed", "1"]
    assert cli(*words, "--out", out).out == f"{out}\n"
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(2**24)}  # type: ignore[union-attr]
    assert {(86, 180, 233), (230, 159, 0)} <= colours  # the annotations's sky blue, the answer's orange
    (beside,) = cli(*words).out.splitlines()
    assert Path(beside).read_bytes() == out.read_bytes()
    assert Path(beside).parent.parent.name == "seed1"


def test_a_row_alone_says_which_data_it_is_of(cli: Cli, results: Path, data: Path, tmp_path: Path) -> None:
    """As `compare` finds the one board that has the rows; data is named by its path, too."""
    here, out, by_path = ["--results", results], tmp_path / "sheet.png", tmp_path / "by path.png"
    shown = cli("show", "linear", *here, "--out", out)
    assert (shown.code, shown.out) == (0, f"{out}\n"), shown.err
    assert cli("show", "linear", *here, "--data", data, "--out", by_path).code == 0
    assert by_path.read_bytes() == out.read_bytes()
    named = cli("compare", "mean", "linear", *here, "--json").document
    for place in (data, "made"):
        assert cli("compare", "mean", "linear", *here, "--data", place, "--json").document == named
    moved = data.rename(tmp_path / "elsewhere")  # it is read, and known by its digest
    assert cli("compare", "mean", "linear", *here, "--data", moved, "--json").document == named
    assert len(cli("leaderboard", *here, "--data", moved, "--json").document) == 3
    for words in (["show", "linear"], ["compare", "mean", "linear", "--data", results]):
        other = cli(*words, *here)
        assert (other.code, other.out, other.err.count("\n")) == (2, "", 1)


def test_a_score_is_what_numpy_says(cli: Cli, data: Path, results: Path, points: Any, run_of: Any) -> None:
    file, annotations = run_of(results, "linear") / "predictions.json", data / "annotations" / "test.json"
    distances = errors(points(file), points(annotations))
    for where in (data, annotations):
        found = cli("score", "--predictions", file, "--annotations", where, "--json").document
        assert found["mean"] == pytest.approx(distances.mean(), abs=1e-12)
        assert found["max"] == pytest.approx(distances.max(), abs=1e-12)
        assert found["pck@1"] == pytest.approx((distances <= 1).mean())
    assert f"{distances.mean():.4f}" in cli("score", "--predictions", file, "--annotations", data).out
    named = cli("score", "--predictions", file, "--annotations", data, "--name", "their [tool] é", "--results", results)
    assert named.code == 0
    rows = {row["row"]: row for row in cli("leaderboard", "--results", results, "--json").document}
    theirs = rows["their [tool] é"]
    assert theirs["mean"] == pytest.approx(distances.mean(), abs=1e-12)
    assert "external" in theirs["marks"]
    assert "their [tool] é" in cli("leaderboard", "--results", results).out


def test_a_comparison_is_what_numpy_says(cli: Cli, data: Path, results: Path, points: Any, run_of: Any) -> None:
    annotations = points(data / "annotations" / "test.json")
    of = {
        name: np.mean(
            [errors(points(run_of(results, name, s) / "predictions.json"), annotations) for s in (0, 1)], axis=0
        )
        for name in ("mean", "linear")
    }
    found = cli("compare", "mean", "linear", "--results", results, "--json").document
    assert found["difference"] == pytest.approx(of["mean"].mean() - of["linear"].mean(), abs=1e-12)
    assert (found["images"], found["seeds"], found["board"]) == (8, [0, 1], "made@1 on made")
    assert found["low"] < found["difference"] < found["high"]
    turned = cli("compare", "linear", "mean", "--results", results, "--json").document
    assert turned["difference"] == pytest.approx(-found["difference"])
    assert f"{found['difference']:+.4f} px" in cli("compare", "mean", "linear", "--results", results).out


def test_an_audit_passes_and_finds_what_was_changed(cli: Cli, results: Path, run_of: Any) -> None:
    sound = cli("audit", "--results", results)
    assert sound.code == 0
    assert "6 runs (0 of them failed runs)" in sound.out
    record = run_of(results, "linear") / "run.json"
    document = json.loads(record.read_text())
    document["scores"]["mean"] += 0.001
    record.write_text(json.dumps(document))
    said = cli("audit", "--results", results, "--json")
    assert said.code == 1
    broken = {check["name"]: check["problems"] for check in said.document["checks"] if check["status"] == "failed"}
    assert "rescoring" in broken
    assert all("linear" in problem for problems in broken.values() for problem in problems)


def test_a_check_names_what_does_not_conform(cli: Cli, plugin: Path, capfd: Any) -> None:
    said = cli("check", f"{plugin}:flaw=prints", "--json")
    problems = {step["name"]: step["problem"] for step in said.document}
    assert said.code == 1  # it answers one keypoint where two are asked
    assert [name for name, problem in problems.items() if problem] == [
        "odd image size, two keypoints, some of them unlabelled",
        "images of other sizes than it learned from",
    ]
    assert "(5, 1, 2) where (5, 2, 2)" in problems["odd image size, two keypoints, some of them unlabelled"]
    assert "written by a detector" not in capfd.readouterr().out
    failing = cli("check", f"{plugin}:flaw=raises")
    assert failing.code == 1
    assert "failed fits 12 images, answers 6, changes no input: RuntimeError: out of [/red] luck" in failing.out
    good = cli("check", "mean")
    assert (good.code, {line.split()[0] for line in good.out.splitlines()}) == (0, {"ok"})


@pytest.mark.fits
@pytest.mark.parametrize("detector", ["mean", "linear", "net3"])
def test_saved_weights_answer_as_the_run_did(
    cli: Cli, data: Path, results: Path, tmp_path: Path, points: Any, run_of: Any, detector: str
) -> None:
    run, out = run_of(results, detector, 1), tmp_path / "a folder" / "é.json"
    said = cli("predict", "--weights", run, "--images", data, "--out", out)
    assert said.out.startswith(f"{out}: points of 8 images, the test split of {data}, ")
    assert out.read_bytes() == (run / "predictions.json").read_bytes()
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in (data / "images" / "test").iterdir():
        path.rename(photos / f"é {path.name}")
    (photos / "notes.txt").write_text("not an image")
    plain = tmp_path / "plain.json"
    assert cli("predict", "--weights", run, "--images", photos, "--out", plain).code == 0
    assert np.array_equal(points(plain), points(out))
    names = json.loads((tmp_path / "plain.images.json").read_text(encoding="utf-8"))
    assert names == [{"id": i, "file_name": f"é {i:04d}.png"} for i in range(1, 9)]


def test_predict_finds_a_run_by_the_beginning_of_its_key(
    cli: Cli, data: Path, results: Path, tmp_path: Path, run_of: Any
) -> None:
    run, out = run_of(results, "linear", 1), tmp_path / "o.json"
    words = ["predict", "--images", data, "--out", out, "--weights", run.name[:8], "--results"]
    assert cli(*words, results).code == 0
    assert out.read_bytes() == (run / "predictions.json").read_bytes()
    assert cli("bundle", "--results", results, "--out", tmp_path / "published").code == 0
    refused = cli(*words, tmp_path / "published")
    assert (refused.code, "lies in a bundle, which holds no weights" in refused.err) == (2, True)


def test_boards_are_named_by_their_path_or_digest_at_every_command(
    cli: Cli, data: Path, results: Path, tmp_path: Path, run_of: Any
) -> None:
    digest = json.loads((run_of(results, "linear") / "run.json").read_text())["config"]["data_digest"]
    about = tmp_path / "about.yaml"
    about.write_text("name: Jane\nlicense: CC-BY-4.0\ntraining_data: train\n")
    for number, (meant, code) in enumerate([(data, 0), (digest[:8], 0), ("0" * 8, 2)]):
        out = tmp_path / str(number)
        out.mkdir()
        here = ("--data", meant, "--results", results, "--out")
        codes = [
            cli("plot", "pck", *here, out / "pck.json").code,
            cli("page", "--no-gallery", *here, out / "page.html").code,
            cli("export-hf", "linear", "--model", "me/linear", *here, out / "results.yaml").code,
            cli("submit", "--about", about, *here, out / "submissions").code,
        ]
        assert codes == [code] * 4
        assert len(list(out.iterdir())) == (0 if code else 4)


def test_what_is_said_of_data_is_said_alike_to_every_command(cli: Cli, tmp_path: Path, run_of: Any) -> None:
    """A run of one's own division and groups: its test split is predicted, scored, shown, exported and audited again."""
    data, results, out = tmp_path / "photos", tmp_path / "results", tmp_path / "out.json"
    photographs(data, 30, k=2, size=(48, 32))
    said = ("--group-by", "([0-9])[.]", "--val", "0.3", "--test", "0.4", "--split", "1")
    (row,) = cli("run", "-d", "mean", "--data", data, *said, "--save-weights", "--results", results, "--json").document
    run = run_of(results, "mean")
    assert cli("predict", "--weights", run, "--images", data, *said, "--out", out).code == 0
    assert out.read_bytes() == (run / "predictions.json").read_bytes()
    scored = cli("score", "--predictions", out, "--annotations", data, *said, "--json").document
    assert scored["mean"] == row["mean"]
    assert cli("show", "mean", "--data", data, *said, "--results", results).code == 0
    assert cli("export", "--data", data, *said, "--out", tmp_path / "copy").code == 0
    images = json.loads((tmp_path / "copy" / "annotations" / "test.json").read_text())["images"]
    assert [one["id"] for one in images] == [one["image_id"] for one in json.loads(out.read_text())]
    (overlap,) = [c for c in cli("audit", "--results", results, "--json").document["checks"] if c["name"] == "overlap"]
    assert overlap["values"]["data_sets"] == 1
    plain = cli("predict", "--weights", run, "--images", data / "images", *said, "--out", out)
    assert (plain.code, "holds no annotations" in plain.err) == (2, True)


def test_saved_weights_of_a_detector_file_answer_where_the_user_names_it(
    cli: Cli, data: Path, tmp_path: Path, plugin: Path, run_of: Any, points: Any
) -> None:
    """A record says which file it was, and does not run it: results may come from anybody."""
    spec = f"{plugin}:x=6.5"
    assert cli("run", "--data", data, "--results", tmp_path / "r", "-d", spec, "--save-weights").code == 0
    run = run_of(tmp_path / "r", "plug@x=6.5")
    out = tmp_path / "o.json"
    words = ["predict", "--weights", run, "--images", data, "--out", out]
    refused = cli(*words)
    assert (refused.code, out.exists()) == (2, False)
    assert "its detector is the file ../plug.py: name it with --detector, if you trust its code" in refused.err
    wrong = cli(*words, "--detector", "mean")
    assert (wrong.code, "detector mean: is 'mean', and the run's is 'plug'" in wrong.err) == (2, True)
    words += ["--detector", plugin]
    assert cli(*words).out.startswith(f"{out}: points of 8 images, the test split of {data}, ")
    assert (points(out) == 6.5).all()
    plugin.write_text(plugin.read_text().replace("else self.x)", "else self.x + 1)"))
    changed = cli(*words)
    assert "plug.py changed since it was fitted, so answers may differ" in changed.out
    assert (points(out) == 7.5).all()
    plugin.unlink()
    gone = cli(*words)
    assert (gone.code, gone.err.strip().endswith("plug.py does not exist")) == (2, True)


def test_new_images_are_decoded_as_those_of_a_data_set(
    cli: Cli, data: Path, tmp_path: Path, run_of: Any, points: Any
) -> None:
    """16-bit grey files were read by another decoder in ``predict``, and answered 30 px elsewhere."""
    from PIL import Image

    (data / "card.json").unlink()
    for path in (data / "images").rglob("*.png"):
        with Image.open(path) as picture:
            wide = np.asarray(picture).astype(np.uint16) * 256
        Image.fromarray(wide).save(path)
    assert cli("run", "--data", data, "--results", tmp_path / "r", "-d", "linear", "--save-weights").code == 0
    run = run_of(tmp_path / "r", "linear")
    photos, out = data / "images" / "test", tmp_path / "o.json"
    assert cli("predict", "--weights", run, "--images", photos, "--out", out).code == 0
    assert np.array_equal(points(out), points(run / "predictions.json"))
