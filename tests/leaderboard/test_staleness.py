"""Rows whose code has changed since they were run: told, counted, and never guessed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark.code_digest import file_digest, reached_code
from benchmark.runs.store import Store
from benchmark.structures import Annotations
from leaderboard import staleness
from leaderboard.audit import audit
from leaderboard.board import boards
from leaderboard.render import words
from leaderboard.staleness import CodeNow


def state_of(maker: Any, annotations: Annotations, name: str, **facts: Any) -> tuple[str, tuple[str, ...]]:
    maker.put(name, annotations, maker.answers(annotations, 1.0), facts=facts)
    (row,) = boards(maker.store)[0].rows
    assert row.code is not None
    assert ("code_changed" in row.marks) == (row.code.status == "changed")
    return row.code.status, row.code.files


def test_a_built_in_whose_files_are_the_same_is_current(maker: Any, annotations: Annotations) -> None:
    assert state_of(maker, annotations, "linear:features=pix") == ("current", ())


def test_a_built_in_one_of_whose_files_has_changed_is_named_with_the_file(maker: Any, annotations: Annotations) -> None:
    code = {**reached_code("baselines.scikit"), "baselines.scikit": "0" * 16}
    assert state_of(maker, annotations, "linear", code=code) == ("changed", ("baselines.scikit",))
    (board,) = boards(maker.store)
    assert words.notes_of(board) == ["The code of 1 of 1 row has changed since it was run."]
    assert ("c", "code changed since it was run, or was not recorded then (1 row)") in words.legend([board])


def test_a_built_in_that_recorded_no_code_was_made_before_runs_did(maker: Any, annotations: Annotations) -> None:
    assert state_of(maker, annotations, "linear", code={}) == ("changed", ())
    assert words.notes_of(boards(maker.store)[0]) == [
        "The code of 1 of 1 row has changed since it was run (made before runs recorded their code)."
    ]


@pytest.mark.parametrize("facts", [{}, {"code": {}}, {"file": "../gone.py"}])
def test_what_is_not_at_hand_cannot_be_told(maker: Any, annotations: Annotations, facts: dict[str, Any]) -> None:
    assert state_of(maker, annotations, "theirs", **facts) == ("unknown", ())
    assert words.notes_of(boards(maker.store)[0]) == [
        "Of 1 row it cannot be told whether the code has changed: it is not at hand."
    ]


def test_a_detector_file_is_followed_without_importing_it(maker: Any, annotations: Annotations, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    own, helper = tmp_path / "mine" / "mine.py", tmp_path / "mine" / "helper.py"
    own.write_text("raise SystemExit('imported')\n")
    helper.write_text("SIZE = 1\n")
    module = "datasets.ink"
    code = {"mine.py": file_digest(own), "helper.py": file_digest(helper), module: reached_code(module)[module]}
    assert state_of(maker, annotations, "mine", code=code, file="../mine/mine.py") == ("current", ())
    helper.write_text("SIZE = 1  # a comment changes nothing\n")
    assert state_of(maker, annotations, "mine", code=code, file="../mine/mine.py") == ("current", ())
    helper.write_text("SIZE = 2\n")
    assert state_of(maker, annotations, "mine", code=code, file="../mine/mine.py") == ("changed", ("helper.py",))
    own.unlink()
    assert state_of(maker, annotations, "mine", code=code, file="../mine/mine.py") == ("unknown", ())


def test_a_class_of_a_module_is_found_by_its_specification(
    maker: Any, annotations: Annotations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_package.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = reached_code("their_package")
    assert code
    for known, status in ((code, "current"), ({"their_package": "0" * 16}, "changed")):
        run = maker.put(
            "net3",
            annotations,
            maker.answers(annotations, 1.0),
            specification="their_package:Net3:width=3",
            facts={"code": known},
        )
        state = CodeNow().state(run.record, maker.store.root)
        assert state is not None
        assert state.status == status


def test_predictions_of_another_tool_have_no_code(maker: Any, annotations: Annotations) -> None:
    maker.put("yolo", annotations, maker.answers(annotations, 1.0), external=True, facts={"code": {}})
    (board,) = boards(maker.store)
    assert board.rows[0].code is None
    assert not {"code_changed", "code_unknown"} & {note.code for note in board.notes}


def test_the_audit_counts_changed_rows_and_does_not_fail(maker: Any, annotations: Annotations) -> None:
    for seed in range(2):
        maker.put("linear", annotations, maker.answers(annotations, 1.0), seed, facts={"code": {"gone": "0"}})
    maker.put("forest", annotations, maker.answers(annotations, 1.5))
    report = audit(maker.store)
    (check,) = [check for check in report.checks if check.code == "code"]
    assert not report.failed
    assert check.status == "noted"
    assert check.values == {"rows": 2, "changed": 1, "unknown": 0}
    (remark,) = check.remarks
    assert remark.startswith("made@1/dots linear: baselines.")


def test_sixty_rows_take_less_than_a_second(maker: Any, annotations: Annotations) -> None:
    from benchmark.registry import entries

    run = maker.put("net", annotations, maker.answers(annotations))
    names = [name for name, (first, *_) in entries().items() if "plugin" not in first.family]
    records = [
        run.record.model_copy(update={"config": run.record.config.model_copy(update={"name": name})})
        for name in (names * 60)[:60]
    ]
    CodeNow().state(records[0], maker.store.root)
    started = time.process_time()
    now = CodeNow()
    for record in records:
        now.state(record, maker.store.root)
    assert time.process_time() - started < 1


def test_what_the_project_reaches_is_looked_up_once(
    maker: Any, annotations: Annotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker.put("linear", annotations, maker.answers(annotations, 1.0))
    run = next(iter(maker.store.runs())).record
    looked: list[str] = []
    real = staleness.reached_code

    def counted(module: str, also: Any = ()) -> dict[str, str]:
        looked.append(module)
        return real(module, also)

    monkeypatch.setattr(staleness, "reached_code", counted)
    plain = CodeNow().state(run, maker.store.root)
    assert len(looked) == 1
    for times in (2, 2):  # the second time it is known
        code = CodeNow(Store(maker.store.root, indexed=True))
        assert code.state(run, maker.store.root) == plain
        code.save()
        assert len(looked) == times
    before = staleness.state_of
    monkeypatch.setattr(staleness, "state_of", lambda path: (before(path), "changed since"))
    assert CodeNow(Store(maker.store.root, indexed=True)).state(run, maker.store.root) == plain
    assert len(looked) == 3


def test_no_detector_is_imported(maker: Any, annotations: Annotations) -> None:
    maker.put("linear", annotations, maker.answers(annotations, 1.0))
    code = (
        "import sys; from benchmark.runs.store import Store; from leaderboard.board import boards; "
        f"boards(Store({str(maker.store.root)!r})); print([m for m in ('torch', 'sklearn', 'baselines.scikit') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
