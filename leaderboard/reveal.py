"""A held-out set revealed: does its secret fit what was published, and were the stored runs made on exactly its data?

Anybody can ask, with the revealed file, the commitment that was published beforehand and the published bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.runs.store import Results
from benchmark.structures import UserError
from datasets.tasks import held_out


@dataclass(frozen=True)
class Revelation:
    """What came of it.

    Attributes:
        held_out: The set, with its secret.
        annotations: Digest of the annotations of its test split, as runs record it.
        runs: How many runs were made on exactly its data; None where no results were given.
        problems: What does not fit, a sentence each; empty where all does.
    """

    held_out: held_out.HeldOut
    annotations: str
    runs: int | None
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able object, without the secret."""
        return {
            **self.held_out.public.model_dump(exclude={"held_out", "secret", "salt"}),
            "name": self.held_out.name,
            "runs": self.runs,
            "failed": bool(self.problems),
            "problems": list(self.problems),
        }


def check(secret: Path, commitment: Path, results: Results | None = None) -> Revelation:
    """Hold a secret against its published commitment, and stored runs against the data it makes.

    Args:
        secret: The file with the secret, or the revealed one.
        commitment: The file that was published beforehand.
        results: Where the runs are; those on other data are not looked at.

    Raises:
        UserError: Where a file is not one of a held-out set, or the secret makes no data, or other data, here.
    """
    ours, published = held_out.read_file(secret), held_out.read_file(commitment)
    if ours.secret is None:
        raise UserError(f"{secret}: is a commitment, and has no secret to reveal; name the file with the secret")
    problems = [
        f"{name} is {mine} by the secret, and {theirs} was published"
        for name, mine in ours.public
        if mine != (theirs := getattr(published.public, name))
    ]
    dataset = held_out.read(secret)  # which compares digests
    annotations = dataset.test.annotations.digest[:16]
    if results is None:
        return Revelation(ours, annotations, None, tuple(problems))
    fitting = 0
    for run in results.runs():
        config = run.record.config
        named = config.data.startswith(ours.name)
        if not named and config.data_digest != dataset.digest:
            continue
        wrong = []
        if config.data_digest != dataset.digest:
            wrong.append(f"was made on other data (digest {config.data_digest[:12]})")
        if (config.task, config.version) != (ours.task, ours.version):
            wrong.append(f"is of {config.task}@{config.version}")
        if not config.folds and run.record.annotations != annotations:
            wrong.append("was scored against other annotations than those of its test split")
        fitting += not wrong
        problems += [f"{run.title}: {words}" for words in wrong]
    if not fitting:
        problems.append(f"{results.root}: holds no run that was made on {ours.name}")
    return Revelation(ours, annotations, fitting, tuple(problems))
