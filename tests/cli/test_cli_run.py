"""``run`` by its real road: what it answers, stores, keeps and reuses; and the same call from Python."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmark
from benchmark import UserError, registry

Cli = Any  # the fixtures of conftest.py
BOARD = ("LEADERBOARD.md", "LEADERBOARD.csv", "LEADERBOARD.json")


def rows_of(said: Any) -> dict[str, dict[str, Any]]:
    return {row["row"]: row for row in said.document}


def test_the_board_is_what_the_stored_points_say(cli: Cli, data: Path, results: Path, points: Any, run_of: Any) -> None:
    said = cli("leaderboard", "--results", results, "--json")
    rows = rows_of(said)
    assert set(rows) == {"mean", "linear", "net3 1epochs"}  # the other two follow no budget
    annotations = points(data / "annotations" / "test.json")
    for name, row in rows.items():
        detector = name.partition(" ")[0]
        answers = [points(run_of(results, detector, seed) / "predictions.json") for seed in (0, 1)]
        errors = [np.hypot(*(answer - annotations).T).mean() for answer in answers]
        assert row["mean"] == pytest.approx(np.mean(errors), abs=1e-12)
        assert (row["detector"], row["task"], row["data"], row["seeds"]) == (detector, "made", "made", [0, 1])
        assert row["exact"] == pytest.approx(np.mean([(abs(a - annotations) < 0.5).all(axis=1) for a in answers]))
    mean = points(data / "annotations" / "train.json").mean(axis=0)
    assert rows["mean"]["mean"] == pytest.approx(np.hypot(*(mean - annotations).T).mean(), abs=1e-12)


def test_run_prints_its_board_and_writes_it_three_times(cli: Cli, data: Path, tmp_path: Path) -> None:
    words = ["run", "--data", data, "--results", tmp_path / "new", "-d", "mean", "-d", "linear"]
    shown = cli(*words)
    assert shown.code == 0
    assert "made@1 on made: 8 test images" in shown.out
    assert re.search(r"^ +1 +linear ", shown.out, re.MULTILINE)
    assert [line.split()[0] for line in shown.err.splitlines()] == ["mean", "linear"]
    said = cli(*words, "--json")
    assert [line.partition(" made")[0] for line in said.err.splitlines()] == [
        "mean seed 0 n20: reused,",
        "linear seed 0 n20: reused,",
    ]
    texts = {name: (tmp_path / "new" / name).read_text() for name in BOARD}
    rows = said.document
    assert [row.pop("reused_seeds") for row in rows] == [[0], [0]]
    assert json.loads(texts["LEADERBOARD.json"]) == rows
    table = list(csv.DictReader(texts["LEADERBOARD.csv"].splitlines()))
    assert [(row["row"], float(row["mean"])) for row in table] == [(r["row"], r["mean"]) for r in said.document]
    for row in said.document:
        assert re.search(rf"\| *\*?{re.escape(row['row'])}\*? *\|", texts["LEADERBOARD.md"])


@pytest.mark.fits
@pytest.mark.parametrize("detector", ["net3", "linear"])
def test_what_is_stored_is_reused_and_overwriting_repeats_it_to_the_byte(
    cli: Cli, data: Path, tmp_path: Path, run_of: Any, detector: str
) -> None:
    words = ["run", "--data", data, "--results", tmp_path / "r", "-d", detector, "--budget", "1", "--threads", "1"]
    cli(*words)
    run = run_of(tmp_path / "r", detector) / "run.json"
    first, answers = run.read_bytes(), (run.parent / "predictions.json").read_bytes()
    state = run.stat()
    assert re.fullmatch(rf"{detector} seed 0 n20: reused, made on [\d-]{{10}}\n", cli(*words).err)
    assert {row["name"]: row["reused_seeds"] for row in cli(*words, "--json").document} == {detector: [0], "mean": [0]}
    assert (run.stat().st_ino, run.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)
    again = cli(*words, "--overwrite")
    assert again.err.startswith(f"{detector} seed 0 n20: ")
    assert run.stat().st_ino != state.st_ino
    assert (run.parent / "predictions.json").read_bytes() == answers
    kept = ("key", "config", "scores", "n_parameters")
    assert all(json.loads(first)[name] == json.loads(run.read_bytes())[name] for name in kept)


@pytest.mark.parametrize("lost", ["predictions.json", "_annotations"])
def test_a_damaged_run_heals_by_running_again(cli: Cli, data: Path, results: Path, run_of: Any, lost: str) -> None:
    before = cli("leaderboard", "--results", results, "--json").document
    run = run_of(results, "net3")
    damaged = next((results / "_annotations").iterdir()) if lost == "_annotations" else run / lost
    damaged.write_text("{")
    broken = rows_of(cli("leaderboard", "--results", results, "--json"))["net3 1epochs"]
    assert broken["failed_seeds"] == ([0, 1] if lost == "_annotations" else [0])
    words = ["run", "--data", data, "--results", results, "-d", "net3", "--seeds", "2", "--budget", "1"]
    said = cli(*words, "--threads", "1", "--json")
    after = said.document
    found = [line for line in said.err.splitlines() if "predictions.json is not as it was written: run again" in line]
    assert len(found) == (lost == "predictions.json")
    fresh = [line for line in said.err.splitlines() if line not in found and " n20" in line and ": reused" not in line]
    ran = [line.partition(" n20")[0] for line in fresh]
    assert ran == ([] if lost == "_annotations" else ["net3 seed 0"])  # a set of annotations comes back without any fit

    def figures(rows: Sequence[dict[str, Any]]) -> list[Any]:
        return [(row["row"], row["seeds"], row["failed_seeds"], row["mean"], row["exact"]) for row in rows]

    assert figures(after) == figures(before)


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("raises", "RuntimeError: out of [/red] luck [31m"),
        ("exits", "SystemExit: 7"),
        ("none", "TypeError: "),
        ("far", "beyond 1e9"),
        ("weights", "ValueError: invalid literal for int"),
        ("history", "fit returned a history that is not a list of rows"),
        ("number", "TypeError: 'int' object is not iterable"),
        ("state", "state() holds 'x' of type <U4"),
    ],
)
def test_a_failing_detector_is_recorded_and_the_others_go_on(
    cli: Cli, data: Path, tmp_path: Path, plugin: Path, flaw: str, words: str
) -> None:
    base = ["run", "--data", data, "--results", tmp_path / "r", "--save-weights", "-d", f"{plugin}:flaw={flaw}"]
    said = cli(*base, "-d", "mean", "--json")
    assert said.code == 0
    failed, mean = said.document[-1], said.document[0]
    assert (failed["status"], mean["status"]) == ("failed", "finished")
    assert words in failed["error"]
    assert f"failed plug:flaw={flaw} seed 0 n20: {failed['error']}" in said.err
    (log,) = (tmp_path / "r").glob("made@1/made/plug*/n20/seed0/*/log.txt")
    assert "Traceback" in log.read_text()
    assert str(log) in said.err
    alone = cli(*base)
    assert alone.code == 1
    assert words in " ".join(alone.out.split())


def test_every_seed_and_every_size_is_a_run(cli: Cli, data: Path, tmp_path: Path, points: Any, run_of: Any) -> None:
    words = ["-d", "mean", "--seeds", "3", "--n", "5", "--n", "20"]
    rows = rows_of(cli("run", "--data", data, "--results", tmp_path / "r", *words, "--json"))
    assert {name: (row["n_train"], row["seeds"]) for name, row in rows.items()} == {
        "mean n5": (5, [0, 1, 2]),
        "mean n20": (20, [0, 1, 2]),
    }
    train = points(data / "annotations" / "train.json")
    of_five = [points(run_of(tmp_path / "r", "mean", seed, "n5") / "predictions.json")[0] for seed in range(3)]
    for seed, answer in enumerate(of_five):
        assert 5 * answer == pytest.approx(np.round(5 * answer), abs=1e-9)  # a mean of five whole pixels
        of_all = points(run_of(tmp_path / "r", "mean", seed, "n20") / "predictions.json")[0]
        assert of_all == pytest.approx(train.mean(axis=0))
    assert len({tuple(answer) for answer in of_five}) == 3  # each seed draws its own five


def test_out_of_fold_answers_cover_all_images(cli: Cli, data: Path, tmp_path: Path, points: Any, run_of: Any) -> None:
    said = cli("run", "--data", data, "--results", tmp_path / "r", "-d", "mean", "--folds", "3", "--json")
    assert [row["data"] for row in said.document] == ["made-folds3"]
    file = run_of(tmp_path / "r", "mean") / "predictions.json"
    assert sorted(row["image_id"] for row in json.loads(file.read_text())) == list(range(1, 35))
    annotations = np.concatenate([points(data / "annotations" / f"{part}.json") for part in ("train", "val", "test")])
    answers = points(file)
    assert len(np.unique(answers, axis=0)) == 3
    assert said.document[0]["mean"] == pytest.approx(np.hypot(*(answers - annotations).T).mean())


def test_without_a_detector_the_default_suite_runs(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.suite("default")
    assert "mean" in real
    assert len(real) >= 4
    suites = {"default": ["linear:features=pts"], "baseline": ["mean"], "one": ["rule"]}
    for name, members in suites.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"detectors": members}))  # JSON is YAML
    monkeypatch.setattr(registry, "SUITES", tmp_path)
    assert set(rows_of(cli("run", "--data", data, "--results", tmp_path / "a", "--json"))) == {
        "mean",
        "linear:features=pts",
    }
    words = ["--results", tmp_path / "b", "--suite", "one", "--json"]
    assert set(rows_of(cli("run", "--data", data, *words))) == {"mean", "rule"}


def test_json_is_all_that_stdout_carries(cli: Cli, data: Path, tmp_path: Path, plugin: Path, capfd: Any) -> None:
    said = cli("run", "--data", data, "--results", tmp_path / "r", "-d", f"{plugin}:flaw=prints", "--json")
    assert [row["detector"] for row in said.document] == ["plug:flaw=prints", "mean"]
    assert "printed by a detector" in said.err
    assert capfd.readouterr() == ("", "written by a detector")


def test_the_call_from_python_returns_the_board(
    data: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = benchmark.run(
        ["mean", "linear"], data=data, results=tmp_path / "r", seeds=np.int64(2), n=[10, 20], budget=1, threads=1
    )
    assert isinstance(found, pd.DataFrame)
    assert set(zip(found["detector"], found["n_train"])) == {(d, n) for d in ("mean", "linear") for n in (10, 20)}
    assert set(found["budget"]) == {"recipe"}  # neither follows one
    stored = json.loads(cli("leaderboard", "--results", tmp_path / "r", "--json").out)
    assert found["row"].tolist() == [row["row"] for row in stored]
    assert found["mean"].tolist() == [row["mean"] for row in stored]
    monkeypatch.setattr(benchmark.api, "suite", {"default": ["mean"], "baseline": ["mean"]}.__getitem__)
    assert benchmark.run(data=str(data), results=str(tmp_path / "s"))["detector"].tolist() == ["mean"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"detectors": []}, "detectors: there is none"),
        ({"detectors": 3}, "detectors 3: give one, or a list of specifications"),
        ({"detectors": [benchmark.Detector]}, "give one, or a list of specifications"),
        ({"detectors": "meen"}, "did you mean 'mean'"),
        ({"seeds": 0}, "seeds 0: give a whole number from 1"),
        ({"seeds": []}, "seeds: there is none"),
        ({"seeds": [-1]}, "seed -1: give a whole number from 0"),
        ({"seeds": [2**32]}, "seed 4294967296"),
        ({"seeds": "3"}, "seeds '3'"),
        ({"seeds": True}, "seeds True"),
        ({"n": 21}, "n 21: data has 20 training images"),
        ({"n": [5.0]}, "n 5.0: input should be a valid integer"),
        ({"split": "0"}, "split '0'"),
        ({"folds": 2.5}, "folds 2.5"),
        ({"budget": 1.5}, "budget '1.5' is not a budget"),
        ({"threads": 0}, "threads 0"),
        ({"threads": 10**6}, "threads 1000000: give a whole number from 1 to 1024"),
        ({"device": None}, "device None: "),
        ({"data": None}, "data None: give a name or a path"),
        ({"data": ""}, "data: the name is empty"),
        ({"results": ""}, "results: the name is empty"),
        ({"task": 3}, "task 3: give a name"),
        ({"seed": 3}, "run has no setting 'seed': did you mean 'seeds'?"),
        ({"reuse": "all"}, "reuse 'all': "),
    ],
)
def test_the_call_from_python_refuses_before_it_runs(
    data: Path, tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    (data / "card.json").unlink()
    settings = {"detectors": "mean", "data": data, "results": tmp_path / "r", **wrong}
    with pytest.raises(UserError, match=re.escape(words)):
        benchmark.run(**settings)
    assert not list(tmp_path.glob("r/*"))


def test_an_edited_plugin_file_is_loaded_again(data: Path, tmp_path: Path, plugin: Path, cli: Cli) -> None:
    """As in a notebook: one process, a file registered under a taken name, then mended."""
    text = "from benchmark import register\n" + plugin.read_text()
    plugin.write_text(text.replace("class Plug", '@register("mean")\nclass Plug'))
    settings: dict[str, Any] = {"data": data, "results": tmp_path / "r"}
    with pytest.raises(UserError, match=r"'mean' is offered twice: by .*plug\.py and by built in"):
        benchmark.run(str(plugin), **settings)
    assert benchmark.run("mean", **settings)["detector"].tolist() == ["mean"]
    plugin.write_text(text.replace("class Plug", '@register("blob")\nclass Plug'))
    assert set(benchmark.run(str(plugin), **settings)["detector"]) == {"mean", "blob"}
    plugin.write_text(text.replace("class Plug", '@register("blot")\nclass Plug'))
    assert set(benchmark.run(str(plugin), **settings)["detector"]) == {"mean", "blob", "blot"}


def test_two_folders_of_one_name_are_two_boards(cli: Cli, data: Path, results: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    second = data.rename(tmp_path / "other" / "made")
    (second / "card.json").unlink()
    annotation_file = second / "annotations" / "test.json"
    document = json.loads(annotation_file.read_text())
    for entry in document["annotations"]:
        entry["area"] = 100.0
    annotation_file.write_text(json.dumps(document))
    words = ["--data", second, "--results", results]
    said = cli("run", *words, "-d", "rule", "--json")
    assert {(row["detector"], row["task"], row["data"]) for row in said.document} == {
        (name, "made", "made") for name in ("rule", "mean")
    }
    assert set(benchmark.run("rule", data=second, results=results)["data_digest"]) == {said.document[0]["data_digest"]}
    assert len(cli("leaderboard", "--results", results, "--json").document) == 5
    wrong = cli("show", "linear", *words)
    assert (wrong.code, wrong.out) == (2, "")
    assert "was run on other data called 'made'" in wrong.err


def test_writers_are_told_after_a_run_from_a_flag_and_from_a_grid_file(
    cli: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    (tmp_path / "grid.yaml").write_text(f"detectors: mean\ndata: {data}\nafter_run: jsonl\nthreads: 1\n")
    for name, words in (
        ("flag", ("-d", "mean", "--data", data, "--after-run", "jsonl")),
        ("file", ("--grid", tmp_path / "grid.yaml")),
    ):
        said = cli("run", *words, "--results", tmp_path / name)
        assert said.code == 0, said.err
        (line,) = (tmp_path / name / "_after_run" / "jsonl" / "runs.jsonl").read_text().splitlines()
        assert '"detector": "mean"' in line
        assert cli("audit", "--results", tmp_path / name).code == 0  # what writers keep is no run
    said = cli("run", "-d", "mean", "--data", data, "--after-run", "jsonn", "--results", tmp_path / "flag")
    assert (said.code, "did you mean 'jsonl'?" in said.err) == (2, True)
