"""The scripts of others that ride along are those of npm, with their licences."""

from __future__ import annotations

import gzip
import hashlib
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import leaderboard.render.page

VENDOR = Path(leaderboard.render.page.__file__).parent / "vendor"
ROWS = re.findall(
    r"^\| `([^`]+)` \| (\S+) \| (\S+) \| `([^`]+)` \| `([0-9a-f]{64})` \| BSD-3-Clause, `([^`]+)` \|$",
    (VENDOR / "VENDOR.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)


def exchanged() -> tuple[tuple[str, str], ...]:
    """What scripts/vendor.py exchanges to make a plain script of a module."""
    path = Path(__file__).parents[2] / "scripts" / "vendor.py"
    spec = spec_from_file_location("vendor", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    known: tuple[tuple[str, str], ...] = module.AS_SCRIPT
    return known


def test_every_script_is_listed_with_its_licence() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(path.name for path in VENDOR.glob("*.gz"))
    for row in ROWS:
        licence = (VENDOR / row[5]).read_text(encoding="utf-8")
        assert "Redistributions of source code must retain the above copyright" in licence


def test_what_rides_along_is_what_npm_has() -> None:
    for name, package, _, _, digest, _ in ROWS:
        text = gzip.decompress((VENDOR / name).read_bytes()).decode("utf-8")
        if package == "vega-interpreter":
            for of_npm, instead in exchanged():
                assert text.count(instead) == 1
                text = text.replace(instead, of_npm)
        assert hashlib.sha256(text.encode()).hexdigest() == digest, name


def test_packing_again_gives_the_same_bytes_but_for_the_compressor() -> None:
    """No time of packing and no name stands in the header, so a change of the file is a change of the script."""
    for path in VENDOR.glob("*.gz"):
        head = path.read_bytes()[:10]
        assert (head[3], head[4:8]) == (0, bytes(4))
