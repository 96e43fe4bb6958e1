"""What is asked for: a grid of runs, one run of it, and the job that a worker is handed.

    GridConfig   the flags of ``run``: detectors x training sizes x seeds on one task and one data set
    RunConfig    one cell of it, resolved: everything that decides the outcome of a run but its seed and its code
    Job          one run to make, as plain JSON: specification, where the data is, config and seed

A run's **key** is a hash over what was asked for, `RunConfig` and seed, and over nothing else. With what code, library
versions and processor it was made are facts beside it (`benchmark.runs.facts`): they tell whether a stored run is stale.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from benchmark.detector import RECIPE
from benchmark.runs.limits import Bytes, Limits, Retries, Seconds
from datasets.formats.reading import ReadOptions


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GridConfig(_Frozen):
    """Everything that a grid of runs is asked for; the keyword arguments of `benchmark.run`.

    Whether it can be had is checked by `benchmark.runs.plan.plan`.
    """

    detectors: tuple[str, ...]
    task: str | None = Field(default=None, description="a task's name; None is topleft, or what a folder brings")
    data: str = Field(default="tiny", description="a preset's name, or the path of a folder or file")
    options: ReadOptions = Field(default=ReadOptions(), description="what the user says about a folder or file")
    labels: str = Field(default="", description="other labels of the same images: their noise floor stands on boards")
    split: int = Field(default=0, description="which division of the images; 0 for development")
    folds: int = Field(default=0, description="above 1: out-of-fold answers over all images")
    seeds: tuple[StrictInt, ...] = (0,)
    n: tuple[StrictInt, ...] = Field(default=(), description="training images, nested; empty: all")
    budget: str | None = Field(default=None, description="20 (epochs), 60s, 500steps; None: each detector's recipe")
    until_ranked: bool = Field(
        default=False, description="seeds are added one by one until tests tell the rows apart, ``seeds`` at most"
    )
    device: str = Field(default="auto", description="auto, cpu or cuda")
    threads: StrictInt | None = Field(default=None, description="of every numeric library; None: every core")
    results: str = "results"
    overwrite: bool = Field(default=False, description="run again what is stored")
    reuse: Literal["current", "stale"] = Field(
        default="current", description="stale: a stored run stands although the code has changed since"
    )
    save_weights: bool = False
    executor: str = Field(default="local", description="what makes the runs; see `benchmark.executors`")
    workers: StrictInt | None = Field(
        default=None, ge=1, le=10_000, description="runs made at once; None: cores // threads"
    )
    timeout: Seconds | None = Field(default=None, description="seconds an attempt at a run: 600, 90s, 10min, 2h")
    max_memory: Bytes | None = Field(default=None, description="bytes of resident memory a run: 500MB, 4GiB")
    retry: Retries = Field(default=0, description="further attempts at a run that failed")
    on_error: Literal["continue", "stop"] = Field(
        default="continue", description="stop: begin no further run after one has failed"
    )
    after_run: tuple[str, ...] = Field(
        default=(), description="writers that are told of every run that is made; see `benchmark.after_run`"
    )

    @property
    def limits(self) -> Limits:
        """What each of its jobs may take."""
        return Limits(timeout=self.timeout, max_memory=self.max_memory, retry=self.retry)


OPTIONS = tuple(ReadOptions.model_fields)
"""The settings that are about the data of a grid, and stand flat beside the others wherever a user writes them."""

SETTINGS = (*(name for name in GridConfig.model_fields if name != "options"), *OPTIONS)
"""What a user may set of a grid: by flags, in a grid file and from Python."""


class DataReference(_Frozen):
    """Where the data of a run is: what `datasets.load.load` takes, and the folds."""

    task: str | None = None
    data: str = "tiny"
    options: ReadOptions = ReadOptions()
    split: int = 0
    folds: int = 0
    root: str = Field(default="results/_data", description="the folder that presets are exported to")


class RunConfig(_Frozen):
    """What one run was asked for, but for its seed: two runs with one config are two seeds of one row.

    ``detector`` and ``data`` are what people read; ``name``, ``parameters`` and ``data_digest`` are what counts.
    """

    task: str
    version: int = Field(ge=1, le=1_000_000)
    data: str
    data_digest: str
    split: int = Field(default=0, ge=0, le=1_000_000)
    folds: int = Field(default=0, ge=0, le=1_000_000)
    n_train: int = Field(ge=0, le=1_000_000_000)
    detector: str
    name: str
    detector_version: int = 1
    parameters: dict[str, Any] = Field(default_factory=dict)
    budget: str = RECIPE
    device: str = "cpu"
    threads: int = Field(default=1, ge=1, le=1024)

    @property
    def digest(self) -> str:
        """16 hex digits over every field but the two that are only shown."""
        decides = self.model_dump(mode="json", exclude={"detector", "data"})
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def key(self, seed: int) -> str:
        """The run's name: 16 hex digits over the config and the seed."""
        return hashlib.sha256(f"{self.digest} seed {seed}".encode()).hexdigest()[:16]


class Job(_Frozen):
    """One run to make: all that a worker needs, here or elsewhere, where it sees the same folders from the same place."""

    specification: str = Field(description="the detector as `benchmark.registry.resolve` takes it")
    data: DataReference
    config: RunConfig
    seed: int
    results: str
    save_weights: bool = False
    annotations: str = Field(default="", description="digest of what it will be scored against, kept in the store")
    replaces: str = Field(
        default="",
        description="identity of the stored run it is made in place of; any other was made since it was planned",
    )
    limits: Limits = Limits()
    after_run: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of the run it makes."""
        return self.config.key(self.seed)

    @property
    def title(self) -> str:
        """How a person would call it."""
        return f"{self.config.detector} seed {self.seed} n{self.config.n_train}"
