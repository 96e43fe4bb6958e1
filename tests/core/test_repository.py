"""What the repository says of itself: workflows that parse and are modest, templates, badges that are true."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.runs.submission import Submission

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_alone_and_its_actions_are_pinned(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert True in workflow  # "on", as YAML 1.1 reads it
    for name, job in workflow["jobs"].items():
        writes = {what for what, right in job.get("permissions", {}).items() if right == "write"}
        assert writes <= ({"pages", "id-token"} if name == "deploy" else set())
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
            assert "${{ github.event" not in step.get("run", "")  # text of a stranger is no part of a script
    assert len(WORKFLOWS) == 2


def test_every_python_runs_what_anybody_can_run() -> None:
    test = read(GITHUB / "workflows" / "ci.yml")["jobs"]["test"]
    pythons = test["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    assert [step["run"] for step in test["steps"] if "run" in step] == ["bash .ci/run"]
    script = (ROOT / ".ci" / "run").read_text()
    assert 'line="${PYTHON:-python3} ${line#python3 }"' in script
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one(path: Path) -> None:
    form = read(path)
    assert form.keys() >= {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for part in form["body"]:
        assert part["type"] in {"markdown", "input", "textarea", "dropdown", "checkboxes"}
        assert "value" in part["attributes"] if part["type"] == "markdown" else "label" in part["attributes"]
        assert ("options" in part["attributes"]) == (part["type"] in {"dropdown", "checkboxes"})
    assert {one.stem for one in FORMS} == {"bug", "detector", "row"}


def test_dependabot_and_the_other_templates() -> None:
    known = read(GITHUB / "dependabot.yml")
    assert known["version"] == 2
    assert {one["package-ecosystem"] for one in known["updates"]} == {"github-actions", "pip"}
    assert read(GITHUB / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": True}
    assert "bash .ci/run" in (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text()


def test_badges_are_true() -> None:
    readme = (ROOT / "README.md").read_text()
    badges = dict(re.findall(r"!\[([^\]]+)\]\(https://img\.shields\.io/badge/([^)]+)\)", readme))
    assert badges == {
        f"Licence: {PROJECT['license']}": f"licence-{PROJECT['license'].replace('-', '--')}-blue",
        f"Python {PROJECT['requires-python'].removeprefix('>=')} or newer": "python-3.11%2B-blue",
    }
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]


def test_contributing_shows_what_is_said_of_a_submission() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert set(Submission.model_validate(yaml.safe_load(shown)).model_fields_set) == set(Submission.model_fields)
