"""commit, run, reveal as typed: a maintainer's way from a secret to rows that anybody can check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Cli = Callable[..., Any]
DETECTORS = ("-d", "rule", "-d", "linear:features=pts", "--threads", "1")


def committed(cli: Cli, folder: Path) -> tuple[Path, Path]:
    """The files of a new held-out set: its secret, and what is published."""
    secret, commitment = folder / "secret.json", folder / "commitment.json"
    said = cli("commit", "--task", "topleft", "--secret", secret, "--out", commitment, "--json")
    assert said.code == 0, said.err
    assert said.document == json.loads(commitment.read_text())
    assert "secret" not in said.document
    return secret, commitment


def test_from_a_commitment_to_rows_that_anybody_can_check(cli: Cli, tmp_path: Path) -> None:
    secret, commitment = committed(cli, tmp_path)
    results, revealed = tmp_path / "results", tmp_path / "revealed.json"
    said = cli("run", *DETECTORS, "--data", secret, "--results", results, "--json")
    assert said.code == 0, said.err
    exact = {row["detector"]: row["exact"] for row in said.document}
    assert exact["rule"] == exact["linear:features=pts"] == 1 > exact["mean"]
    kept = json.loads(secret.read_text())
    stored = [path.read_text() for path in results.rglob("*") if path.is_file()]
    assert not any(kept["secret"] in text or kept["salt"] in text for text in stored)
    assert not list(results.rglob("*.png"))  # no picture is written

    said = cli("reveal", secret, "--commitment", commitment, "--results", results, "--out", revealed)
    assert said.code == 0, said.err
    assert "3 runs" in said.out
    assert cli("bundle", "--results", results, "--out", tmp_path / "published").code == 0
    (bundle,) = (tmp_path / "published").iterdir()
    # Somebody else: with the revealed file, the commitment and the bundle.
    secret.unlink()
    said = cli("reveal", revealed, "--commitment", commitment, "--results", bundle, "--json")
    assert (said.code, said.document["runs"], said.document["failed"]) == (0, 3, False)
    (key,) = (run.name for run in results.glob("*/*/linear*/*/*/*"))
    predictions = next(results.glob("*/*/rule/*/*/*/predictions.json"))
    said = cli(
        "score",
        "--predictions",
        predictions,
        "--annotations",
        revealed,
        "--name",
        "theirs",
        "--results",
        tmp_path / "new",
    )
    assert said.code == 0, said.err
    assert len(list((tmp_path / "new" / "topleft@1").glob("tiny-heldout-*"))) == 1
    said = cli("reproduce", key, "--results", bundle, "--data", revealed, "--json")
    assert (said.code, said.document["verdict"]) == (0, "identical"), said.err


def test_what_does_not_fit_is_said_and_nothing_is_revealed(cli: Cli, tmp_path: Path) -> None:
    secret, commitment = committed(cli, tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = committed(cli, tmp_path / "other")
    out = tmp_path / "revealed.json"
    said = cli("reveal", other, "--commitment", commitment, "--out", out)
    assert said.code == 1
    assert "does not fit: commitment is" in said.out

    results = tmp_path / "results"
    assert cli("run", "-d", "rule", "--data", other, "--results", results).code == 0
    said = cli("reveal", secret, "--commitment", commitment, "--results", results, "--out", out)
    assert said.code == 1
    assert "holds no run that was made on" in said.out
    name = f"tiny-heldout-{json.loads(commitment.read_text())['commitment'][:8]}"
    for path in results.rglob("run.json"):  # runs on other pictures, under this set's name
        record = json.loads(path.read_text())
        record["config"]["data"] = name
        path.write_text(json.dumps(record))
    said = cli("reveal", secret, "--commitment", commitment, "--results", results, "--out", out, "--json")
    assert said.code == 1
    assert sum("was made on other data" in problem for problem in said.document["problems"]) == 2
    assert not out.exists()
    assert cli("reveal", commitment, "--commitment", commitment).code == 2
    assert cli("commit", "--secret", secret, "--out", tmp_path / "new.json").code == 2
    assert cli("commit", "--secret", tmp_path / "new.json", "--out", commitment).code == 2


def test_no_file_takes_the_place_of_a_secret_or_of_its_commitment(cli: Cli, tmp_path: Path) -> None:
    secret, commitment = committed(cli, tmp_path)
    before = secret.read_text(), commitment.read_text()
    for out in (secret, commitment):
        said = cli("reveal", secret, "--commitment", commitment, "--out", out)
        assert said.code == 2
        assert "would be replaced" in said.err
    assert (secret.read_text(), commitment.read_text()) == before
    one = tmp_path / "one.json"
    said = cli("commit", "--task", "topleft", "--secret", one, "--out", tmp_path / "." / "one.json")
    assert said.code == 2
    assert "name two files" in said.err
    assert not one.exists()


def test_a_commitment_that_cannot_be_written_leaves_no_secret_behind(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ("commit", "--task", "topleft", "--secret", tmp_path / "secret.json", "--out")
    said = cli(*words, tmp_path / "file" / "commitment.json")
    assert said.code == 2
    assert "cannot be written" in said.err
    assert not (tmp_path / "secret.json").exists()
    assert cli(*words, tmp_path / "commitment.json").code == 0
