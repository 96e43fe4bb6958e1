"""Boards as markdown, CSV, JSON, LaTeX and HTML: what is in a name stays text, and the same runs give the same bytes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmark
from benchmark.metrics import metrics
from benchmark.runs.bundle import open_results, write_bundles
from benchmark.runs.store import Results, Store, StoredRun
from benchmark.structures import Annotations, UserError
from leaderboard.board import boards
from leaderboard.render.document import SCHEMA, document, schema
from leaderboard.render.files import write
from leaderboard.render.formats import FORMATS, formatted
from leaderboard.render.html import escaped as html_escaped
from leaderboard.render.html import html
from leaderboard.render.latex import escaped as latex_escaped
from leaderboard.render.latex import latex
from leaderboard.render.pasted import Pasted, board_table
from leaderboard.render.selection import Selection
from leaderboard.render.tables import as_rows

ROOT = Path(__file__).parents[2]
HOSTILE = r'a|b_c&d%e#f$g{h}i~j^k\l<b>m</b>"n`o[p]*q'
COMMANDS = {
    "textbackslash": "\\",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "char": '"',
    "pm": "±",
}


def cleaned(text: str) -> str:
    """What is left of a text that is printed on one line."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in ("Cc", "Cs"))


def typeset(source: str) -> str:
    """What LaTeX prints for the source of a cell, as far as cells need it; AssertionError for a sign that acts."""
    out, i = "", 0
    while i < len(source):
        if match := re.compile(r"\\([a-zA-Z]+)(34)?").match(source, i):
            out += COMMANDS[match[1]] if match[1] != "textbf" else ""
            i = match.end()
        elif source[i] == "\\":
            assert source[i + 1] in "&%$#_{}"
            out, i = out + source[i + 1], i + 2
        elif match := re.compile("--?-?").match(source, i):
            out, i = out + {1: "-", 2: "–", 3: "—"}[len(match[0])], match.end()
        elif source.startswith(("''", ",,", "?`", "!`"), i):
            raise AssertionError(f"a ligature: {source[i:]}")
        else:
            assert source[i] not in "&%#_^~<>|`"
            out, i = out + ("" if source[i] in "{}$" else source[i]), i + 1
    return out


class Tables(HTMLParser):
    """The cells, captions and list entries of a fragment, and which tags it has."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("caption", "li"):
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("td", "th"):
            self.rows[-1][-1] += data
        elif self._open in ("caption", "li"):
            self.texts[-1] += data
        else:
            assert not data.strip()


def of_markdown(text: str) -> list[list[str]]:
    """The cells of the one table in a markdown text."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\| *:?-+", line)]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()).replace("&lt;", "<") for cell in row] for row in cells]


@settings(max_examples=60)
@given(st.text() | st.text(alphabet="-–,'`[]*\\{}$&#%_^~<>|\" a\n"))
def test_whatever_text_latex_prints_it(text: str) -> None:
    assert typeset(latex_escaped(text)) == cleaned(text)


@settings(max_examples=60)
@given(st.text() | st.text(alphabet="<>&\"'/= sript!-\n\0"))
def test_whatever_text_a_page_shows_it(text: str) -> None:
    (shown,) = Tables(f"<li>{html_escaped(text)}</li>").texts
    assert shown == cleaned(text)


def test_a_cell_says_the_same_in_every_layout(filled: Store, maker: Any) -> None:
    annotations = maker.annotations(200)
    maker.put(HOSTILE, annotations, maker.answers(annotations, 2.0), 0)
    (board,) = boards(filled)
    made = board_table(board)
    cells = [list(made.headings), *(list(row) for body in made.bodies for row in body)]
    page = Tables(html(made))
    assert page.rows == cells == of_markdown(formatted([board], "md"))
    assert page.texts == [f"{made.title}: {made.size}", *made.notes]
    assert any(HOSTILE in row[1] for row in page.rows)
    source = latex(made)
    lines = [line.removesuffix(r" \\") for line in source.splitlines() if line.endswith(r" \\")]
    assert [[typeset(cell) for cell in re.split(r"(?<!\\)&", line)] for line in lines] == [
        [f" {cell} " if 0 < i < len(row) - 1 else f"{cell} " if not i else f" {cell}" for i, cell in enumerate(row)]
        for row in cells
    ]


