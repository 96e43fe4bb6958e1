"""The detectors of the one-page tutorial conform, as it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.conformance import check

PAGE = (Path(__file__).parents[2] / "docs" / "own-detector.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python title=\"(\w+\.py)\"\n(.*?)```", PAGE, flags=re.DOTALL))


def test_there_are_detectors_on_the_page() -> None:
    assert set(FILES) == {"brightest.py", "conv.py"}


@pytest.mark.fits
@pytest.mark.parametrize("name", FILES)
def test_a_detector_of_the_page_conforms(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])
    assert [f"{step.name}: {step.problem}" for step in check(str(path)) if step.problem] == []
