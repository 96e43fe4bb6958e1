"""Write ``leaderboard/leaderboard.schema.json`` again, after a change of a metric or of what a document of boards holds.

    python scripts/write_schema.py

``leaderboard/render/document.py`` says when its number rises.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.files import write_text
from leaderboard.render.document import SCHEMA, schema_text

if __name__ == "__main__":
    write_text(SCHEMA, schema_text())