def test_a_page_knows_its_headers(filled: Store) -> None:
    page = Tables(html(board_table(boards(filled)[0])))
    assert {tag for tag, _ in page.tags} == {
        "section",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    }
    scopes = [attrs["scope"] for tag, attrs in page.tags if tag == "th"]
    assert scopes == ["col"] * len(page.rows[0]) + ["row"] * (len(page.rows) - 1)
    assert [tag for tag, _ in page.tags].count("tbody") == 2  # ranked, references


def test_latex_is_a_booktabs_table_with_the_best_in_bold(filled: Store, tmp_path: Path) -> None:
    (board,) = boards(filled)
    source = latex(board_table(board, Selection(columns=("rank", "detector", "mean", "exact", "fit_seconds", "r2"))))
    rules = re.findall(r"\\(begin|end)\{(\w+)\}|\\(toprule|midrule|bottomrule)", source)
    assert [name or rule for _, name, rule in rules] == [
        "table", "tabular", "toprule", "midrule", "midrule", "bottomrule", "tabular", "minipage", "minipage", "table",
    ]  # fmt: skip
    assert r"\begin{tabular}{rlrrrr}" in source
    bold = [line for line in source.splitlines() if r"\textbf" in line]
    assert [line.split(" & ")[1][:5] for line in bold] == [
        "sharp"
    ]  # the reference row `rule`, without an error, is not
    mean = board.rows[0].metrics["mean"]
    assert rf"\textbf{{{mean:.3f}}} $\pm$0." in bold[0]
    assert bold[0].count(r"\textbf") == 3  # mean, exact, r2; of the seconds none is best
    assert re.search(r"& \$-\$\d+\.\d+ \\\\", source)  # r2 of a row worse than the mean
    if shutil.which("pdflatex"):
        text = "\\documentclass{article}\\usepackage[utf8]{inputenc}\\usepackage{booktabs}\\begin{document}\n"
        (tmp_path / "a.tex").write_text(text + source + "\\end{document}\n")
        done = subprocess.run(["pdflatex", "-halt-on-error", "a.tex"], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stdout.decode()[-800:]


def test_figures_that_are_written_alike_are_all_best() -> None:
    made = Pasted("t", "s", ("a",), (), 0, ((("1",), ("1",)),), frozenset({(0, 0, 0), (0, 1, 0)}), ())
    assert latex(made).count(r"\textbf{1}") == 2


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def as_json(of: Results, selection: Selection | None = None) -> Any:
    return json.loads(formatted(boards(of), "json", selection or Selection()))


def test_every_published_board_is_by_the_schema(validator: Any) -> None:
    made = as_json(open_results(ROOT / "studies" / "extrema" / "runs"))
    assert len(made["boards"]) > 9
    validator.validate(made)
    rows = [row for board in boards(open_results(ROOT / "studies" / "ablations" / "runs")) for row in as_rows(board)]
    rows = json.loads(json.dumps(rows))
    known = json.loads(SCHEMA.read_text(encoding="utf-8"))
    each = {"$defs": known["$defs"], "type": "array", "items": {"$ref": "#/$defs/Row"}}
    jsonschema.Draft202012Validator(each).validate(rows)


def test_odd_boards_are_by_the_schema(filled: Store, maker: Any, validator: Any) -> None:
    several = maker.annotations(20, 2, 2)
    for name in ("net", "other"):
        maker.put(name, several, maker.answers(several, 0.5), config={"data": "many", "data_digest": "a" * 64})
    maker.put(
        "their tool", several, maker.answers(several), external=True,
        config={"data": "many", "data_digest": "a" * 64, "n_train": 0},
    )  # fmt: skip
    maker.put("sharp", maker.annotations(200), None, 3, error="no")
    maker.put("bad", several, None, config={"data": "none", "data_digest": "b" * 64})
    validator.validate(as_json(filled))
    validator.validate(json.loads(formatted(boards(filled, pair=("p0", "p1")), "json")))
    validator.validate(as_json(filled, Selection(top=1)))


def test_the_schema_refuses_what_is_none(filled: Store, validator: Any) -> None:
    made = as_json(filled)
    validator.validate(made)

    def broken(change: Any) -> bool:
        copy = json.loads(json.dumps(made))
        change(copy)
        return not validator.is_valid(copy)

    row = made["boards"][0]["rows"][0]
    assert all(broken(lambda d, n=name: d["boards"][0]["rows"][0].pop(n)) for name in row if name not in metrics())
    assert broken(lambda d: d.update(schema="keypoint-benchmark/leaderboard/2"))
    assert broken(lambda d: d["boards"][0]["rows"][0].update(mean="0.3"))
    assert broken(lambda d: d["boards"][0]["rows"][0].update(unheard_of="text"))
    assert broken(lambda d: d["boards"][0].update(more=1))


def test_the_published_schema_is_that_of_the_models() -> None:
    """Stale? ``python scripts/write_schema.py`` writes it again."""

    def parts(document: dict[str, Any]) -> dict[str, Any]:
        known = {"": document, **document["$defs"]}
        return {
            name: (
                {field: one.get("description") for field, one in part["properties"].items()},
                sorted(part.get("required", ())),
            )
            for name, part in known.items()
        }

    assert parts(json.loads(SCHEMA.read_text(encoding="utf-8"))) == parts(schema())


class Shuffled(Results):
    """The runs of a store in another order."""

    def __init__(self, store: Store, order: Sequence[int]) -> None:
        self.root, self._store, self._order = store.root, store, order

    def runs(self) -> Iterator[StoredRun]:
        runs = list(self._store.runs())
        yield from (runs[i] for i in self._order)


def every_text(results: Results) -> dict[str, str]:
    made = boards(results)
    per_keypoint = {f"{form} per keypoint": formatted(made, form, per_keypoint=True) for form in FORMATS}
    return {form: formatted(made, form) for form in FORMATS} | per_keypoint


@pytest.fixture
def ambiguous(filled: Store, maker: Any) -> Store:
    """`filled`, with a row that was run with two settings at one time, and a second board of the same title."""
    annotations = maker.annotations(200)
    for threads in (2, 3):
        maker.put("blunt", annotations, maker.answers(annotations, threads), config={"threads": threads})
    maker.put("net", annotations, maker.answers(annotations, 1.0), config={"data_digest": "e" * 64})
    return filled


def test_the_order_of_runs_changes_no_byte(ambiguous: Store) -> None:
    count = len(list(ambiguous.runs()))
    expected = every_text(ambiguous)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(count).tolist()
        assert every_text(Shuffled(ambiguous, order)) == expected


def test_a_copy_and_a_bundle_make_the_same_bytes(ambiguous: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in sorted(ambiguous.root.rglob("*"), reverse=True):
        if path.is_file():
            target = copy / path.relative_to(ambiguous.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    write_bundles(ambiguous, tmp_path / "bundles")
    expected = every_text(ambiguous)
    assert every_text(Store(copy)) == expected
    assert every_text(open_results(tmp_path / "bundles")) == expected
    ours, theirs = (write(boards(results), results.root) for results in (ambiguous, Store(copy)))
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_neither_locale_nor_terminal_changes_a_byte(filled: Store, maker: Any) -> None:
    annotations = maker.annotations(200)
    maker.put("é–ß", annotations, maker.answers(annotations, 2.0))
    words = [sys.executable, "-m", "benchmark", "leaderboard", "--results", str(filled.root), "--format", "latex"]
    outputs = []
    for environment in (
        {"LC_ALL": "C", "COLUMNS": "40", "PYTHONHASHSEED": "1", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C.UTF-8", "COLUMNS": "300", "PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"},
    ):
        done = subprocess.run(words, capture_output=True, cwd=ROOT, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr.decode()
        outputs.append(
            [done.stdout, *((filled.root / f"LEADERBOARD.{end}").read_bytes() for end in ("md", "csv", "json"))]
        )
    assert outputs[0] == outputs[1]
    assert outputs[0][0].decode() == formatted(boards(filled), "latex")


def test_rows_and_columns_are_chosen_and_keep_their_ranks(filled: Store) -> None:
    made = boards(filled)

    def table(*columns: str, **which: Any) -> list[list[str]]:
        return list(csv.reader(io.StringIO(formatted(made, "csv", Selection(columns, **which)))))

    assert table("rank", "detector", top=2) == [
        ["rank", "detector"], ["1", "sharp"], ["2-3", "blunt"], ["", "rule"], ["", "mean"], ["", "broken"],
    ]  # fmt: skip
    assert table("row", "rank", detectors=("wild", "mean")) == [["row", "rank"], ["wild", "4"], ["mean", ""]]
    assert table("exact %", detectors=("rule",)) == [["exact"], ["1.0"]]
    text = formatted(made, "md", Selection(("detector", "mae_x", "mean px"), ("wild",)))
    assert of_markdown(text)[0] == ["detector", "mae_x", "mean px"]
    assert "1 of 6 rows shown; ranks are among all of them." in text
    chosen = document(made, Selection(detectors=("wild",)))["boards"][0]
    assert [row["row"] for row in chosen["rows"]] == ["wild"]
    assert chosen["advice"]["name"] == "sharp"  # of the whole board


@pytest.mark.parametrize(
    ("form", "selection", "words"),
    [
        ("word", Selection(), "unknown format 'word'; there are md, csv, json, latex, html"),
        ("md", Selection(("meen",)), "unknown column 'meen': did you mean 'mean'"),
        ("csv", Selection(("meen",)), "unknown column 'meen': did you mean 'mean'"),
        ("json", Selection(("mean",)), "columns: JSON has all of them; leave --columns out"),
    ],
)
def test_what_there_is_none_of_is_said(filled: Store, form: str, selection: Selection, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        formatted(boards(filled), form, selection)


def test_from_python_it_is_a_frame_by_task_data_detector_and_n(filled: Store, maker: Any, tmp_path: Path) -> None:
    before = sorted(filled.root.iterdir())
    table = benchmark.leaderboard(filled.root)
    assert table.index.names == ["task", "data", "detector", "n"]
    (only,) = boards(filled)
    assert table.loc[("made", "dots", "sharp", 100), "mean"] == only.rows[0].metrics["mean"]
    assert list(table["row"]) == [row.label for row in only.every]
    assert sorted(filled.root.iterdir()) == before  # it writes nothing
    assert len(benchmark.leaderboard(filled.root, "made", "dots")) == len(table)
    with pytest.raises(UserError, match="hold no run of nope on any data"):
        benchmark.leaderboard(filled.root, "nope")


def test_a_table_of_keypoints_in_every_layout(maker: Any) -> None:
    annotations: Annotations = maker.annotations(30, 2)
    for name in ("net", "other"):
        maker.put(name, annotations, maker.answers(annotations, np.array([[0.0, 0.0], [0.0, 2.0]])))
    made = boards(maker.store)
    page = Tables(formatted(made, "html", per_keypoint=True))
    assert page.rows == of_markdown(formatted(made, "md", per_keypoint=True))
    assert [row[:2] for row in page.rows[1:]] == [["p0", "net"], ["p0", "other"], ["p1", "net"], ["p1", "other"]]
    assert formatted(made, "latex", per_keypoint=True).count(r"\midrule") == 2
