"""Make the documentation site: ``python scripts/build_docs.py [--pages-only]``.

Copies ``docs/`` to ``build/docs``, fills what is generated there, and makes ``build/site`` of it with zensical, warnings
being errors (extra ``docs``). A line ``<!-- generated: NAME -->`` of a page is replaced by what `GENERATED` has under that
name: so prose stands in ``docs/``, and what code knows is never written down twice.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE, PAGES = ROOT / "docs", ROOT / "build" / "docs"
MARK = re.compile(r"^<!-- generated: (\w+) -->$", flags=re.MULTILINE)
SHOWN = 5  # images of a task
COLOURS = {  # Okabe and Ito's, told apart by everybody
    "orange": (230, 159, 0),
    "blue": (86, 180, 233),
    "green": (0, 158, 115),
    "purple": (204, 121, 167),
}
PLOTTED = (  # rows of the embedded plot: some of each family
    *("extrema", "cascadercnn", "ssd", "heatmap", "keypointrcnn", "simcc", "spatial-softmax", "rle"),
    *("resnet18", "forest", "flatten", "vit", "ridge", "mean"),
)
FAMILIES = {  # as catalogs have it -> heading, and what it is
    "reference": ("References", "Shown on boards for comparison, neither ranked nor tested."),
    "classic": (
        "Classic",
        "Features made by hand and a learner of scikit-learn, or candidates of OpenCV ranked by trees.",
    ),
    "extrema": (
        "Extrema of the ink",
        "First and last ink made differentiable, so that which of them is asked for is learned.",
    ),
    "regression": ("Regression", "A network whose last layer says coordinates."),
    "heatmap": ("Heatmaps", "A network that says of every pixel (or column and row) how likely the point is there."),
    "rcnn": ("Boxes and instances", "Detectors of boxes or of instances, any number of them an image."),
}


def text(value: object) -> str:
    """Plain words for a cell or a paragraph: nothing in them is markup."""
    written = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]|<>])", r"\\\1", written).replace("\\<", "&lt;").replace("\\>", "&gt;")


def sentence(words: str) -> str:
    """A line of a list as a sentence of a page."""
    return f"{text(words[0].upper() + words[1:]).rstrip('.')}."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in markdown; cells are markup already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def task_pages(folder: Path) -> str:
    """Every task of the catalog: what it asks for and probes, who is exact, and images with the point drawn."""
    from datasets.tasks.catalog import tasks

    lattice = {None: "on no lattice", 1.0: "on whole pixels", 0.5: "on half pixels"}
    parts = []
    for card in tasks().values():
        data = "tiny" if card.digits is None or len(card.digits) < 10 else "mnist5k"
        draw_task(card, data, folder / "assets" / "tasks" / f"{card.name}.png")
        names = card.points.keypoints
        keypoints = ", ".join(f"{text(name)} ({colour})" for name, colour in zip(names, COLOURS))
        where = " and ".join(dict.fromkeys(lattice[pitch] for pitch in card.points.spacing))
        facts = [f"Version {card.version}", keypoints if len(names) > 1 else "one keypoint", where, f"drawn: {data}"]
        if card.for_test != card:
            facts.append("the first two images are of train, the others of test")
        parts += [
            f"### {card.name}",
            sentence(card.summary),
            f"![{text(card.name)}: {text(card.summary)}](assets/tasks/{card.name}.png){{ .pixels }}",
            f"*Probes:* {text(card.probes)}.<br>*Exact on every test image:* {text(card.oracle)}.",
            f"{'; '.join(facts)}.",
        ]
    return "\n\n".join(parts)


def draw_task(card: Any, data: str, path: Path) -> None:
    """Some images of a task in a row, each keypoint as a ring whose middle is the annotation."""
    from PIL import Image, ImageDraw

    from datasets.tasks.build import build

    train, _, test = build(card, data)
    chosen = [(test, i) for i in one_of_each(test.annotations, ten=len(card.digits or ()) == 10)]
    if card.for_test != card:
        chosen = [(train, 0), (train, 1), *chosen[: SHOWN - 2]]
    height, width = test.images[0].shape[:2]
    zoom, gap = max(2, 140 // height), 6
    sheet = Image.new("RGB", (len(chosen) * (width * zoom + gap) - gap, height * zoom), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for place, (part, i) in enumerate(chosen):
        left = place * (width * zoom + gap)
        tile = Image.fromarray(part.images[i]).convert("RGB")
        sheet.paste(tile.resize((width * zoom, height * zoom), Image.Resampling.NEAREST), (left, 0))
        for points in part.annotations.keypoints[part.annotations.index == i]:
            for (x, y), colour in zip(points, COLOURS.values()):
                # An integer is the middle of its pixel, which here is a square of zoom x zoom.
                u, v = left + (x + 0.5) * zoom - 0.5, (y + 0.5) * zoom - 0.5
                for radius, line in ((max(10.0, 2.0 * zoom), 3), (zoom / 4, 1)):
                    pen.ellipse((u - radius, v - radius, u + radius, v + radius), outline=colour, width=line)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def one_of_each(annotations: Any, *, ten: bool) -> list[int]:
    """The first images, of every digit in turn where an image has one."""
    if annotations.labels is None:
        return list(range(SHOWN))
    turns = [(annotations.labels == digit).nonzero()[0] for digit in sorted(set(annotations.labels.tolist()))]
    return [int(turns[i % len(turns)][i // len(turns)]) for i in range(10 if ten else SHOWN)]


def example_photographs(folder: Path) -> str:
    """The sheet that `inspect` draws of the photographs that the page on own data makes, made as a reader makes it."""
    page = (SOURCE / "own-data.md").read_text(encoding="utf-8")
    script = re.search(r'^```python title="make_photos.py"\n(.*?)^```', page, flags=re.MULTILINE | re.DOTALL)
    assert script is not None
    sheet = folder / "assets" / "photos.png"
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        for words in (["-c", script[1]], ["-m", "benchmark", "inspect", "photos", "--out", str(sheet)]):
            subprocess.run([sys.executable, *words], cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)
    return "![The photographs with their labels, those that look odd first](assets/photos.png)"


def metric_table(folder: Path) -> str:
    """Every metric of the registry: unit, which way is better, and what it is."""
    from benchmark.metrics import metrics

    rows = []
    for one in metrics().values():
        heading = text(one.column.heading) if one.column else ""
        unit = one.unit or ("per cent" if "per cent" in one.summary else "")
        rows.append([f"`{one.name}`", text(unit), text(one.better), heading, text(one.summary)])
    return table(("name", "unit", "better", "column of boards", "what it is"), rows)


def detector_pages(folder: Path) -> str:
    """Every detector on offer by its family: its card, its parameters and its published figures."""
    from benchmark.detector import parameters
    from benchmark.registry import CATALOGS, entries, resolve
    from leaderboard.expected import expected
    from leaderboard.render.words import MARKS

    built_in = {name for package in CATALOGS for name in __import__(package).CATALOG}
    by_family: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for name, (entry, *_) in entries().items():
        if name not in built_in:
            continue
        spec = resolve(name)
        card, known = spec.cls.card, expected().get(name)
        facts = [f"- Follows: {text(card.reference)}"] if card.reference else []
        if known is not None:
            marks = ", ".join(text(MARKS[mark].name) for mark in known["marks"])
            marked = f" ({marks})" if marks else ""
            facts.append(f"- Published: {known['mean']:.3f} px, {100 * known['exact']:.1f} % exact{marked}")
        says = ["several instances an image" if card.multi_instance else "one instance an image"]
        says += ["scores are confidences" if card.has_confidence else "scores are no confidences"]
        says += ["learns from partly labelled instances"] if spec.cls.partial_labels else []
        facts.append(f"- Answers: {'; '.join(says)}; version {card.version}")
        own = [f"`{key}={value}`" for key, value in spec.values.items() if key in parameters(spec.cls)]
        facts += [f"- Parameters: {', '.join(own)}"] if own else []
        facts += [f"- Without what it calls essential: `{spec.ablated}`"] if spec.ablated else []
        by_family[entry.family] += [f"### {name}", sentence(entry.summary), "\n".join(facts)]
    parts = []
    for family, members in by_family.items():
        heading, what = FAMILIES[family]
        parts += [f"## {heading}", what, *members]
    return "\n\n".join(parts)


def mark_table(folder: Path) -> str:
    """The letters behind a row's name."""
    from leaderboard.render.words import MARKS

    return table(("letter", "what it says"), [(f"**{mark.letter}**", text(mark.legend)) for mark in MARKS.values()])


