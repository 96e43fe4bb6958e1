"""A fitted detector used afterwards: on photographs and videos, for other tools, and as an ONNX file that answers alike."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from benchmark.exported import export
from benchmark.exported.about import KEY
from benchmark.exported.resizing import window_weights
from benchmark.predict import restored, tells_nothing
from benchmark.windows import Window
from datasets.formats import deeplabcut, sleap
from datasets.formats.reading import ReadOptions
from datasets.videos import VideoFile

SIZE = (36, 40)  # (height, width) that the file of the tests takes; its detector learned from 28 x 28


@pytest.fixture
def clip(data: Path, tmp_path: Path) -> Path:
    """The test images as a video."""
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (28, 28))
    if not video.isOpened():
        pytest.skip("this OpenCV writes no MJPG videos")
    for file in sorted((data / "images" / "test").iterdir()):
        video.write(cv2.imread(str(file)))
    video.release()
    return path


def test_a_video_is_answered_frame_by_frame(
    cli: Callable[..., Any], points: Any, run_of: Any, results: Path, clip: Path, tmp_path: Path
) -> None:
    """As the same frames are where they lie as pictures; in every format the same numbers, and drawn over the video."""
    run = run_of(results, "net3")
    frames = tmp_path / "frames"
    frames.mkdir()
    for i, frame in enumerate(VideoFile.open(clip).frames()):
        Image.fromarray(frame).save(frames / f"{i:03d}.png")
    assert cli("predict", "--weights", run, "--images", frames, "--out", tmp_path / "p.json").code == 0
    wanted = points(tmp_path / "p.json")
    words = ["predict", "--weights", run, "--images", clip, "--out"]
    said = cli(*words, tmp_path / "v.json", "--overlay", tmp_path / "seen.avi", "--json").document
    assert (said["images"], said["instances"], said["video"], said["form"]) == (8, 8, True, "coco")
    assert np.array_equal(points(tmp_path / "v.json"), wanted)
    index = json.loads(Path(said["index"]).read_text())
    assert index[3] == {"id": 4, "file_name": "clip.avi", "frame": 3}
    drawn = list(VideoFile.open(tmp_path / "seen.avi").frames())
    assert [picture.shape for picture in drawn] == [(336, 336, 3)] * 8
    for name in ("v.csv", "v.slp", "v.h5"):
        assert cli(*words, tmp_path / name).code == 0
    with (tmp_path / "v.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["x"]), float(row["y"])) for row in rows] == list(map(tuple, wanted))
    assert [row["frame"] for row in rows] == list(map(str, range(8)))
    ((images, found),) = sleap.read(tmp_path / "v.slp", ReadOptions()).splits.values()
    assert np.array_equal(found.keypoints[:, 0], wanted)
    assert [image.shape for image in images] == [(28, 28, 3)] * 8


def test_photographs_are_answered_for_other_tools_and_drawn(
    cli: Callable[..., Any], points: Any, run_of: Any, results: Path, data: Path, tmp_path: Path
) -> None:
    run, photos = run_of(results, "net3"), data / "images" / "test"
    words = ["predict", "--weights", run, "--images", photos, "--out"]
    assert cli(*words, tmp_path / "p.json", "--overlay", tmp_path / "seen").code == 0
    pictures = sorted((tmp_path / "seen").iterdir())
    assert [picture.stem for picture in pictures] == [photo.stem for photo in sorted(photos.iterdir())]
    wanted = points(tmp_path / "p.json")
    assert cli(*words, tmp_path / "d.csv", "--format", "dlc").code == 0
    ((_, found),) = deeplabcut.read(tmp_path / "d.csv", ReadOptions()).splits.values()
    assert np.array_equal(found.keypoints[:, 0], wanted)


def test_it_is_said_which_images_were_taken_and_that_scores_say_nothing(
    cli: Callable[..., Any], run_of: Any, results: Path, data: Path, tmp_path: Path
) -> None:
    """An annotated folder with images below it is its test split; a folder of images is those in it, and none below."""
    words = ["predict", "--weights", run_of(results, "net3"), "--out", tmp_path / "o.csv", "--images"]
    said = cli(*words, data).out
    assert f"points of 8 images, the test split of {data}, which has 34 in all" in said
    assert "the detector has no confidences, so every score is 1" in said
    photos = data / "images" / "test"
    (photos / "older").mkdir()
    for name in ("a.png", "b.png"):
        (photos / "older" / name).write_bytes(next(photos.glob("*.png")).read_bytes())
    said = cli(*words, photos, "--format", "dlc")
    assert f"points of 8 images, those of {photos}; 2 in folders below it are left out" in said.out
    assert "so every likelihood is 1" in said.out
    assert cli(*words, photos, "--json").document["confident"] is False


@pytest.mark.parametrize("upright", [False, True])
def test_photographs_are_looked_at_the_way_up_that_was_learned_from(
    cli: Callable[..., Any], points: Any, run_of: Any, tmp_path: Path, upright: bool
) -> None:
    """Files that say they lie on their side, annotated as stored or upright: asked again as new ones, the same answers."""
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    images, annotations = [], []
    for i in range(1, 21):
        pixels = rng.integers(0, 60, (24, 32), dtype=np.uint8)
        x, y = rng.integers(3, 21, 2).tolist()
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 255
        Image.fromarray(pixels).save(photos / f"{20 - i:02d}.png", exif=exif)
        (x, y), (width, height) = ((23 - y, x), (24, 32)) if upright else ((x, y), (32, 24))
        images.append({"id": i, "file_name": f"{20 - i:02d}.png", "width": width, "height": height})
        box = {"bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0, "num_keypoints": 1}
        annotations.append({"id": i, "image_id": i, "category_id": 1, "keypoints": [x, y, 2], **box})
    category = {"id": 1, "name": "dot", "keypoints": ["dot"], "skeleton": []}
    labels = {"images": images, "annotations": annotations, "categories": [category]}
    (photos / "labels.json").write_text(json.dumps(labels))
    made = ["run", "--data", photos, "--results", tmp_path / "r", "-d", "ridge", "--save-weights"]
    assert cli(*made).code == 0
    run = run_of(tmp_path / "r", "ridge")
    again = cli("predict", "--weights", run, "--images", photos, "--out", tmp_path / "p.json", "--json").document
    assert (again["turned"], again["as_stored"]) == (20, not upright)
    assert again["taken"].endswith("annotations lie there, too: name their file to answer their test split alone")
    stored = json.loads((run / "predictions.json").read_text())
    names = {image["id"]: image["file_name"] for image in images}
    asked = json.loads((tmp_path / "p.images.json").read_text())
    answers = {one["file_name"]: tuple(point) for one, point in zip(asked, points(tmp_path / "p.json"), strict=True)}
    wanted = {names[one["image_id"]]: tuple(one["keypoints"][:2]) for one in stored}
    assert np.allclose([answers[name] for name in wanted], list(wanted.values()), atol=1e-6)
    scored = cli(
        "score", "--predictions", tmp_path / "p.json", "--annotations", photos / "labels.json", "--json"
    ).document
    assert "images are matched by their file names" in scored["notes"][0]
    assert scored["mean"] < 12


@pytest.mark.parametrize(("scores", "said"), [((1.0, 1.0), True), ((1.0, 0.5), False), ((), False)])
def test_scores_that_differ_are_confidences(scores: tuple[float, ...], said: bool) -> None:
    assert tells_nothing(np.array(scores)) is said


MISTAKES = {
    "--images {tmp}/clip.3gp --out {tmp}/o.json": "clip.3gp: there is no such file or folder; name a folder of images, a video (",
    "--images {photo} --out {tmp}/o.json": "is a file; name a folder of images, a video (.avi, .flv, .m4v, .mkv, ...), or annotated "
    "images, as {photos}",
    "--images {tmp}/a.mp4 --out {tmp}/o.json": "a.mp4: is no video that OpenCV can read",
    "--images {tmp}/b.mp4 --out {tmp}/o.json": "video {tmp}/b.mp4: there is no such file",
    "--images {photos} --out {tmp}/o.xyz": "o.xyz: .xyz says no format",
    "--images {photos} --out {tmp}/o.json --format spl": "format 'spl': use one of coco, csv, dlc, slp",
    "--images {photos} --out {tmp}/o.csv --format slp": "a file of format slp ends in .slp",
    "--images {photos} --out {tmp}/o.json --overlay {tmp}/o.mp4": "name a folder",
    "--images {photos} --out {tmp}/o.json --overlay {photos}": "is what is to be drawn over; name another",
    "--images {photos} --out {tmp}/o.json --overlay {photos}/..": "holds other things already",
    "--images {data} --out {tmp}/o.slp": "o.slp: format slp names images where they lie",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(
    cli: Callable[..., Any], run_of: Any, results: Path, data: Path, tmp_path: Path, words: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 500)
    said = {"tmp": tmp_path, "data": data, "photos": data / "images" / "test"}
    said["photo"] = next(said["photos"].iterdir())
    done = cli("predict", "--weights", run_of(results, "net3"), *words.format(**said).split())
    assert (done.code, done.out) == (2, "")
    assert MISTAKES[words].format(**said) in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("o.*"))


def test_a_photograph_that_cannot_be_read_is_named(
    cli: Callable[..., Any], run_of: Any, results: Path, data: Path, tmp_path: Path
) -> None:
    photos = data / "images" / "test"
    file = sorted(photos.iterdir())[-1]
    file.write_bytes(file.read_bytes()[:60])
    done = cli("predict", "--weights", run_of(results, "net3"), "--images", photos, "--out", tmp_path / "o.csv")
    assert done.code == 2
    assert f"{file.name}: is not an image that can be read" in done.err
    assert not (tmp_path / "o.csv").exists()


@pytest.fixture(scope="module")
def exported(_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fitted net3 as a file that takes images of another size than it learned from, so that it must resize."""
    (run,) = (_made / "results").glob("*/*/net3/n*/seed0/*")
    out = tmp_path_factory.mktemp("exported") / "net3.onnx"
    done = export.export_model(run, out, size=SIZE)
    assert done.about.parity.images == 8
    return out


