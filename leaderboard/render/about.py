"""What is known of a name, and lists of names, in a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaderboard.render.printed import say

if TYPE_CHECKING:
    from rich.console import Console

LEAST_TEXT = 36  # columns for a text of many words; where a table leaves fewer, texts stand below the rest
LONG = ("what it is", "what it probes", "detectors")
"""The columns of lists that hold many words."""

FACTS = {"family": "{}", "instances": "{} an image", "px": "{} px", "exact %": "{} % exact"}
"""How a column of few words is said in a sentence; any other by its name and value."""

LATTICE = {None: "on no lattice", 1.0: "on whole pixels", 0.5: "on half pixels"}


def print_about(found: dict[str, Any], console: Console) -> None:
    """Print what `leaderboard.about.about` knows of one thing.

    Args:
        found: It.
        console: Where to.
    """
    say(console, f"{found['name']}: {found['what it is']}", wrap=True)
    for paragraph in found.get("description", "").splitlines():
        say(console, f"\n{paragraph}", wrap=True)
    say(console, "")
    facts = {"detector": _detector, "task": _task, "data": lambda _: [], "suite": _suite}[found["kind"]](found)
    _pairs([("kind", found["kind"]), *facts], console)
    if found.get("parameters"):
        say(console, "\nparameters, as name:key=value,key=value")
        _pairs([(_assigned(one), _meaning(one)) for one in found["parameters"]], console, indent=2)
    say(console, "")
    say(console, found["example"], wrap=True)


def print_list(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print names with what they are: as a table, or where that is too narrow with the words below each name.

    Args:
        rows: One a name, all with the same columns, ``name`` among them.
        console: Where to.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    columns = list(rows[0]) if rows else ["name"]
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    long = [column for column in columns if column in LONG]
    widths = [max([len(column), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
    short = sum(width + 3 for column, width in zip(columns, widths) if column not in long)
    if console.width - short < len(long) * (LEAST_TEXT + 3):
        _blocks(columns, cells, console)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in long)
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    for row in rows:
        facts = [
            FACTS.get(column, f"{column} {{}}").format(value)
            for column, value in zip(columns[1:], row[1:])
            if column not in LONG and value
        ]
        say(console, row[0] + (f" ({', '.join(facts)})" if facts else ""), wrap=True)
        _pairs([("", value) for column, value in zip(columns, row) if column in LONG], console, indent=2)


def _pairs(pairs: Sequence[tuple[str, str]], console: Console, indent: int = 0) -> None:
    """Labels and texts in two columns; a long label stands on lines of its own."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    widest = max((len(label) for label, _ in pairs), default=0)
    if widest:
        table.add_column(overflow="fold", max_width=max(12, console.width // 3))
    table.add_column(overflow="fold")
    for label, text in pairs:
        table.add_row(*map(escape, (label, text) if widest else (text,)))
    console.print(Padding(table, (0, 0, 0, indent)), highlight=False)


def _detector(found: dict[str, Any]) -> list[tuple[str, str]]:
    from leaderboard.render.words import MARKS, numbered  # and with them statistics, which no list needs

    answers = ["several instances an image" if found["several instances"] else "one instance an image"]
    answers += ["its scores are confidences" if found["confidences"] else "it has no confidences"]
    learns = (
        "also from partly labelled instances" if found["partly labelled"] else "from fully labelled instances alone"
    )
    budgets = ", ".join(found["budgets"])
    facts = [("family", found["family"])]
    facts += [("follows", found["reference"])] if found["reference"] else []
    facts += [("answers", "; ".join(answers)), ("learns", learns)]
    facts += [("budget", f"in {budgets}" if budgets else "none: it learns by its own recipe")]
    facts += [("needs", ", ".join(found["needs"]))] if found["needs"] else []
    facts += [("weights", "can be kept: run --save-weights" if found["weights"] else "cannot be kept")]
    facts += [] if found["ranked"] else [("ranked", "no: a reference, shown for comparison")]
    facts += [("structure", MARKS["rule_structured"].legend)] if found["rule-structured"] else []
    if found["without its essential part"]:
        facts.append(("without its essential part", found["without its essential part"]))
    if (known := found["published"]) is not None:
        marks = "".join(f"; {MARKS[mark].name}" for mark in known["marks"])
        facts.append(
            (
                "published",
                f"{known['mean']:.3f} px, {100 * known['exact']:.1f} % exact over {numbered(known['seeds'], 'seed')}{marks}; of "
                f"{known['task']} on {known['data']}, {known['images']:,} images ({known['study']})",
            )
        )
    return [*facts, ("from", found["origin"]), ("version", str(found["version"]))]


def _task(found: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [("probes", found["what it probes"])] if found["what it probes"] else []
    facts += [("keypoints", ", ".join(found["keypoints"]))]
    facts += [("points lie", " and ".join(dict.fromkeys(LATTICE[pitch] for pitch in found["spacing"])))]
    facts += [("exact on every test image", found["exact"])]
    facts += [("digits", ", ".join(map(str, found["digits"])))] if found["digits"] else []
    facts += [("canvas", f"{found['canvas']} x {found['canvas']} px")] if found["canvas"] else []
    facts += [("labels", "of train and val are off by a pixel or two")] if found["label noise"] else []
    return [*facts, ("version", str(found["version"]))]


def _suite(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [("detectors", "\n".join(found["detectors"]))]


def _assigned(parameter: dict[str, Any]) -> str:
    value = parameter["value"]
    if value is None:
        return str(parameter["name"])
    return f"{parameter['name']}={str(value).lower() if isinstance(value, bool) else value}"


def _meaning(parameter: dict[str, Any]) -> str:
    text = str(parameter["what it is"])
    choices = [str(choice) for choice in parameter["choices"]]
    if all(choice in text for choice in choices):
        return text
    return " ".join([*([text] if text else []), f"One of {', '.join(choices)}."])