def command_pages(folder: Path) -> str:
    """Every command: what it does, its options with their defaults, and an example; from the command line itself."""
    from typer.main import get_command

    from benchmark.cli import PROGRAM, app

    root: Any = get_command(app)
    parts = []
    for name, command in root.commands.items():
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        named = [option_name(one).strip("`") for one in arguments]
        shown = [word if one.required else f"[{word}]" for one, word in zip(arguments, named)]
        usage = " ".join([PROGRAM, name, "[OPTIONS]", *shown])
        rows = [(option_name(one), option_words(one)) for one in command.params]
        parts += [
            f"## {name}",
            text(inspect.cleandoc(command.help)),
            f"```text\n{usage}\n```",
            table(("option", "what it says"), rows),
        ]
        if command.epilog:
            parts.append("Example:\n\n```text\n" + command.epilog.removeprefix("Example: ") + "\n```")
    return "\n\n".join(parts)


def option_name(one: Any) -> str:
    """A parameter as it is typed: ``--seeds COUNT``."""
    if one.param_type_name == "argument":
        return f"`{one.metavar or one.name.upper()}`"
    flags = [*one.opts, *one.secondary_opts]
    value = "" if one.is_flag or not one.metavar else f" {one.metavar}"
    return "<br>".join([f"`{flags[0]}{value}`", *(f"`{flag}`" for flag in flags[1:])])