@pytest.fixture
def detector(results: Path, run_of: Any) -> Any:
    return restored(run_of(results, "net3"), "cpu")[0]


def test_a_file_answers_as_the_detector_and_says_what_was_measured(
    cli: Callable[..., Any], detector: Any, exported: Path, points: Any, tmp_path: Path
) -> None:
    """Random photographs, none of which was compared: answers within 1e-4 px, through the command line."""
    model = onnx.load(str(exported))
    about = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY])
    assert (about["height"], about["width"], about["colour"]) == (*SIZE, False)
    assert "an integer is the centre of its pixel" in about["convention"]
    parity = about["parity"]
    assert parity["largest_px"] < 1e-4
    assert parity["low_px"] <= parity["difference_px"] <= parity["high_px"]
    assert 0 < parity["graph_ms"] < 1000
    assert 0 < parity["detector_ms"] < 1000
    shots = np.random.default_rng(0).integers(0, 256, (3, *SIZE), dtype=np.uint8)
    (tmp_path / "shots").mkdir()
    for i, shot in enumerate(shots):
        Image.fromarray(shot).save(tmp_path / "shots" / f"{i}.png")
    words = ["predict", "--weights", exported, "--images"]
    assert cli(*words, tmp_path / "shots", "--out", tmp_path / "o.json").code == 0
    assert np.abs(points(tmp_path / "o.json") - detector.predict(list(shots))[:, 0]).max() < 1e-4
    Image.fromarray(shots[0][:28, :28]).save(tmp_path / "shots" / "9.png")
    done = cli(*words, tmp_path / "shots", "--out", tmp_path / "o.json")
    assert done.code == 2
    assert "takes images of 40 x 36 px, and one is 28 x 28: export the run again with --size 28x28" in done.err


