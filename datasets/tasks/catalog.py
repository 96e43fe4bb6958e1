"""Tasks: versioned cards that say which point is asked for, and on what images.

A card fixes everything that its data follows from, given the digits. **Changing what a card produces means a new
version**: boards never mix versions, and a test pins the digest of every card's data.

OKS takes sigma .0455 for every keypoint and the area 784 px^2 of a 28 x 28 digit, on larger canvases too, so that the
thresholds .50 to .95 always span 3.0 to .82 px.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmark.suggestions import unknown
from datasets.tasks.scenes import Canvas
from datasets.tasks.targets import ALL_DIGITS, DIGIT_DEPENDENT, TARGETS, Target

SIGMA = 0.0455
AREA = 784.0  # px^2
RULE = "the rule on the image (rule)"
TOLD_DIGIT = "the rule, told the digit"
TOLD_INK = "the rule on each digit, told which ink is its own"


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
        test_canvas: That of the test images, where it is another one.
        label_noise: Whether the labels of train and val, which a detector learns from, are off by a pixel or two
            (`datasets.tasks.build.label_noise`); those of test are not.
        oracle: Who answers every test image exactly, and what it has to be told.
        probes: What a detector shows that it can do, or can't, in one line.
        sigma: COCO's per-keypoint sigma, the same for every keypoint.
        area: The area in px^2 that OKS divides by; of a digit that is drawn larger, in proportion.
    """

    name: str
    summary: str
    target: str
    version: int = 1
    rule: bool = True
    digits: tuple[int, ...] | None = None
    canvas: Canvas | None = None
    test_canvas: Canvas | None = None
    label_noise: bool = False
    oracle: str = RULE
    probes: str = ""
    sigma: float = SIGMA
    area: float = AREA

    @property
    def points(self) -> Target:
        """The rule that gives the points."""
        return TARGETS[self.target]

    @property
    def for_test(self) -> Task:
        """The card that test images are made by: their own canvas, and labels without noise."""
        return replace(self, canvas=self.test_canvas or self.canvas, label_noise=False)


_CARDS = (
    Task(
        "topleft",
        "first inked pixel of the top inked row",
        "topleft",
        probes="finding an extremum exactly: one faint pixel decides",
    ),
    Task(
        "topleft-bold",
        "the same where ink means brighter than 127: a control, without the faint pixels",
        "topleft-bold",
        probes="whether faint pixels are what makes topleft hard",
    ),
    Task(
        "topright",
        "last inked pixel of the top inked row",
        "topright",
        probes="the mirror image: whether anything is made for one corner",
    ),
    Task(
        "bottomleft",
        "first inked pixel of the bottom inked row",
        "bottomleft",
        probes="the mirror image: whether anything is made for one corner",
    ),
    Task(
        "bottomright",
        "last inked pixel of the bottom inked row",
        "bottomright",
        probes="the mirror image: whether anything is made for one corner",
    ),
    Task(
        "corner",
        "top-left corner of the ink's bounding box: first inked column, first inked row",
        "corner",
        probes="two extrema that need not meet: the point mostly lies beside the ink",
    ),
    Task(
        "center",
        "centre of the ink's bounding box, a half pixel more often than not",
        "center",
        probes="four extrema at once, half pixels, a place that nothing marks",
    ),
    Task("both", "topleft and center at once, two keypoints", "both", probes="two unlike points from one network"),
    Task(
        "extremes",
        "where the ink touches its box: top, right, bottom and left, four keypoints",
        "extremes",
        probes="four extrema that each need the whole image, none at the cost of another",
    ),
    Task(
        "centroid",
        "mean position of the ink: on no lattice and no extremum, a negative control",
        "centroid",
        probes="whether a head for extrema pays for it elsewhere",
    ),
    Task(
        "noisy-labels",
        "topleft learned from labels that are off by a pixel or two, asked without noise",
        "topleft",
        rule=False,
        label_noise=True,
        oracle="the rule, told which (rule:target=topleft)",
        probes="whether a detector sees the rule through its annotators' noise",
    ),
    Task(
        "digit-dependent",
        "3 asks for topleft, 7 for center: which digit it is decides which point",
        "digit-dependent",
        rule=False,
        digits=tuple(DIGIT_DEPENDENT),
        oracle=TOLD_DIGIT,
        probes="what and where at once, two classes",
    ),
    Task(
        "all-digits",
        "each of the ten digits asks for another point; needs all ten (--data mnist5k)",
        "all-digits",
        rule=False,
        digits=tuple(ALL_DIGITS),
        oracle=TOLD_DIGIT,
        probes="what and where at once, ten classes",
    ),
    Task(
        "topleft-canvas",
        "topleft, the digit lying anywhere on 40 x 40 px",
        "topleft",
        canvas=Canvas(40),
        probes="whether the answer moves with the digit",
    ),
    Task(
        "center-canvas",
        "center, the digit lying anywhere on 40 x 40 px",
        "center",
        canvas=Canvas(40),
        probes="whether the answer moves with the digit, with nothing to mark it",
    ),
    Task(
        "moved",
        "topleft on 80 x 80 px, learned in two opposite quarters, asked in the two others",
        "topleft",
        canvas=Canvas(80, cells=(0, 3)),
        test_canvas=Canvas(80, cells=(1, 2)),
        probes="whether a detector knows places that it never saw a point in",
    ),
    Task(
        "topleft-specks",
        "topleft of the digit among 20 bright specks on 40 x 40 px that are not it",
        "topleft",
        rule=False,
        canvas=Canvas(40, specks=20),
        oracle="the rule, told which pixels are specks",
        probes="whether a detector knows a digit from noise: specks break the plain rule",
    ),
    Task(
        "topleft-several",
        "topleft of each of one to three digits on 64 x 64 px: several instances an image",
        "topleft",
        rule=False,
        canvas=Canvas(64, most=3),
        oracle=TOLD_INK,
        probes="several instances, each with a place of its own",
    ),
    Task(
        "scattered",
        "topleft of each of one to six digits of four sizes on 128 x 128 px, which may touch",
        "topleft",
        rule=False,
        canvas=Canvas(128, most=6, scales=(0.75, 1.0, 1.5, 2.0), open=True),
        oracle=TOLD_INK,
        probes="several instances of unlike sizes, close together",
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
