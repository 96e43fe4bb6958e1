"""What SECURITY.md promises: data, predictions, bundles and results run no code, write nowhere else, and cost little.

Grid files have their own cases in ``tests/runs/test_grid_file.py``, bundles further ones in ``tests/runs/test_bundle.py``.
"""

from __future__ import annotations

import json
import resource
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.runs import bundle as bundles
from benchmark.structures import UserError
from datasets.formats import deeplabcut
from datasets.formats.reading import ReadOptions
from leaderboard.render.markdown import escaped

Cli = Any  # the fixtures of conftest.py

ESCAPES = "\x1b[31m\x1b]0;title\x07\x9b2J\r\x08"


@pytest.fixture
def foreign(data: Path) -> Path:
    """The COCO folder without our card: whatever it says is taken from the files."""
    (data / "card.json").unlink()
    return data


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that `evil` makes when it is imported."""
    return tmp_path / "imported"


@pytest.fixture
def evil(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A detector file that whoever sent the results has sent along; its folder is on the path, as the working one is."""
    path = tmp_path / "results" / "evil.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"open({str(marker)!r}, 'w').close()\nfrom benchmark import Detector\nclass Mean(Detector): pass\n")
    monkeypatch.syspath_prepend(path.parent)
    return path


def edited(file: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def refused(said: Any, words: str) -> None:
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    assert "Traceback" not in said.err
    assert words in said.err


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# paths


@pytest.mark.parametrize(
    "name",
    ["../../secret.png", "/etc/secret.png", "..\\..\\secret.png", "%2e%2e%2fsecret.png", "a/../../../secret.png"],
)
def test_no_image_is_taken_from_outside_the_data(cli: Cli, foreign: Path, tmp_path: Path, name: str) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "secret.png")
    for part in ("train", "val", "test"):
        edited(foreign / "annotations" / f"{part}.json", lambda d: d["images"][0].update(file_name=name))
    said = cli("run", "--data", foreign, "--results", tmp_path / "new", "-d", "mean")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "leaves the image folder" in said.err or "there is no file" in said.err


def test_a_table_of_deeplabcut_names_no_image_outside_the_project(tmp_path: Path) -> None:
    video = tmp_path / "project" / "labeled-data" / "video"
    video.mkdir(parents=True)
    Image.new("L", (28, 28)).save(tmp_path / "secret.png")
    for frame in ("../../../secret.png", str(tmp_path / "secret.png")):
        (video / "CollectedData_me.csv").write_text(f"scorer,me,me\nbodyparts,nose,nose\ncoords,x,y\n{frame},1,2\n")
        with pytest.raises(UserError, match="there is no image"):
            deeplabcut.read(tmp_path / "project", ReadOptions())


