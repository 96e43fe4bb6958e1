"""Grids from a file, ``status``, ``run --dry-run`` and ``reproduce``, as a shell calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Cli = Any  # the fixtures of conftest.py
COUNTS = ("done", "stale", "failed", "missing")


def edited(file: Path, change: Any) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def counts(document: Any) -> list[int]:
    return [document[name] for name in COUNTS]


def snapshot(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_grid_file_is_the_flags_of_run(cli: Cli, data: Path, results: Path, tmp_path: Path) -> None:
    """What the flags have made is what the file asks for: nothing is run, and the board is the same."""
    file = tmp_path / "grid.yaml"
    flags = {"data": str(data), "budget": "1", "threads": 1, "save-weights": True, "results": str(results)}
    file.write_text(
        json.dumps([{"detectors": ["mean", "linear"], "seeds": 2, **flags}, {"detectors": "net3", **flags}])
    )
    said = cli("run", "--grid", file, "--json")
    assert said.code == 0
    assert all(" n20: reused, made on " in line for line in said.err.splitlines())
    reused = {row["name"]: row["reused_seeds"] for row in said.document}
    assert reused == {"mean": [0, 1], "linear": [0, 1], "net3": [0]}
    assert [row["row"] for row in said.document] == [
        row["row"] for row in cli("leaderboard", "--results", results, "--json").document
    ]
    more = cli("run", "--grid", file, "--seeds", "3", "--dry-run", "--json")
    assert more.err == f"{file}: --seeds as on the command line, whatever it says\n"
    assert counts(more.document) == [6, 0, 0, 3]


def test_a_dry_run_says_what_run_then_does_and_writes_nothing(
    cli: Cli, data: Path, tmp_path: Path, plugin: Path
) -> None:
    words = ["run", "--data", data, "--results", tmp_path / "r", "-d", f"{plugin}:x=3", "-d", f"{plugin}:flaw=raises"]
    words += ["--seeds", "2"]
    before = snapshot(tmp_path)
    said = cli(*words, "--dry-run", "--json")
    assert (said.code, counts(said.document), said.document["to_make"]) == (0, [0, 0, 0, 5], 5)
    assert said.document["unknown_seconds"] == 5
    assert snapshot(tmp_path) == before
    assert cli(*words).code == 0
    made = snapshot(tmp_path)
    done = cli(*words, "--dry-run", "--json").document
    assert (counts(done), done["to_make"]) == ([3, 0, 2, 0], 2)
    assert {job["error"] for job in done["jobs"] if job["state"] == "failed"} == {
        "RuntimeError: out of [/red] luck [31m"
    }
    plugin.write_text(plugin.read_text().replace("else self.x)", "else self.x + 1)"))
    stale = cli(*words, "--dry-run", "--json").document
    assert (counts(stale), stale["to_make"]) == ([1, 2, 2, 0], 4)
    assert {tuple(job["changed_files"]) for job in stale["jobs"] if job["state"] == "stale"} == {("plug.py",)}
    kept = cli(*words, "--reuse", "stale", "--dry-run").out
    assert "would make 2 of 5 runs, and reuse 3; nothing was made" in kept
    assert "stale: plug:x=3 seed 0 n20: code changed since (plug.py); it stands" in kept
    again = cli(*words, "--overwrite", "--dry-run", "--json").document
    assert again["to_make"] == 4  # the baseline was not asked for
    assert {path: time for path, time in snapshot(tmp_path / "r").items() if made.get(path) != time} == {}


def test_the_time_left_is_that_of_past_runs(cli: Cli, data: Path, results: Path, run_of: Any) -> None:
    for seed, seconds in ((0, 10.0), (1, 30.0)):
        edited(
            run_of(results, "linear", seed) / "run.json", lambda d, s=seconds: d.update(fit_seconds=s, predict_ms=250.0)
        )
    words = ["status", "--data", data, "--results", results, "--threads", "1"]
    more = cli(*words, "-d", "linear", "--seeds", "5", "--json").document
    left = [job["seconds"] for job in more["jobs"] if job["detector"] == "linear"]
    assert left == [None, None, *[pytest.approx(20 + 0.25 * 8)] * 3]  # 8 images
    assert (more["seconds_left"], more["rough"]) == (pytest.approx(66), False)
    several = cli(*words, "-d", "linear", "--seeds", "5", "--executor", "process", "--workers", "2", "--json").document
    assert (several["seconds_left"], several["workers"]) == (pytest.approx(33), 2)
    fewer = cli(*words, "-d", "linear", "--n", "5", "--json").document
    assert (fewer["seconds_left"], fewer["rough"]) == (pytest.approx(22 / 4, abs=0.1), True)  # and the baseline's
    unknown = cli(*words, "-d", "linear:features=pts")
    assert "of 1 no past run tells how long they take (linear:features=pts)" in unknown.out


def test_a_folder_says_what_it_holds_of_each_board(cli: Cli, results: Path, run_of: Any) -> None:
    edited(run_of(results, "mean", 1) / "run.json", lambda d: d["facts"]["code"].update({"baselines.mean": "0" * 16}))
    edited(run_of(results, "net3", 0) / "run.json", lambda d: d.update(status="failed", error="[red]out of luck"))
    (board,) = cli("status", "--results", results, "--json").document
    assert (board["task"], board["data"], board["rows"], board["runs"]) == ("made@1", "made", 3, 6)
    assert [board[name] for name in COUNTS[:3]] == [4, 1, 1]
    assert board["changed_files"] == ["baselines.mean"]
    text = cli("status", "--results", results)
    assert re.search(r"made@1 on made +3 +6 +4 +1 +1 ", text.out)
    assert "code changed since (baselines.mean)" in text.out
    assert cli("status", "--results", results / "nowhere").code == 2


def test_status_takes_every_flag_of_run(cli: Cli) -> None:
    flags = [set(re.findall(r"(?<= )--[a-z-]+", cli(name, "--help").out)) for name in ("run", "status")]
    assert flags[0] - flags[1] == {"--dry-run"}
    assert flags[1] - flags[0] == set()


def test_a_run_made_again_is_identical(cli: Cli, data: Path, results: Path, tmp_path: Path, run_of: Any) -> None:
    run = run_of(results, "linear")
    before = snapshot(results)
    said = cli("reproduce", run, "--json")
    assert (said.code, said.document["verdict"], said.document["moved"]) == (0, "identical", [])
    assert cli("bundle", "--results", results, "--out", tmp_path / "b").code == 0
    packed = ["reproduce", run.name[:6], "--results", tmp_path / "b"]
    lost = cli(*packed)
    assert (lost.code, "its data, 'made', is no preset, and where it lies is not known: give --data" in lost.err) == (
        2,
        True,
    )
    found = cli(*packed, "--data", data, "--out", tmp_path / "new")
    assert "linear n20 seed 0: identical: every prediction is the same to the bit" in found.out
    assert (run_of(tmp_path / "new", "linear") / "predictions.json").read_bytes() == (
        run / "predictions.json"
    ).read_bytes()
    assert snapshot(results) == before
    assert cli("reproduce", run, "--out", results).code == 2


def moved(run: Path, by: Any) -> None:
    """The stored answers moved by (n,) px along x, and a processor that there never was."""

    def change(rows: list[Any]) -> None:
        for row, px in zip(rows, by):
            row["keypoints"][0] += px

    edited(run / "predictions.json", change)
    edited(run / "run.json", lambda d: d["facts"].update(processor="Z80"))


def test_one_seed_is_judged_by_its_images(cli: Cli, data: Path, results: Path, run_of: Any) -> None:
    """Both ways off: the paired interval of the difference holds 0. All the same way: it does not."""
    run, other = run_of(results, "linear", 0), run_of(results, "linear", 1)
    edited(other / "run.json", lambda d: d.update(status="failed"))
    moved(run, [2.0] + [0.0] * 7)
    said = cli("reproduce", run, "--json")
    assert (said.code, said.document["verdict"], said.document["chance"]["of"]) == (0, "within", "images")
    (one,) = said.document["moved"]
    assert (one["px"], one["before"][0] - one["after"][0], one["file_name"]) == (
        pytest.approx(2),
        pytest.approx(2),
        "0001.png",
    )
    assert next(fact for fact in said.document["facts"] if fact["fact"] == "processor")["then"] == "Z80"
    moved(run, [300.0] * 8)
    far = cli("reproduce", run)
    assert far.code == 1
    assert "linear n20 seed 0: different: mean" in far.out
    assert "8 predictions moved; the farthest:" in far.out
    assert re.search(r"^processor +Z80 ", far.out, re.MULTILINE)


def test_several_seeds_are_judged_by_the_interval_for_one_more(
    cli: Cli, results: Path, run_of: Any, points: Any, data: Path
) -> None:
    runs = [run_of(results, "linear", seed) for seed in (0, 1)]
    truth = points(data / "annotations" / "test.json")
    moved(runs[0], [0.5] * 8)
    chance = cli("reproduce", runs[0], "--json").document["chance"]
    a, b = (np.hypot(*(points(run / "predictions.json") - truth).T).mean() for run in runs)
    half = 12.7062047364 * abs(a - b) / np.sqrt(2) * np.sqrt(1.5)  # Student's t with one degree of freedom
    assert (chance["of"], chance["seeds"]) == ("seeds", 2)
    assert [chance["low"], chance["high"]] == pytest.approx([(a + b) / 2 - half, (a + b) / 2 + half])
    moved(runs[0], [299.5] * 8)
    moved(runs[1], [300.0] * 8)
    assert cli("reproduce", runs[0]).code == 1  # the two agree with each other, and not with what is made now


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "run 'nothing': give the folder of a run, or its key"),
        (["../../x"], "give the folder of a run, or its key"),
        (["00"], "give the folder of a run, or its key"),
        (["****"], "give the folder of a run, or its key"),
        (["0000000000000000"], "holds no run whose key begins so"),
    ],
)
def test_a_run_that_is_none_is_one_line(cli: Cli, results: Path, words: list[str], said: str) -> None:
    refused = cli("reproduce", *words, "--results", results)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert said in refused.err


def test_what_cannot_be_made_again_says_why(
    cli: Cli, data: Path, results: Path, run_of: Any, plugin: Path, tmp_path: Path
) -> None:
    run = run_of(results, "mean")
    edited(data / "annotations" / "train.json", lambda d: d["annotations"][0].update(keypoints=[1, 1, 2]))
    (data / "card.json").unlink()
    changed = cli("reproduce", run, "--data", data)
    assert (changed.code, changed.err.count("\n")) == (2, 1)
    assert "is not what made@1/made mean n20 seed 0 was made on (digest" in changed.err
    edited(run / "run.json", lambda d: d.update(status="failed", error="no luck"))
    assert "has failed (no luck), so there is nothing to reproduce" in cli("reproduce", run).err
    edited(run / "run.json", lambda d: d.update(external=True))
    assert "holds predictions of another tool" in cli("reproduce", run).err
    words = ["--data", data, "--results", tmp_path / "own", "-d", f"{plugin}:x=7"]
    assert cli("run", *words).code == 0
    own = run_of(tmp_path / "own", "plug@x=7")
    assert "its detector is the file ../plug.py: name it with --detector" in cli("reproduce", own).err
    plugin.write_text(
        plugin.read_text().replace('flaw: str = ""', 'flaw: str = "raises"').replace("x: float = 5.0", "x: float = 6.0")
    )
    assert (
        cli("reproduce", own, "--detector", plugin).code == 0
    )  # with the parameters it had, whatever the defaults are now
    plugin.write_text(
        plugin.read_text().replace("def predict(self, images):", "def predict(self, images):\n        1 / 0")
    )
    failed = cli("reproduce", own, "--detector", plugin, "--json")
    assert (failed.code, failed.document["verdict"]) == (1, "failed")
    assert "ZeroDivisionError" in failed.document["error"]
    assert {fact["fact"] for fact in failed.document["facts"]} == {"code plug.py"}


def test_what_was_said_about_the_data_is_said_again(cli: Cli, data: Path, tmp_path: Path, run_of: Any) -> None:
    (data / "card.json").unlink()
    (tmp_path / "sigmas.json").write_text("[0.2]")
    flags = ["--sigmas", tmp_path / "sigmas.json"]
    assert cli("run", "--data", data, "--results", tmp_path / "r", "-d", "mean", *flags).code == 0
    run = run_of(tmp_path / "r", "mean")
    assert json.loads((run / "run.json").read_text())["facts"]["options"] == {"sigmas": "../sigmas.json"}
    assert cli("reproduce", run, "--json").document["verdict"] == "identical"
    elsewhere = (tmp_path / "sigmas.json").rename(tmp_path / "s.json")
    assert cli("reproduce", run).code == 2
    assert cli("reproduce", run, "--sigmas", elsewhere).code == 0


def test_a_broken_record_is_left_out_of_a_folders_status_and_said(cli: Any, tmp_path: Path) -> None:
    results = str(tmp_path / "results")
    assert cli("run", "-d", "mean", "-d", "ridge", "--n", "20", "--results", results).code == 0
    record = next((tmp_path / "results").glob("*/*/ridge/n*/seed*/*/run.json"))
    record.write_text("{")
    said = cli("status", "--results", results, "--json")
    assert said.code == 0
    assert [board["done"] for board in json.loads(said.out)] == [1]
    assert said.err.startswith("left out: ")
    assert "run.json" in said.err


def test_what_is_run_again_on_request_is_not_missing(cli: Any, tmp_path: Path) -> None:
    results = ["--n", "20", "--results", str(tmp_path / "results")]
    assert cli("run", "-d", "ridge", *results).code == 0
    said = json.loads(cli("status", "-d", "ridge", "--overwrite", *results, "--json").out)
    assert (said["again"], said["missing"], said["to_make"]) == (1, 0, 1)


def test_settings_of_a_run_that_two_grids_share_are_those_of_both(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(
        "- {detectors: [ridge], n: [20], threads: 1}\n- {detectors: [ridge], n: [20], threads: 1, save_weights: true}\n"
    )
    said = cli("run", "--grid", str(tmp_path / "grid.yaml"), "--results", str(tmp_path / "results"))
    assert said.code == 0, said.err
    assert list((tmp_path / "results").glob("*/*/ridge/n20/seed0/*/weights.safetensors"))
