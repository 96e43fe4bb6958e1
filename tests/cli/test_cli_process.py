"""What only a process of its own shows: what is imported, what Ctrl-C leaves, streams and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[2]
COMMANDS = ("run", "status", "reproduce", "list", "export", "leaderboard", "show", "score", "compare", "audit", "check")
COMMANDS += ("predict", "inspect", "bundle", "unbundle", "work", "gap", "suspects", "plot")
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "pandas",
    "altair",
    "vl_convert",
    "sklearn",
    "scipy",
    "skimage",
    "cv2",
    "albumentations",
)


def shell(*words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmark", *map(str, words)]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, encoding="utf-8", timeout=60, **settings)


def test_helping_and_listing_import_nothing_heavy() -> None:
    """Every ``--help``, with its example, and every list, in one process: it holds none of the heavy packages after."""
    lines = [["--help"], *([command, "--help"] for command in COMMANDS)]
    lines += [["list", what] for what in ("detectors", "tasks", "data", "suites")] + [["run", "--nope"]]
    code = f"""
import contextlib, io, json, sys
from benchmark.cli import main
said = []
for words in {lines!r}:
    sys.argv, out = ["python -m benchmark", *words], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as left:
            said.append([left.code, out.getvalue()])
print(json.dumps([said, sorted(set({HEAVY!r}) & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said, heavy = json.loads(done.stdout)
    assert heavy == []
    assert [code for code, _ in said] == [0] * (len(lines) - 1) + [2]
    for words, (_, text) in zip(lines, said):
        if words[-1] == "--help":
            command = words[0] if len(words) > 1 else "run"
            assert f"Example: python -m benchmark {command} " in " ".join(text.split())
    listed = set(re.findall(r"^│ (\w+) ", said[0][1], re.MULTILINE))
    assert listed >= set(COMMANDS)


def test_ctrl_c_keeps_finished_runs_and_the_same_command_goes_on(
    cli: Any, data: Path, tmp_path: Path, plugin: Path
) -> None:
    words = ["run", "--data", data, "--results", tmp_path / "r", "-d", "mean", "-d", f"{plugin}:flaw=waits"]
    words += ["--threads", "1"]
    marker = tmp_path / "fitting"
    # A shell's background jobs start with SIGINT ignored, and so would this process; it is asked not to.
    code = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "runpy.run_module('benchmark', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=HERE,
        env={**os.environ, "WAIT_IN": str(marker)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 40
        while not marker.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("interrupted: every finished run is kept")
    assert "Traceback" not in err
    (run,) = (tmp_path / "r").glob("made@1/made/*/n20/seed0/*/run.json")
    assert run.parents[3].name == "mean"
    rows = cli("leaderboard", "--results", tmp_path / "r", "--json").document
    assert [(row["detector"], row["status"]) for row in rows] == [("mean", "finished")]
    before = run.stat().st_mtime_ns
    rows = cli(*words, "--json").document
    assert {(row["detector"], row["status"]) for row in rows} == {
        ("mean", "finished"),
        ("plug:flaw=waits", "finished"),
    }
    assert run.stat().st_mtime_ns == before


def test_json_and_mistakes_go_to_their_streams(data: Path, tmp_path: Path, plugin: Path) -> None:
    words = ["--data", data, "--results", tmp_path / "r é", "--json", "-d"]
    done = shell("run", *words, f"{plugin}:flaw=prints")
    assert (done.returncode, [row["detector"] for row in json.loads(done.stdout)]) == (0, ["plug:flaw=prints", "mean"])
    assert "printed by a detector" in done.stderr
    assert "written by a detector" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    done = shell("run", *words, "meen")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown detector 'meen': did you mean 'mean'?\n"


@pytest.mark.parametrize("words", [["list"], ["list", "--json"]])
def test_a_reader_who_has_left_is_no_traceback(words: list[str]) -> None:
    """As of ``... | head`` whose head is done: whatever is written finds a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "benchmark", *words]
    done = subprocess.run(command, cwd=HERE, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr.strip()) == (1, "")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_still_shows_its_boards(cli: Any, data: Path, results: Path) -> None:
    results.chmod(0o555)
    try:
        board = cli("leaderboard", "--results", results, "--json")
        run = cli("run", "--data", data, "--results", results, "-d", "mean")
    finally:
        results.chmod(0o755)
    assert (board.code, len(board.document)) == (2, 3)
    assert "cannot be written" in board.err
    assert (run.code, run.out) == (2, "")
    assert "is read-only" in run.err