def option_words(one: Any) -> str:
    """What a parameter means, and its default."""
    said = [text(one.help or "")]
    if one.required:
        said.append("*Required.*")
    elif one.default not in (None, "", False) and "default" not in (one.help or "").lower():
        said.append(f"*Default: {text(one.default)}.*")
    if one.envvar:
        said.append(f"*Or the environment's* `{one.envvar}`.")
    return " ".join(said)


def suite_table(folder: Path) -> str:
    """Suites and their detectors."""
    from benchmark.registry import suites

    def listed(names: Sequence[str]) -> str:
        return ", ".join(f"`{name}`" for name in names) if len(names) < 50 else f"{len(names)} probes"

    return table(("suite", "detectors"), [(f"`{name}`", listed(names)) for name, names in suites().items()])


def data_table(folder: Path) -> str:
    """Presets of data."""
    from datasets.load import presets

    return table(("name", "what it is"), [(f"`{name}`", text(summary)) for name, summary in presets().items()])


def study_reports(folder: Path) -> str:
    """Every study's report, one heading lower, without the list of its runs; its figures go along."""
    parts = []
    for report in sorted((ROOT / "studies").glob("*/REPORT.md")):
        name = report.parent.name
        kept = folder / "assets" / "studies" / name
        kept.mkdir(parents=True)
        for figure in report.parent.glob("*.svg"):
            shutil.copy(figure, kept)
        written = report.read_text(encoding="utf-8").partition("\n## Runs\n")[0]
        written = re.sub(r"^#", "##", written, flags=re.MULTILINE)
        written = re.sub(r"\]\((?=[\w.-]+\.svg\))", f"](assets/studies/{name}/", written)
        written = re.sub(r"\]\(\.\./([\w-]+)/REPORT\.md\)", lambda found: f"](#{anchor(found[1])})", written)
        parts.append(f"{written.strip()}\n\nWith every run: `studies/{name}/REPORT.md`.")
    return "\n\n".join(parts)


