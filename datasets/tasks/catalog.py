"""Tasks: versioned cards that say which point is asked for, and on what images.

A card fixes everything that its data follows from, given the digits. **Changing what a card produces means a new
version**: boards never mix versions, and a test pins the digest of every card's data.

OKS takes sigma .0455 for every keypoint and the area 784 px^2 of a 28 x 28 digit, on larger canvases too, so that the
thresholds .50 to .95 always span 3.0 to .82 px.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.suggestions import unknown
from datasets.tasks.scenes import Canvas
from datasets.tasks.targets import ALL_DIGITS, DIGIT_DEPENDENT, TARGETS, Target

SIGMA = 0.0455
AREA = 784.0  # px^2


@dataclass(frozen=True)
class Task:
    """A card.

    Attributes:
        name: What people call the task.
        summary: What it asks for, in one line.
        target: A name of `datasets.tasks.targets.TARGETS`.
        version: Higher by one whenever what the card produces changes.
        rule: Whether a rule on the image alone gives the answer, so that a board may offer the ``rule`` row.
        digits: Those that the target is defined for, None for any. Others are left out; data without all of them is
            refused.
        canvas: The scene digits are laid on, None for the digits as they come.
        sigma: COCO's per-keypoint sigma, the same for every keypoint.
        area: The area in px^2 that OKS divides by.
    """

    name: str
    summary: str
    target: str
    version: int = 1
    rule: bool = True
    digits: tuple[int, ...] | None = None
    canvas: Canvas | None = None
    sigma: float = SIGMA
    area: float = AREA

    @property
    def points(self) -> Target:
        """The rule that gives the points."""
        return TARGETS[self.target]


_CARDS = (
    Task("topleft", "first inked pixel of the top inked row", "topleft"),
    Task(
        "topleft-bold",
        "the same where ink means brighter than 127: a control, without the faint pixels",
        "topleft-bold",
    ),
    Task("topright", "last inked pixel of the top inked row", "topright"),
    Task("bottomleft", "first inked pixel of the bottom inked row", "bottomleft"),
    Task("bottomright", "last inked pixel of the bottom inked row", "bottomright"),
    Task("corner", "top-left corner of the ink's bounding box: first inked column, first inked row", "corner"),
    Task("center", "centre of the ink's bounding box, a half pixel more often than not", "center"),
    Task("both", "topleft and center at once, two keypoints", "both"),
    Task("centroid", "mean position of the ink: on no lattice and no extremum, a negative control", "centroid"),
    Task(
        "digit-dependent",
        "3 asks for topleft, 7 for center: which digit it is decides which point",
        "digit-dependent",
        rule=False,
        digits=tuple(DIGIT_DEPENDENT),
    ),
    Task(
        "all-digits",
        "each of the ten digits asks for another point; needs all ten (--data mnist5k)",
        "all-digits",
        rule=False,
        digits=tuple(ALL_DIGITS),
    ),
    Task("topleft-canvas", "topleft, the digit lying anywhere on 40 x 40 px", "topleft", canvas=Canvas(40)),
    Task("center-canvas", "center, the digit lying anywhere on 40 x 40 px", "center", canvas=Canvas(40)),
    Task(
        "topleft-specks",
        "topleft of the digit among 20 bright specks on 40 x 40 px that are not it",
        "topleft",
        rule=False,
        canvas=Canvas(40, specks=20),
    ),
    Task(
        "topleft-several",
        "topleft of each of one to three digits on 64 x 64 px: several instances an image",
        "topleft",
        rule=False,
        canvas=Canvas(64, most=3),
    ),
)


def tasks() -> dict[str, Task]:
    """Every card by its name, in the order of a list for people."""
    return {card.name: card for card in _CARDS}


def get_task(name: str) -> Task:
    """The card of that name.

    Args:
        name: One of `tasks`.

    Raises:
        UserError: For another name, with the nearest.
    """
    known = tasks()
    if name not in known:
        raise unknown("task", name, known)
    return known[name]
