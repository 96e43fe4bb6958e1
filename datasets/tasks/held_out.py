"""Held-out sets: a task's data made from a secret, whose commitment is published before anybody is scored on it.

    committed   ``commitment.json``, published: what is asked for, the digest of the data, and the commitment,
                sha256 over all that, the secret and a salt
    secret      the same with secret and salt, in a file only its owner can read. It is a data set like any other:
                ``run --data secret.json``
    revealed    the same again, published afterwards: anybody makes the data from it, and checks the commitment

The secret makes the number of the division, one of 2^256, which decides what digits are in which split, how scenes are
laid out, and how every digit is varied (`datasets.tasks.variation`). Pictures are made in memory each time, and written nowhere. The salt goes into the commitment
alone: nothing that a detector sees depends on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark import files
from benchmark.structures import UserError
from datasets.dataset import Dataset, DatasetCard
from datasets.formats.coco_folder import described
from datasets.tasks.build import PRESETS, build
from datasets.tasks.catalog import get_task, tasks

VARIANT = 1
"""Version of what a secret does to data: higher by one whenever the same secret makes other pictures."""
MOST_BYTES = 1 << 14  # of a file
_PURPOSE = "keypoint-benchmark held-out set"  # no other hash of ours begins so


class HeldOut(BaseModel):
    """A held-out set, as one of its files has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out: Literal["committed", "secret", "revealed"]
    variant: int = Field(ge=1)
    task: str = Field(min_length=1, max_length=200)
    version: int = Field(ge=1)
    data: str = Field(min_length=1, max_length=200)
    images: dict[str, int]
    data_digest: str = Field(pattern="^[0-9a-f]{64}$")
    commitment: str = Field(pattern="^[0-9a-f]{64}$")
    secret: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    salt: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        """What boards call the data."""
        return f"{self.data}-heldout-{self.commitment[:8]}"

    @property
    def public(self) -> HeldOut:
        """What is published beforehand."""
        return self.model_copy(update={"held_out": "committed", "secret": None, "salt": None})

    @property
    def revealed(self) -> HeldOut:
        """What is published afterwards."""
        return self.model_copy(update={"held_out": "revealed"})

    @property
    def hashed(self) -> str:
        """The commitment as its secret and its salt make it: sha256 in hex."""
        said = self.model_dump(exclude={"held_out", "commitment"})
        return hashlib.sha256(f"{_PURPOSE}\n{json.dumps(said, sort_keys=True)}".encode()).hexdigest()

    def text(self) -> str:
        """The content of its file."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"


def commit(task: str, data: str) -> HeldOut:
    """Make a new held-out set, of a secret of 256 random bits.

    Args:
        task: A task's name.
        data: A preset's name.

    Raises:
        UserError: Where there is no such task or preset, or the one lacks digits of the other.
    """
    card, secret = get_task(task), secrets.token_hex(32)
    dataset = _made(card.name, data, secret)
    made = HeldOut(
        held_out="secret",
        variant=VARIANT,
        task=card.name,
        version=card.version,
        data=data,
        images={name: len(part) for name, part in dataset.splits.items()},
        data_digest=dataset.digest,
        commitment="0" * 64,
        secret=secret,
        salt=secrets.token_hex(32),
    )
    return made.model_copy(update={"commitment": made.hashed})


def write(held_out: HeldOut, path: Path) -> None:
    """Write a file; one with a secret only its owner can read, and never in the place of another file.

    Raises:
        UserError: Where it cannot be written, or something is there already.
    """
    if held_out.held_out != "secret":
        files.write_text(path, held_out.text())
        return
    with files.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise UserError(f"{path}: is there already, and a secret is never overwritten; name a new file") from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(held_out.text())
            file.flush()
            os.fsync(file.fileno())


def sniff(path: Path) -> bool:
    """Whether a file is one of a held-out set."""
    try:
        if path.suffix.lower() != ".json" or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith((b'{"held_out"', b'{\n "held_out"', b'{\r\n "held_out"'))
    except OSError:
        return False


def read_file(path: Path) -> HeldOut:
    """What a file says, and whether its commitment is that of its secret.

    Raises:
        UserError: Where it is not such a file, its secret does not fit its commitment, or others can read its secret.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        held_out = HeldOut.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; give a file that commit or reveal has written") from error
    if (held_out.held_out == "committed") != (held_out.secret is None) or (held_out.secret is None) != (
        held_out.salt is None
    ):
        raise UserError(f"{path}: calls itself {held_out.held_out}, which does not fit the secret it holds or lacks")
    if held_out.held_out == "secret" and os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path}: holds a secret, and others may read it: chmod 600 {path}")
    if held_out.secret is not None and held_out.hashed != held_out.commitment:
        raise UserError(f"{path}: its commitment is not that of its secret, so it is not what was committed to")
    return held_out


def read(path: Path) -> Dataset:
    """The data of a held-out set, made anew from its secret.

    Args:
        path: A file with the secret.

    Raises:
        UserError: As `read_file`; where the file holds no secret, or what it makes here is not what was committed to.
    """
    held_out = read_file(path)
    if held_out.secret is None:
        raise UserError(
            f"{path}: is a commitment, and has no pictures; the file with the secret has, or the revealed one"
        )
    if held_out.task not in tasks() or held_out.data not in PRESETS:
        raise UserError(f"{path}: is of task {held_out.task!r} on {held_out.data!r}, which this version does not have")
    version = get_task(held_out.task).version
    if (held_out.variant, held_out.version) != (VARIANT, version):
        raise UserError(
            f"{path}: was made by variant {held_out.variant} of {held_out.task}@{held_out.version}, and this version of "
            f"keypoint-benchmark makes variant {VARIANT} of {held_out.task}@{version}: use the version it was made with"
        )
    dataset = _made(held_out.task, held_out.data, held_out.secret)
    if dataset.digest != held_out.data_digest:
        raise UserError(
            f"{path}: makes other data here (digest {dataset.digest[:12]}) than was committed to "
            f"({held_out.data_digest[:12]}): use the version of keypoint-benchmark it was made with"
        )
    return replace(dataset, card=dataset.card.model_copy(update={"data": held_out.name}))


def _made(task: str, data: str, secret: str) -> Dataset:
    """The data of a task on a preset that a secret makes."""
    card = get_task(task)
    number = int(hashlib.sha256(f"{_PURPOSE} {VARIANT} {secret}".encode()).hexdigest(), 16)
    parts = build(card, data, number, varied=True)
    about = DatasetCard(task=card.name, version=card.version, summary=card.summary, data=data, rule=card.rule)
    return described(Dataset(*parts, about, digest=""))