def planted(file: Path, mismatch: str) -> bytes:
    """A graph that resizes by another convention, or looks at images in a mirror; "" is the one in the file."""
    model = onnx.load(str(file))
    del model.metadata_props[:]
    if not mismatch:
        return bytes(model.SerializeToString())
    window = Window.whole(SIZE, (28, 28))
    shifted = {
        "half a pixel": Window(window.x0 + 0.5, window.y0 + 0.5, window.scale, window.canvas),
        "squeezed": Window(0.0, 0.0, 28 / SIZE[1], window.canvas),
        "flip": window,
    }[mismatch]
    rows, columns = window_weights(shifted, *SIZE)
    if mismatch == "flip":
        columns = columns[:, ::-1]
    parts = {"rows": rows, "columns": columns.T}
    found = [one for one in model.graph.initializer if one.name.rpartition(".")[2] in parts]
    assert len(found) == 2
    for one in found:
        new = numpy_helper.from_array(np.ascontiguousarray(parts[one.name.rpartition(".")[2]]), one.name)
        assert tuple(new.dims) == tuple(one.dims)
        one.CopyFrom(new)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("mismatch", ["half a pixel", "squeezed", "flip"])
def test_a_planted_mismatch_is_refused(
    cli: Callable[..., Any],
    run_of: Any,
    results: Path,
    data: Path,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mismatch: str,
) -> None:
    assert data.is_dir()
    words = ["export-model", "--weights", run_of(results, "net3"), "--out", tmp_path / "m.onnx", "--size", "40x36"]
    monkeypatch.setattr(export, "_graph", lambda *_: planted(exported, ""))
    assert cli(*words, "--json").document["parity"]["largest_px"] < 1e-4
    (tmp_path / "m.onnx").unlink()
    monkeypatch.setattr(export, "_graph", lambda *_: planted(exported, mismatch))
    done = cli(*words)
    assert done.code == 2
    assert "net3: not exported: the graph answers up to" in done.err
    assert "test images" in done.err
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("-d linear --out {tmp}/m.onnx", "linear: cannot be exported: it is not one network from pixels to the points"),
        ("-d net3 --out {tmp}/m.pt", "m.pt: an exported model ends in .onnx"),
        ("-d net3 --out {tmp}/m.onnx --size 40", "size '40': give width and height in px, as 640x480"),
        ("-d net3 --out {tmp}/m.onnx --tolerance 0", "tolerance 0.0: is a distance above 0"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    cli: Callable[..., Any], run_of: Any, results: Path, tmp_path: Path, words: str, why: str
) -> None:
    _, name, *rest = words.format(tmp=tmp_path).split()
    done = cli("export-model", "--weights", run_of(results, name), *rest)
    assert done.code == 2
    assert why in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "m.onnx").exists()


