"""Grid files: what one says is what the flags say, each mistake is named with its line, and nothing in one is trusted."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark import UserError
from benchmark.api import grid_config, grids_of, plan_grids
from benchmark.cli.runs import run
from benchmark.registry import suite, suites
from benchmark.runs.grid_file import ENTRIES
from datasets.formats.reading import ReadOptions


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_says_what_the_keywords_say(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
detectors: [mean, "net3:lr=0.01"]
task: corner
n: [100, 200]
seeds: 3
budget: 60s
device: cpu
threads: 1
save-weights: true
""",
    )
    (found,) = grids_of(file, otherwise={"results": "elsewhere"})
    settings: dict[str, Any] = {"task": "corner", "n": [100, 200], "seeds": 3, "budget": "60s", "device": "cpu"}
    assert found.config == grid_config(
        ["mean", "net3:lr=0.01"], **settings, threads=1, save_weights=True, results="elsewhere"
    )


def test_files_flags_and_keywords_have_the_same_settings() -> None:
    flags = inspect.signature(run).parameters.keys() - {"ctx", "grid", "dry_run", "as_json", "detector"}
    assert {*ENTRIES} == flags | {"detectors"}
    said = {"category": "hand", "val": 0.3, "group_by": "a(.)"}
    assert grid_config("mean", **said) == grid_config("mean", options=ReadOptions(**said))
    for wrong in ({"val": 3}, {"grup_by": "a"}, {"sigmas": 1}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            grid_config("mean", **wrong)


def test_a_study_is_grids_times_tasks_times_data(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "- {detectors: mean, task: [topleft, corner], data: [tiny, tiny-wide]}\n- {detectors: rule, suite: baseline}\n",
    )
    found = grids_of(file)
    assert [(g.config.task, g.config.data) for g in found] == [
        ("topleft", "tiny"),
        ("topleft", "tiny-wide"),
        ("corner", "tiny"),
        ("corner", "tiny-wide"),
        (None, "tiny"),
    ]
    assert found[-1].config.detectors == ("rule", "mean")
    assert [g.line for g in found] == [1, 1, 1, 1, 2]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = (
        "detectors: [./blob.py:x=1, mean]\ndata: [mine, ../other, tiny]\nresults: out\nsigmas: s.json\ncategory: hand\n"
    )
    found = grids_of(written(tmp_path, text))
    assert [g.config.data for g in found] == [str(tmp_path / "mine"), str(tmp_path / "../other"), "tiny"]
    assert found[0].config.detectors == (f"{tmp_path / 'blob.py'}:x=1", "mean")
    assert found[0].config.results == str(tmp_path / "out")
    assert found[0].config.options == ReadOptions(sigmas=str(tmp_path / "s.json"), category="hand")


def test_what_stands_beside_a_file_stands_instead(tmp_path: Path) -> None:
    file = written(tmp_path, "- {detectors: [mean], task: [topleft, corner], seeds: 2}\n- {detectors: rule, n: 10}\n")
    found = grids_of(file, {"task": "center", "detectors": ["knn"], "seeds": 5})
    assert [(g.config.task, g.config.detectors, g.config.seeds, g.config.n) for g in found] == [
        ("center", ("knn",), (0, 1, 2, 3, 4), ()),
        ("center", ("knn",), (0, 1, 2, 3, 4), (10,)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("detectors: mean\n\nseed: 3\n", "line 3: seed: no such setting: did you mean 'seeds'?"),
        ("detectors: mean\noptions: {}\n", "line 2: options: no such setting; there are detectors"),
        ("detectors: mean\nseeds: 2\nseeds: 3\n", "line 3: seeds is given twice in one grid, first on line 2"),
        ("detectors: mean\nseeds: three\n", "line 2: seeds 'three': give one, or a list of whole numbers"),
        ("detectors: mean\nseeds: 0\n", "line 2: seeds 0: give a whole number from 1"),
        ("detectors: mean\nn:\n  - 5\n  - 5.5\n", "line 4: n 5.5: "),
        ("detectors: mean\nn: 010\n", "line 2: n '010': write a whole number in decimal digits"),
        ("detectors: mean\nn: 1:30\n", "line 2: n '1:30': write a whole number in decimal digits"),
        (f"detectors: mean\nn: {'9' * 5000}\n", "line 2: n '9999"),
        ("detectors: mean\nval: 2\n", "line 2: val 2: input should be less than 1"),
        ("detectors: mean\nreuse: some\n", "line 2: reuse 'some': "),
        ("detectors: mean\ntask: no\n", "line 2: task False: give a name or a path"),
        ("detectors: mean\nsuite: haeds\n", "line 2: unknown suite 'haeds': did you mean 'heads'"),
        ("detectors: mean\nn: []\n", "line 2: n is an empty list"),
        ("detectors: {a: 1}\n", "line 1: detectors: give one value, or a list of values"),
        ("detectors: [[mean]]\n", "line 1: detectors: give one value, or a list of values"),
        ("- detectors: mean\n- mean\n", "line 2: is not a grid"),
        ("mean\n", "line 1: is not a grid"),
        ("[]\n", "holds no grid"),
        ("", "is empty"),
        ("detectors: [mean\n", "line 2: is not YAML"),
        ("a: 1\n---\nb: 2\n", "is not YAML that is read here (but found another document)"),
        ('detectors: "me\\0an"\n', "line 1: detectors: holds a character that cannot be printed"),
        (
            "- {detectors: mean, results: a}\n- {detectors: mean,\n   results: b}\n",
            "line 3: results: the grids of a file",
        ),
        ("[1]: 2\n", "line 1: a list or mapping: no such setting"),
        ("detectors: mean\nbudget: 2024-13-45\n", "line 2: is not a value (month must be in 1..12)"),
        # as found when it is planned
        ("detectors:\n  - mean\n  - meen\n", "line 3: unknown detector 'meen': did you mean 'mean'?"),
        ("detectors: mean\n\ntask: toplef\n", "line 3: unknown task 'toplef': did you mean 'topleft'"),
        ("detectors: mean\ndata: [tiny,\n  ./nowhere]\n", "nowhere: there is no such folder"),
        ("detectors: mean\nn:\n- 5\n- 9999\n", "line 4: n 9999: tiny has 568 training images"),
        ("detectors: mean\nbudget: soon\n", "line 2: budget 'soon'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        plan_grids(grids_of(file), write=False)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


BOMBS = {
    "code": ("detectors: !!python/object/apply:os.system ['touch {marker}']\n", "give one value, or a list"),
    "code in a value": ("detectors: !!python/name:os.system ''\n", "could not determine a constructor"),
    "aliases of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "holds more than 100,000 values",
    ),
    "a list that holds itself": ("detectors: &a [mean, *a]\n", "holds more than 100,000 values"),
    "nested": ("[" * 5000, "nested too deeply"),
    "too large": ("#" * (1 << 20) + "\na: 1\n", "is larger than 1 MiB"),
    "too many grids": (
        "- {detectors: mean, task: &t ["
        + ", ".join(["corner"] * 200)
        + "], data: ["
        + ", ".join(["tiny"] * 200)
        + "]}\n",
        "asks for more than 1,000 grids",
    ),
    "no text": ("\udcff\udcfe", "is not UTF-8 text"),
    "control characters": ("detectors: \x1b[31m\n", "is not YAML"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_file_is_refused_in_one_line_and_at_once(tmp_path: Path, name: str) -> None:
    text, words = BOMBS[name]
    marker = tmp_path / "marker"
    file = tmp_path / "grid.yaml"
    file.write_bytes(text.replace("{marker}", str(marker)).encode("utf-8", "surrogateescape"))
    started = time.process_time()
    with pytest.raises(UserError, match=words) as caught:
        grids_of(file)
    assert time.process_time() - started < 5
    assert len(str(caught.value)) < 400 + len(str(file))
    assert not marker.exists()


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.yaml: cannot be read \(No such file or directory\)"):
        grids_of(tmp_path / "no.yaml")


def test_suites_are_grid_files() -> None:
    from benchmark.registry import SUITES

    assert {"default", "baseline", "heads", "classic", "first", "probe"} <= set(suites())
    for name in suites():
        (found,) = grids_of(SUITES / f"{name}.yaml")
        assert list(found.config.detectors) == suite(name)
    assert len(suite("probe")) == 7 * 6
    assert len(set(suite("probe"))) == 42