def test_an_image_that_is_a_link_to_a_secret_is_no_image_and_is_not_quoted(
    cli: Cli, foreign: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("password: hunter2")
    image = foreign / "images" / "test" / "0003.png"
    image.unlink()
    image.symlink_to(secret)
    said = cli("run", "--data", foreign, "--results", tmp_path / "new", "-d", "mean")
    refused(said, "is not a readable image")
    assert "hunter2" not in said.err


def test_nothing_is_written_or_removed_through_a_link(cli: Cli, data: Path, results: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for board in results.glob("made@1"):
        board.rename(mine)
        board.symlink_to(mine, target_is_directory=True)
    before = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    words = ["run", "--results", results, "--data", data, "-d", "rule"]
    refused(cli(*words), "a link leads out of the folder of results; remove it")
    assert {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == before
    kept = Path(shutil.copytree(data, tmp_path / "kept"))
    (results / "_data").mkdir(exist_ok=True)
    (results / "_data" / "topleft@1-tiny-split0").symlink_to(kept, target_is_directory=True)
    refused(cli("run", "--results", results, "-d", "mean"), "is a link to something that is not this data set")
    assert sorted(path.name for path in kept.iterdir()) == ["annotations", "card.json", "images"]


@pytest.mark.parametrize("field", ["task", "data", "detector"])
def test_a_bundle_writes_into_the_folder_of_results_alone(cli: Cli, results: Path, tmp_path: Path, field: str) -> None:
    from benchmark.runs.store import Store

    source = Store(tmp_path / "source")
    for run in Store(results).runs():
        config = run.record.config.model_copy(update={field: "../../../../out"})
        record = run.record.model_copy(update={"config": config, "key": config.key(run.record.seed)})
        source.put_annotations(run.annotations)
        source.write(record, predictions=run.predictions)
    (packed,) = bundles.write_bundles(source, tmp_path / "b")
    before = {path for path in tmp_path.rglob("*") if "fresh" not in path.parts}
    assert cli("unbundle", packed, "--results", tmp_path / "fresh").code == 0
    assert len(list((tmp_path / "fresh").rglob("run.json"))) == 6
    assert {path for path in tmp_path.rglob("*") if "fresh" not in path.parts} == before


# sizes


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A grey PNG that says it has this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_an_image_of_an_absurd_size_is_not_decoded(cli: Cli, foreign: Path, tmp_path: Path) -> None:
    image = foreign / "images" / "test" / "0003.png"
    image.write_bytes(png(60_000, 60_000))
    edited(foreign / "annotations" / "test.json", lambda d: d["images"][2].update(width=60_000, height=60_000))
    before = memory_mib()
    refused(
        cli("run", "--data", foreign, "--results", tmp_path / "new", "-d", "mean"),
        "is not a readable image (Image size",
    )
    image.write_bytes(png(28, 28) + b"")
    bomb = zlib.compress(b"\0" * (64 << 20))
    text = b"zTXt" + b"a\0\0" + bomb
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    plain = png(28, 28)
    image.write_bytes(plain[:33] + chunk + plain[33:])
    edited(foreign / "annotations" / "test.json", lambda d: d["images"][2].update(width=28, height=28))
    refused(cli("run", "--data", foreign, "--results", tmp_path / "new", "-d", "mean"), "is not a readable image")
    assert memory_mib() - before < 200


def test_a_file_is_decoded_by_what_it_is_and_postscript_never(
    cli: Cli, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kwargs: pytest.fail("an interpreter was called"))
    image = foreign / "images" / "test" / "0003.png"
    Image.new("L", (28, 28)).save(image, format="EPS")
    refused(cli("run", "--data", foreign, "--results", tmp_path / "new", "-d", "mean"), "is not a readable image")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["images"][0].update(width=10**9, height=10**9),
        lambda d: d["images"][0].update(width=10**400, height=1),
        lambda d: d["annotations"][0].update(bbox=[0, 0, 1e308, 1e308]),
        lambda d: d["annotations"][0].update(keypoints=[1e300, 1, 2]),
        lambda d: d["annotations"][0].update(category_id=10**18),
        lambda d: d["categories"][0].update(keypoints=[f"k{i}" for i in range(200_000)]),
        lambda d: d["images"][0].update(id=2**62),
    ],
)
def test_absurd_numbers_allocate_nothing(cli: Cli, foreign: Path, results: Path, run_of: Any, change: Any) -> None:
    file = foreign / "annotations" / "test.json"
    edited(file, change)
    before = memory_mib()
    said = cli("score", "--predictions", run_of(results, "mean") / "predictions.json", "--annotations", file)
    assert memory_mib() - before < 200
    assert "Traceback" not in said.err
    refused(said, ".json: ") if said.code else None


@pytest.mark.parametrize(
    ("shape", "words"),
    [("[1000000000, 3]", "K at most 10,000"), ("[" * 3000, "nested too deeply"), ("2024-13-45", "is not a value")],
)
def test_a_hostile_data_yaml(cli: Cli, tmp_path: Path, shape: str, words: str) -> None:
    (tmp_path / "images").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "images" / "a.png")
    (tmp_path / "data.yaml").write_text(f"train: images\nval: images\nnames: [a]\nkpt_shape: {shape}\n")
    refused(cli("inspect", tmp_path), words)


def test_aliases_are_not_unfolded_into_an_error(cli: Cli, tmp_path: Path) -> None:
    lists = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (tmp_path / "data.yaml").write_text(f"a0: &a0 [x]\n{lists}kpt_shape: *a11\ntrain: images\n")
    refused(cli("inspect", tmp_path), "holds more than 100,000 values")


@pytest.mark.parametrize("file", ["annotations/test.json", "card.json"])
def test_json_nested_too_deeply_is_one_line(cli: Cli, data: Path, tmp_path: Path, file: str) -> None:
    (data / file).write_text('{"images":' * 50_000)
    refused(cli("run", "--data", data, "--results", tmp_path / "new", "-d", "mean"), Path(file).name)


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    cli: Cli, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packed,) = bundles.write_bundles(bundles.open_results(results), tmp_path / "b")
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"arrays/{'0' * 32}.npy", b"\0" * (8 << 20))
    monkeypatch.setattr(bundles, "MOST_BYTES", 4 << 20)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *args: pytest.fail("a member was unpacked"))
    refused(cli("leaderboard", "--results", packed), "it unpacks to more than 4 MiB")


@pytest.mark.parametrize("member", ["records.jsonl", "annotations.jsonl"])
def test_a_bundle_nested_too_deeply_is_one_line(cli: Cli, results: Path, tmp_path: Path, member: str) -> None:
    import hashlib

    (packed,) = bundles.write_bundles(bundles.open_results(results), tmp_path / "b")
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = b'{"record":' * 50_000 + b"\n"
    hashes = {n: hashlib.sha256(c).hexdigest() for n, c in members.items() if n != "manifest.json"}
    members["manifest.json"] = json.dumps({"format": 1, "sha256": hashes}).encode()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    said = cli("unbundle", packed, "--results", tmp_path / "fresh")
    refused(said, "get it again")
    assert not (tmp_path / "fresh").exists()


# code