def anchor(study: str) -> str:
    """The anchor of a study's title, as the site makes it."""
    title = (ROOT / "studies" / study / "REPORT.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return re.sub(r"[^\w]+", "-", title.lower()).strip("-")


@cache
def headline() -> Any:
    """A published board of many rows on few images, so that its page is small, with what it is made of."""
    from benchmark.runs.bundle import open_results
    from leaderboard.board import boards

    results = open_results(ROOT / "studies" / "ablations" / "runs" / "topleft@1-tiny.bundle.zip")
    return boards(results), results


def board_page(folder: Path) -> str:
    """The page of a published board, as `page` writes it, and a link to it."""
    from leaderboard.render.page.gallery_payload import galleries
    from leaderboard.render.page.page import page_html

    made, results = headline()
    (folder / "assets" / "topleft.html").write_text(
        page_html(made, {"gallery": galleries(made, results)}), encoding="utf-8"
    )
    return f"[The page of a published board, {text(made[0].title)},](assets/topleft.html) is one to try."


def board_plot(folder: Path) -> str:
    """Rank intervals of some published rows, as `plot ranks` draws them, for both looks of the site."""
    from leaderboard.render.plots.files import write_plot
    from leaderboard.render.plots.kinds import load
    from leaderboard.render.plots.specification import document

    (board,), _ = headline()
    images = []
    for theme in ("light", "dark"):
        drawn = document(board, load("ranks"), rows=PLOTTED, theme=theme)
        write_plot(drawn, folder / "assets" / f"ranks-{theme}.svg")
        images.append(f"![Ranks that rows may have, and their mean errors](assets/ranks-{theme}.svg#only-{theme})")
    return "\n".join(images)


def plot_table(folder: Path) -> str:
    """Every kind of plot."""
    from leaderboard.render.plots.kinds import KINDS

    return table(("`plot`", "what it shows"), [(f"`{name}`", text(shows)) for name, shows in KINDS.items()])


def corruption_table(folder: Path) -> str:
    """What test images are corrupted by, with the strengths of the five severities."""
    from datasets.corruptions import CORRUPTIONS

    rows = [
        (f"`{name}`", text(one.summary), ", ".join(f"{strength:g}" for strength in one.strengths))
        for name, one in CORRUPTIONS.items()
    ]
    return table(("`--corruption`", "what it is", "strength, severity 1 to 5"), rows)


def security_policy(folder: Path) -> str:
    """SECURITY.md without its title."""
    return (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("\n")[2].strip()


GENERATED: dict[str, Callable[[Path], str]] = {
    "tasks": task_pages,
    "photos": example_photographs,
    "metrics": metric_table,
    "detectors": detector_pages,
    "marks": mark_table,
    "commands": command_pages,
    "suites": suite_table,
    "data": data_table,
    "studies": study_reports,
    "page": board_page,
    "plot": board_plot,
    "plots": plot_table,
    "corruptions": corruption_table,
    "security": security_policy,
}


def write_pages(folder: Path, only: str = "*.md") -> list[Path]:
    """The pages as zensical is given them: ``docs/`` with every mark replaced.

    Args:
        folder: Written anew.
        only: Which of the pages.
    """
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("*.md"))
    written = []
    for source in sorted(SOURCE.glob(only)):
        page = MARK.sub(lambda found: GENERATED[found.group(1)](folder), source.read_text(encoding="utf-8"))
        written.append(folder / source.name)
        written[-1].write_text(page, encoding="utf-8")
    return written


def main() -> int:
    asked = argparse.ArgumentParser(description="Write the pages of the documentation, and make the site of them.")
    asked.add_argument("--pages-only", action="store_true", help="write build/docs and stop")
    options = asked.parse_args()
    pages = write_pages(PAGES)
    print(f"{len(pages)} pages in {PAGES.relative_to(ROOT)}")
    if options.pages_only:
        return 0
    done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=ROOT, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
