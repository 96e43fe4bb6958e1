"""Mistakes of every kind over all commands: one line that names what is wrong, exit code 2, and nothing lost.

``{data}``, ``{results}``, ``{plugin}`` and ``{tmp}`` in a command stand for the COCO folder, the stored runs, a plugin
file and an empty folder's parent, in which lie ``file.txt``, ``empty/``, and files of broken JSON.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark.runs import facts, index

Cli = Any  # the fixtures of conftest.py

RUN = "run --data {data} --results {tmp}/new -d mean"
SCORE = "score --annotations {data} --predictions"
SHOW = "show mean --results {results}"
COMMANDS = {
    # command line
    "nope": "No such command 'nope'",
    "leaderbord": "Did you mean 'leaderboard'?",
    "run --nope": "(see: python -m benchmark run --help)",
    "run extra": "unexpected extra argument",
    "list nope": "there are detectors, tasks, data and suites",
    "show": "Missing argument",
    "compare mean": "Missing argument",
    "export": "Missing option '--out'",
    # run: settings
    f"{RUN} --seeds 0": "'--seeds'",
    f"{RUN} --seeds 1e3": "'--seeds'",
    f"{RUN} --seeds 99999999999": "'--seeds'",
    f"{RUN} --n 0": "'--n'",
    f"{RUN} --n 21": "n 21: made has 20 training images, so give 1 to 20",
    f"{RUN} --split -1": "'--split'",
    f"{RUN} --split 1": "holds split 0, so there is no split 1",
    f"{RUN} --folds 1": "folds 1: give 0 for the data's own splits, or at least 2",
    f"{RUN} --folds 1000": "folds 1000: there are 34 images, too few",
    f"{RUN} --budget banana": "budget 'banana' is not a budget: write 20 (epochs), 60s, 5min or 500steps",
    f"{RUN} --budget 0": "budget '0'",
    f"{RUN} --budget nan": "budget 'nan'",
    f"{RUN} --budget 60m": "budget '60m'",
    f"{RUN} --device cuda": "device cuda: torch sees no CUDA device on this machine; give cpu or auto",
    f"{RUN} --device banana": "device 'banana': give auto, cpu or cuda",
    f"{RUN} --device ''": "device ''",
    f"{RUN} --threads 0": "'--threads'",
    f"{RUN} --threads 1000000": "'--threads'",
    f"{RUN} --suite nope": "unknown suite 'nope'; there are baseline, classic, default",
    f"{RUN} --suite ''": "unknown suite ''",
    f"{RUN} --task topleft": "brings its own points (it is 'made'); leave --task topleft out",
    "run -d mean --results {tmp}/new --task toplef": "unknown task 'toplef': did you mean 'topleft'",
    "run -d mean --results {tmp}/new --data tinny": "unknown data 'tinny': did you mean 'tiny'",
    "run -d mean --results {tmp}/new --data ''": "data: the name is empty",
    "run -d mean --results {tmp}/new --data {tmp}/nowhere": "nowhere: there is no such folder",
    "run -d mean --results {tmp}/new --data {tmp}/file.txt": "file.txt: is a file; give the folder",
    "run -d mean --results {tmp}/new --data {tmp}/empty": "empty: holds no COCO keypoint annotations; expected",
    "run -d mean --data {data} --results ''": "results: the name is empty",
    "run -d mean --data {data} --results {tmp}/file.txt": "file.txt: is a file; name a folder",
    "run -d mean --data {data} --results {tmp}/file.txt/sub": "file.txt/sub: cannot be written (Not a directory)",
    # run: detectors, the good one before them is not run
    f"{RUN} -d ''": "detector '' has no name",
    f"{RUN} -d meen": "unknown detector 'meen': did you mean 'mean'?",
    f"{RUN} -d mean,rule": "did you mean 'rule' or 'mean'",
    f"{RUN} -d mean:draws": "write parameters as mean:key=value (at 'draws')",
    f"{RUN} -d mean:draws=1": "detector 'mean' has no parameter 'draws'",
    f"{RUN} -d net3:lr=abc": "detector 'net3', parameter lr=abc: input should be a valid number",
    f"{RUN} -d net3:lr=nan": "parameter lr=nan: cannot be stored with a run; use finite numbers",
    f"{RUN} -d net3:epochs=1e9": "parameter epochs=1e9: input should be a valid integer",
    f"{RUN} -d net3:lr=1,lr=2": "parameter 'lr' is given twice",
    f"{RUN} -d linear:features=nope": "unknown feature set 'nope'",
    f"{RUN} -d {{tmp}}/nowhere.py": "nowhere.py does not exist",
    f"{RUN} -d {{tmp}}/empty": "empty is a folder; name a .py file in it",
    f"{RUN} -d {{tmp}}/file.txt": "file.txt is not a Python file",
    f"{RUN} -d no.such.module:Thing": "cannot be loaded: ModuleNotFoundError: No module named 'no'",
    f"{RUN} -d pathlib:Path": "is not a class with fit and predict derived from benchmark.Detector",
    f"{RUN} -d {{plugin}}:flaw=init": "detector 'plug' cannot be made: OSError: no disk (plug.py:11)",
    f"{RUN} -d {{plugin}}:flow=init": "has no parameter 'flow': did you mean 'flaw'?",
    # leaderboard, show, compare, audit
    "leaderboard --results {tmp}/nowhere": "nowhere: there is no such folder; make a run first",
    "leaderboard --results {tmp}/empty": "empty: holds no run of any task on any data",
    "leaderboard --results {tmp}/empty --json": "empty: holds no run",
    "leaderboard --results {results} --task nope": "holds no run of nope on any data; there are made on made",
    f"{SHOW} --data {{data}} --seed 7": "no finished run with seed 7",
    f"{SHOW} --data {{data}} --folds 2": "holds no run of task made on data made-folds2",
    f"{SHOW} --data {{data}} --out {{tmp}}/empty": "empty: is a folder; name a file",
    f"{SHOW} --data {{data}} --out {{tmp}}/file.txt/x.png": "x.png: cannot be written",
    "show 'net4 1epochs' --results {results} --data {data}": "did you mean 'net3 1epochs'",
    "compare mean 'net4 1epochs' --results {results}": "did you mean 'net3 1epochs'",
    "compare mean mean --results {results}": "are the same row: name two",
    "compare mean linear --results {tmp}/empty": "holds no run",
    "audit --results {tmp}/file.txt": "file.txt: is a file; name a folder or a bundle",
    # score, export, check
    f"{SCORE} {{tmp}}/nowhere.json": "nowhere.json: cannot be read (No such file or directory)",
    f"{SCORE} {{tmp}}/empty": "empty: cannot be read (Is a directory)",
    f"{SCORE} {{tmp}}/latin.json": "latin.json: is not UTF-8 text (byte 6)",
    f"{SCORE} {{tmp}}/cut.json": "cut.json: line 1 column 7: is not JSON",
    f"{SCORE} {{data}}/annotations/test.json": "is an annotation file; give the results file",
    "score --annotations {tmp}/empty --predictions {tmp}/nothing.json": "empty: holds no COCO keypoint annotations",
    f"{SCORE} {{answers}} --name ''": "name: give the row a name",
    f"{SCORE} {{answers}} --results {{results}} --name mean": "name 'mean' is a detector of this board",
    f"{SCORE} {{answers}} --results {{tmp}}/file.txt/r --name x": "cannot be written (Not a directory)",
    "export --out {tmp}/file.txt": "file.txt: is a file; name a folder",
    "export --out {results}": "holds other things already; name a new or empty folder",
    "export --out {tmp}/file.txt/x": "x: cannot be written (Not a directory)",
    "export --out {tmp}/new --split 99999999999999999999": "split 99999999999999999999: give a whole number from 0",
    "export --out {tmp}/new --task all-digits": "speaks of digits that data 'tiny' lacks",
    "check meen": "did you mean 'mean'?",
    "check {tmp}/empty": "is a folder",
    # predict
    "predict --weights {tmp}/empty --images {data} --out {tmp}/o": "is not the folder of a run (it holds no run.json)",
    "predict --weights {weights} --images {tmp}/nowhere --out {tmp}/o": "nowhere: there is no such file or folder; name a folder of "
    "images, a video (",
    "predict --weights {weights} --images {tmp}/file.txt --out {tmp}/o": "file.txt: is a file; name a folder of images",
    "predict --weights {weights} --images {tmp}/empty --out {tmp}/o": "empty: holds no image (.bmp,",
    "predict --weights {weights} --images {data} --out {tmp}/empty": "empty: is a folder; name a file",
    "predict --weights {weights} --images {data} --out {tmp}/file.txt/o": "o: cannot be written",
    "predict --weights {weights} --images {data} --out {tmp}/o --device cuda": "torch sees no CUDA device",
    "predict --weights {weights} --images {tmp}/broken --out {tmp}/o": "a.png: is not an image that can be read",
}


@pytest.fixture
def places(data: Path, results: Path, plugin: Path, tmp_path: Path, run_of: Any) -> dict[str, Path]:
    """What the words in braces stand for."""
    (tmp_path / "file.txt").write_text("hello")
    (tmp_path / "latin.json").write_bytes(b'{"a":"\xe9"}')
    (tmp_path / "cut.json").write_text('[{"a":')
    (tmp_path / "nothing.json").write_text("[]")
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    weights = run_of(results, "linear")
    return {
        "data": data,
        "results": results,
        "plugin": plugin,
        "tmp": tmp_path,
        "weights": weights,
        "answers": weights / "predictions.json",
    }


def refused(said: Any, words: str) -> None:
    """It said one line, with those words, on stderr alone, and left with 2."""
    assert (said.code, said.out) == (2, ""), said.err
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.parametrize(("command", "words"), COMMANDS.items(), ids=COMMANDS)
def test_a_mistake_is_one_line(
    cli: Cli, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.setattr(facts, "_may_have_cuda", lambda: False)
    before = stored(places["results"])
    refused(cli(*shlex.split(command.format(**places))), words)
    assert stored(places["results"]) == before
    assert not list(places["tmp"].glob("new/*@*"))  # nothing was run
    assert not [path for path in places["tmp"].rglob(".*") if path.is_file() or path.suffix == ".part"]


def stored(results: Path) -> dict[Path, bytes]:
    files = (
        path for path in results.rglob("*") if path.is_file() and index.FOLDER not in path.parts
    )  # which is a memory
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def (:", "SyntaxError: invalid syntax (flawed.py, line 1)"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package' (flawed.py:1)"),
        ("raise RuntimeError('a\\nb')", "RuntimeError: a b (flawed.py:1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3 (flawed.py:1)"),
        ("x = 1", "defines 0 detectors"),
        ("# caf\udce9\nx = '\udce9'", "SyntaxError: (unicode error) 'utf-8' codec"),
        ("from benchmark import Detector\nclass A(Detector): pass", "defines no fit and no predict"),
        ("from benchmark import Detector\nclass A(Detector): card = 3\nclass B(Detector): pass", "defines 2 detectors"),
        ("from benchmark import register\n@register('a')\nclass A: pass", "is not a class with fit and predict"),
        (
            "from benchmark import Detector, register\n@register('a name!')\nclass A(Detector): pass",
            "detector name 'a name!': use letters",
        ),
        ("{plugin}".replace("{plugin}", "PLUGIN(x: float = 5.0 -> x: 'Nope' = 5.0)"), "types of its parameters"),
        ("PLUGIN(x: float = 5.0 -> x=print)", "parameter x=<built-in function print>: cannot be stored with a run"),
        ("PLUGIN(x: float = 5.0 -> *, x: float)", "refuses its parameters: Plug.__init__() missing 1 required"),
        ("PLUGIN(class Plug -> @register('mean')\nclass Plug)", "'mean' is offered twice: by"),
        ("PLUGIN(def __init__ -> card = 3\n    def __init__)", "its card is not a benchmark.Card"),
    ],
)
def test_a_flawed_plugin_file(cli: Cli, data: Path, plugin: Path, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "flawed.py"
    if change := re.fullmatch(r"PLUGIN\((.*) -> (.*)\)", text, re.DOTALL):
        code = "from benchmark import register\n" + plugin.read_text()
        assert change.group(1) in code
        text = code.replace(*change.groups(), 1)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    spec = f"{path}:x=1" if "Nope" in text else str(path)
    refused(cli("run", "--data", data, "--results", tmp_path / "new", "-d", "mean", "-d", spec), words)
    assert not list((tmp_path / "new").glob("*@*"))


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(file: Path) -> None:
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    return apply


def first(**fields: Any) -> Callable[[Path], None]:
    return edited(lambda d: d["annotations"][0].update(fields))


@pytest.mark.parametrize(
    ("part", "damage", "words"),
    [
        ("test", edited(lambda d: d.update(images=[], annotation_file=[])), "test.json: 'images' is empty"),
        ("train", edited(lambda d: d.update(images=[], annotation_file=[])), "train.json: 'images' is empty"),
        ("val", edited(lambda d: d.pop("annotations")), "val.json: has no 'annotations'"),
        ("train", first(keypoints=[1, 2]), "'keypoints' has 2 numbers where 3"),
        ("test", first(keypoints="1 2 3"), "'keypoints' is text where a list"),
        ("test", first(keypoints=[float("nan"), 2, 2]), "keypoints[0] is NaN where a finite number was expected"),
        ("val", edited(lambda d: d["images"][1].update(file_name="../../x.png")), "leaves the image folder"),
        ("val", edited(lambda d: d["images"][1].update(width=99)), "says 99 x 28 px, but"),
        ("train", lambda file: file.write_text("["), "train.json: line 1 column 2: is not JSON"),
        ("val", lambda file: file.write_bytes(b'{"a":"\xe9"}'), "val.json: is not UTF-8 text"),
        ("val", lambda file: file.write_text("[" * 100_000), "val.json: is nested too deeply"),
        ("val", lambda file: file.write_text("[1]"), "val.json: is a list where an object"),
        ("train", lambda file: png(file).write_bytes(b"no"), "0003.png is not a readable image"),
        ("train", lambda file: png(file).unlink(), "images entry 2: there is no file"),
    ],
)
def test_a_damaged_coco_folder(
    cli: Cli, data: Path, tmp_path: Path, part: str, damage: Callable[[Path], None], words: str
) -> None:
    (data / "card.json").unlink()
    damage(data / "annotations" / f"{part}.json")
    refused(cli("run", "--data", data, "--results", tmp_path / "new", "-d", "mean"), words)
    assert not list((tmp_path / "new").glob("*@*"))


def png(annotation_file: Path) -> Path:
    return annotation_file.parents[1] / "images" / annotation_file.stem / "0003.png"


def test_a_folder_that_is_not_what_its_card_promises(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["run", "--data", data, "--results", tmp_path / "new", "-d", "mean"]
    card = data / "card.json"
    text = card.read_text()
    card.write_text(text.replace('"format": 2', '"format": 3').replace('"format":2', '"format":3'))
    refused(cli(*words), "card.json: is of format 3, and this version of keypoint-benchmark reads 2")
    card.write_text("{")
    refused(cli(*words), "card.json: the file: Invalid JSON")
    card.write_text(text)
    first(keypoints=[5, 5, 2])(data / "annotations" / "train.json")
    refused(cli(*words), "its content is not what card.json promises")


@pytest.mark.parametrize(
    ("part", "damage", "words"),
    [
        (
            "train",
            edited(lambda d: d["annotations"][0].pop("keypoints")),
            ["1 annotations without keypoints", "1 of 20 training images without a labelled keypoint were set aside"],
        ),
        ("train", first(image_id=999), ["train: 1 annotations of images that are not in the file set aside"]),
        ("train", edited(lambda d: d["annotations"].pop(0)), ["1 of 20 training images without a labelled keypoint"]),
        ("train", first(keypoints=[0, 0, 0]), ["1 of 20 training images without a labelled keypoint were set aside"]),
        ("test", edited(lambda d: d["annotations"].append({**d["annotations"][4], "id": 99})), ["mean seed 0 n20"]),
    ],
)
def test_what_real_data_lacks_is_said_and_the_rest_is_run(
    cli: Cli, data: Path, tmp_path: Path, part: str, damage: Callable[[Path], None], words: list[str]
) -> None:
    real = Path(shutil.copytree(data, tmp_path / "real"))
    (real / "card.json").unlink()
    damage(real / "annotations" / f"{part}.json")
    said = cli("run", "--data", real, "--results", tmp_path / "r", "-d", "mean", "-d", "linear", "--json")
    assert said.code == 0
    assert {row["detector"]: row["status"] for row in said.document} == {"mean": "finished", "linear": "finished"}
    assert [one for one in words if one not in said.err] == []


def test_images_of_many_sizes_and_colours_are_no_obstacle(cli: Cli, data: Path, tmp_path: Path) -> None:
    odd = Path(shutil.copytree(data, tmp_path / "many sizes é"))
    (odd / "card.json").unlink()
    for part in ("train", "val", "test"):
        file = odd / "annotations" / f"{part}.json"
        document = json.loads(file.read_text())
        for i, image in enumerate(document["images"]):
            image["width"], image["height"] = 28 + i % 3, 28 + i % 2
            path = odd / "images" / part / image["file_name"]
            with Image.open(path) as picture:
                picture.convert("RGB").resize((image["width"], image["height"])).save(path)
        file.write_text(json.dumps(document))
    said = cli("run", "--data", odd, "--results", tmp_path / "r", "-d", "mean", "-d", "linear", "--json")
    assert said.code == 0
    rows = {row["detector"]: row for row in said.document}
    assert rows["mean"]["status"] == "finished"
    assert rows["linear"]["status"] == "finished"
    assert cli("show", "mean", "--data", odd, "--results", tmp_path / "r").code == 0


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("run.json", lambda file: file.write_text("{"), "run.json: the file: Invalid JSON"),
        ("run.json", lambda file: file.write_bytes(b'{"a":"\xe9"}'), "run.json: the file: Invalid JSON"),
        ("run.json", lambda file: (file.unlink(), file.mkdir()), "run.json: cannot be read (Is a directory)"),
        ("run.json", edited(lambda d: d.update(seed="first")), "run.json: seed: "),
        ("run.json", edited(lambda d: d.update(schema_version=3)), "is of schema 3, and this version"),
        ("predictions.json", lambda file: file.write_text("{"), "'mean' has failed"),
        ("predictions.json", lambda file: file.unlink(), "predictions.json: cannot be read"),
        ("_annotations", lambda file: file.write_text("{"), "the annotations of a stored run cannot be read"),
        ("_annotations", lambda file: file.unlink(), "the annotations of a stored run cannot be read"),
        (
            "_annotations",
            edited(lambda d: d["images"][0].update(width=29)),
            "its content is not what its name promises",
        ),
    ],
)
def test_damaged_results(
    cli: Cli, data: Path, results: Path, run_of: Any, file: str, damage: Callable[[Path], None], words: str
) -> None:
    found = (
        (results / "_annotations").iterdir()
        if file == "_annotations"
        else (run_of(results, "mean", s) / file for s in (0, 1))
    )
    for path in list(found):
        damage(path)
    refused(cli("compare", "mean", "linear", "--results", results), words)
    shown = cli("show", "mean", "--data", data, "--results", results)
    assert (shown.code, shown.out, shown.err.count("\n")) == (2, "", 1)
    board = cli("leaderboard", "--results", results, "--json")
    if file == "run.json":
        refused(board, words)
    else:
        failed = {row["detector"] for row in board.document if row["status"] == "failed"}
        assert failed == ({"mean"} if file == "predictions.json" else {"mean", "linear", "net3"})
    audit = cli("audit", "--results", results, "--json")
    assert (audit.code, audit.document["failed"]) == (1, True)


def test_weights_that_are_not_the_detector_s(cli: Cli, data: Path, results: Path, tmp_path: Path, run_of: Any) -> None:
    run = run_of(results, "linear")
    words = ["predict", "--images", data, "--out", tmp_path / "o.json", "--weights"]
    moved = Path(shutil.copytree(run, tmp_path / "moved"))
    refused(cli(*words, moved), "lies outside its results folder")
    weights = run / "weights.safetensors"
    shutil.copy(run_of(results, "mean") / weights.name, weights)
    refused(cli(*words, run), "are not the weights of 'linear'")
    weights.write_bytes(b"junk" * 100)
    refused(cli(*words, run), "is not a safetensors file")
    weights.unlink()
    refused(cli(*words, run), "there are no weights; make the run with --save-weights")


def test_a_board_that_cannot_be_written_is_shown_all_the_same(cli: Cli, results: Path) -> None:
    (results / "LEADERBOARD.md").unlink()
    (results / "LEADERBOARD.md").mkdir()
    said = cli("leaderboard", "--results", results, "--json")
    assert (said.code, len(said.document)) == (2, 3)
    assert "LEADERBOARD.md: cannot be written (Is a directory)" in said.err


def test_a_name_too_long_for_a_folder_is_cut(cli: Cli, data: Path, tmp_path: Path, plugin: Path) -> None:
    long = "é" * 150
    specs = [f"{plugin}:flaw={long}{end}" for end in ("a", "b")]
    words = ["run", "--data", data, "--results", tmp_path / "r", "-d", specs[0], "-d", specs[1]]
    said = cli(*words, "--json")
    assert {row["detector"] for row in said.document} == {"mean", *(f"plug:flaw={long}{end}" for end in ("a", "b"))}
    found = cli(*words).err.splitlines()
    assert len(found) == 2
    assert all(" seed 0 n20: reused, made on " in line for line in found)
    assert cli("audit", "--results", tmp_path / "r").code == 0