def test_runs_without_weights_or_data_are_said(
    cli: Callable[..., Any], run_of: Any, results: Path, data: Path, tmp_path: Path
) -> None:
    run = run_of(results, "net3")
    words = ["export-model", "--weights", run, "--out", tmp_path / "m.onnx"]
    assert "there is no such folder" in cli(*words, "--data", tmp_path / "nowhere").err
    next(run.glob("*.safetensors")).unlink()
    assert "make the run with --save-weights" in cli(*words).err


def test_another_file_is_no_exported_model(cli: Callable[..., Any], exported: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    words = ["predict", "--weights", other, "--images", data / "images" / "test", "--out", tmp_path / "o.json"]
    assert "cannot be read" in cli(*words).err
    other.write_bytes(b"nothing")
    assert "is no ONNX file that onnxruntime can run" in cli(*words).err
    model = onnx.load(str(exported))
    about = json.loads(model.metadata_props[-1].value)
    for told, why in (
        (None, "was not written by export-model"),
        ("{}", "what it says of itself is damaged (detector: Field required)"),
        (json.dumps({**about, "sigmas": []}), "names 1 keypoints and 0 sigmas"),
    ):
        del model.metadata_props[:]
        if told is not None:
            model.metadata_props.add(key=KEY, value=told)
        other.write_bytes(model.SerializeToString())
        done = cli(*words)
        assert done.code == 2
        assert why in done.err
