"""Brings the scripts of others that ride along in the page, once, from npm: into ``leaderboard/render/page/vendor``.

    python scripts/vendor.py

``VENDOR.md`` beside them says what each is; a test holds the files against its hashes.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "leaderboard" / "render" / "page" / "vendor"


class Package(NamedTuple):
    name: str
    version: str
    file: str
    global_name: str


PACKAGES = (
    Package("vega", "6.4.0", "build/vega.min.js", "vega"),
    Package("vega-lite", "6.4.3", "build/vega-lite.min.js", "vegaLite"),
    Package("vega-interpreter", "2.3.2", "build/vega-interpreter.js", "vegaInterpreter"),
)

# vega-interpreter comes as a module alone, and a page without a network can't import one: two statements are exchanged
AS_SCRIPT = (
    (
        "import { ascending, isString, DisallowedObjectProperties } from 'vega-util';\n",
        "(() => {\nconst { ascending, isString, DisallowedObjectProperties } = vega;\n",
    ),
    (
        "export { expression as expressionInterpreter };\n",
        "globalThis.vegaInterpreter = { expressionInterpreter: expression };\n})();\n",
    ),
)

HEAD = """\
# Scripts of others

They ride along in every page as they are here, packed by gzip, and the browser inflates them when plots are first shown.
`python scripts/vendor.py` brings them from npm; `tests/page/test_vendor.py` holds them against the hashes.

- **vega**, **vega-lite**: what draws the plots.
- **vega-interpreter**: evaluates Vega's expressions without `eval`, which the page's content security policy forbids. It
  comes as a module, so its one import and its one export are exchanged for statements of a plain script
  (`scripts/vendor.py`); nothing else differs from npm's file.

| file | package | version | file in the package | sha256 of that | licence |
| :-- | :-- | :-- | :-- | :-- | :-- |
"""


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = []
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", f"{package.name}@{package.version}", "--silent"], cwd=folder, check=True)
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as content:
                script, licence = (
                    content.extractfile(f"package/{name}").read()
                    for name in (package.file, "LICENSE")  # type: ignore[union-attr]
                )
        digest = hashlib.sha256(script).hexdigest()
        if package.name == "vega-interpreter":
            script = as_script(script.decode()).encode()
        (FOLDER / f"{package.name}.js.gz").write_bytes(gzip.compress(script, 9, mtime=0))
        (FOLDER / f"{package.name}.LICENSE.txt").write_bytes(licence)
        lines.append(
            f"| `{package.name}.js.gz` | {package.name} | {package.version} | `{package.file}` | `{digest}` "
            f"| BSD-3-Clause, `{package.name}.LICENSE.txt` |"
        )
    (FOLDER / "VENDOR.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def as_script(module: str) -> str:
    """The module of npm as a plain script."""
    for is_there, instead in AS_SCRIPT:
        if module.count(is_there) != 1:
            raise SystemExit(f"vega-interpreter has changed: {is_there!r}")
        module = module.replace(is_there, instead)
    return module


if __name__ == "__main__":
    main()
