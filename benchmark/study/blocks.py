"""Parts of other texts that a study writes: a board and verdicts in a README, between two lines that name the block."""

from __future__ import annotations

from pathlib import Path

from benchmark.structures import UserError
from benchmark.study.evidence import Evidence
from benchmark.study.report import write_nothing, written_sections
from benchmark.study.study_file import Block, Study


def with_block(text: str, block: Block, study: Study, evidence: Evidence, place: Path) -> str:
    """A text with a block as the stored runs have it.

    Args:
        text: That holds the block's two lines.
        block: Which.
        study: Whose it is.
        evidence: What it stands on.
        place: Where the text is from, for messages.

    Raises:
        UserError: Where the text has no such block, or has it twice, or the block asks for what is not stored.
    """
    begin, end = f"<!-- study: {block.name} -->\n", f"<!-- end of study: {block.name} -->\n"
    if not (text.count(begin) == text.count(end) == 1 and text.index(begin) < text.index(end)):
        raise UserError(f"{place}: needs one line {begin.strip()} and, below it, one {end.strip()}")
    try:
        lines = written_sections(study, block.sections, evidence, write_nothing)
    except UserError as error:
        raise UserError(f"block {block.name}: {error}") from error
    before, after = text.partition(begin)[0], text.partition(end)[2]
    return before + begin + "\n".join([*lines, ""]) + "\n" + end + after