@pytest.mark.parametrize("specification", ["evil:Mean", "./evil.py", "linear:../results/evil.py", "{evil}"])
def test_no_command_runs_code_because_a_record_names_it(
    cli: Cli, data: Path, results: Path, run_of: Any, evil: Path, marker: Path, tmp_path: Path, specification: str
) -> None:
    text = specification.replace("{evil}", str(evil))
    for seed in (0, 1):
        run = run_of(results, "linear", seed)
        edited(run / "run.json", lambda d: (d.update(specification=text), d["config"].update(name=text, detector=text)))
        edited(run / "run.json", lambda d: d["facts"].update(file="evil.py" if "/" in text else ""))
    shutil.copytree(data, results / "_data" / "made@1-made-split0")  # so that the audit has what it fits on
    for words in (["leaderboard"], ["audit"], ["status"], ["bundle", "--out", tmp_path / "b"]):
        assert "Traceback" not in cli(*words, "--results", results).err
    refused(cli("reproduce", run), "if you trust its code")
    refused(cli("predict", "--weights", run, "--images", data, "--out", tmp_path / "o.json"), "if you trust its code")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(annotations="../../secret"), "annotations: String should match pattern"),
        (lambda d: d.update(fit_seconds=1e308), "fit_seconds: Input should be less than"),
        (lambda d: d.update(n_parameters=10**30), "n_parameters"),
        (lambda d: d["config"].update(threads=10**9), "config.threads: Input should be less than"),
        (lambda d: d["config"].update(n_train=-1), "config.n_train"),
        (lambda d: d["facts"].update(more=1), "facts.more: Extra inputs"),
    ],
)
def test_a_record_of_absurd_values_is_refused(cli: Cli, results: Path, run_of: Any, change: Any, words: str) -> None:
    edited(run_of(results, "linear") / "run.json", change)
    refused(cli("leaderboard", "--results", results), words)
    said = cli(
        "status", "--results", results
    )  # which is for looking at what there is: it leaves out what it cannot read
    assert said.code == 0
    assert words in said.err


# words


def test_names_neither_mark_up_nor_reach_the_terminal(cli: Cli, foreign: Path, tmp_path: Path, run_of: Any) -> None:
    """Names of keypoints, categories and files, and words of a failure, as tables, sentences and documents show them."""
    markup = "[red]nose[/] <script>alert(1)</script> [x](http://evil) `|` *b*"
    for part in ("train", "val", "test"):
        file = foreign / "annotations" / f"{part}.json"
        edited(file, lambda d: d["categories"][0].update(keypoints=[markup], name=markup))
        for image in json.loads(file.read_text())["images"]:
            path = foreign / "images" / part / image["file_name"]
            path.rename(path.with_name(f"[b]{path.name}"))
        edited(file, lambda d: [image.update(file_name=f"[b]{image['file_name']}") for image in d["images"]])
    results = ["--results", tmp_path / "r"]
    said = [cli("inspect", foreign), cli("run", "--data", foreign, *results, "-d", "mean", "-d", "linear")]
    said += [cli("compare", "mean", "linear", *results), cli("audit", *results)]
    assert [one.code for one in said] == [0] * 4, said
    run = run_of(tmp_path / "r", "mean")
    said += [cli("score", "--predictions", run / "predictions.json", "--annotations", foreign)]
    edited(run / "run.json", lambda d: d.update(status="failed", error=f"{markup} {ESCAPES}"))
    edited(run_of(tmp_path / "r", "linear") / "run.json", lambda d: d["config"].update(detector=f"{markup} {ESCAPES}"))
    said += [cli("leaderboard", *results), cli("status", "--data", foreign, *results, "-d", "mean")]
    said += [cli("compare", ESCAPES, "mean", *results), cli("list", ESCAPES)]
    for one in said:
        assert not set(one.out + one.err) & set("\x1b\x07\x9b\x08\r"), one
        assert "Traceback" not in one.err
    assert "[red]nose[/]" in said[0].out
    assert "[b]00" in said[2].out
    assert "failed: mean: [red]nose[/]" in " ".join(said[5].out.split())
    document = (tmp_path / "r" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert "[red]nose" in document
    for raw in ("<script>", "](http", " *b*", "\x1b"):
        assert raw not in document


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("<b>", "&lt;b>"),
        ("[x](y)", "[x]\\(y)"),
        ("![x](y)", "![x]\\(y)"),
        ("*a*", "\\*a\\*"),
        ("a\nb", "a b"),
        ("a\x1b[1mb", "a[1mb"),
        ("linear [s]", "linear [s]"),
        ("split_ratio=2", "split_ratio=2"),
    ],
)
def test_a_name_is_no_markdown(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_predictions_nested_or_absurd_are_one_line(cli: Cli, foreign: Path, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    for text in (
        "[" * 100_000,
        f'[{{"image_id": {10**30}, "category_id": 1, "keypoints": [1, 2, 2], "score": 1}}]',
        "[1e999]",
    ):
        file.write_text(text)
        refused(cli("score", "--predictions", file, "--annotations", foreign), "theirs.json")
    rows = [{"image_id": 1, "category_id": 1, "keypoints": [1e308, 2, 2], "score": 1.0}]
    file.write_text(json.dumps(rows))
    refused(cli("score", "--predictions", file, "--annotations", foreign), "theirs.json")
    assert np.isfinite(memory_mib())
